"""The pages of rlhf: who sees what, what they cost, and what a form does with good and bad input."""

from __future__ import annotations

import re

import pytest
from django.test import Client
from django.urls import reverse

from annotate.actions.ask_quiz import ask_quiz
from annotate.actions.build_tasks import TaskItem
from annotate.learning import texts
from annotate.models import Queue, Role, TaskText, Text
from annotate.templatetags import names
from rlhf.models import Model, Run, Snapshot
from rlhf.templatetags.words import lesson
from tests.annotate.conftest import answer, ask_to_clean, ask_to_write, build, make_document, make_prompt, rank_item
from tests.rlhf.conftest import make_model, make_snapshot
from tests.rlhf.filled import fail, fill, make_run, pause, write_metrics

pytestmark = pytest.mark.django_db


@pytest.fixture
def filled(project, ada, tmp_path):
    return fill(project, ada, tmp_path)


@pytest.fixture
def as_ada(client: Client, ada) -> Client:
    client.force_login(ada)
    return client


@pytest.fixture
def as_rex(rex) -> Client:
    client = Client()
    client.force_login(rex)
    return client


@pytest.fixture
def as_ana(ana) -> Client:
    client = Client()
    client.force_login(ana)
    return client


def text_of(response) -> str:
    return response.content.decode()


# who sees what


PROJECT_PAGES = ["snapshots", "runs", "models", "playground"]


@pytest.mark.parametrize("name", PROJECT_PAGES)
def test_lists_are_closed_to_assessors(as_ana, project, name):
    assert as_ana.get(reverse(name, args=[project.uuid])).status_code == 403


@pytest.mark.parametrize("name", PROJECT_PAGES)
def test_lists_are_open_to_reviewers(as_rex, project, filled, name):
    assert as_rex.get(reverse(name, args=[project.uuid])).status_code == 200


@pytest.mark.parametrize("tab", ["overview", "samples", "log", "config", "lineage"])
def test_each_tab_of_a_run_is_open_to_reviewers(as_rex, filled, tab):
    assert as_rex.get(reverse("run", args=[filled.runs["running"].uuid]), {"tab": tab}).status_code == 200


def test_a_reviewer_cannot_launch(as_rex, project):
    assert as_rex.get(reverse("launch", args=[project.uuid, "pretrain"])).status_code == 403


def test_a_reviewer_cannot_freeze(as_rex, project):
    assert as_rex.post(reverse("snapshot-new", args=[project.uuid, "corpus"])).status_code == 403
    assert not Snapshot.objects.exists()


def test_a_reviewer_cannot_cancel(as_rex, filled):
    run = filled.runs["running"]
    assert as_rex.post(reverse("run-cancel", args=[run.uuid])).status_code == 403
    run.refresh_from_db()
    assert run.cancel_requested_at is None


def test_an_assessors_home_names_no_model_and_links_to_no_run(as_ana, project, filled):
    page = text_of(as_ana.get(reverse("project-home", args=[project.uuid])))
    assert not any(model.name in page for model in filled.models.values())
    assert "/runs/" not in page
    assert "/models/" not in page


def test_an_assessors_home_shows_no_number_of_a_model(as_ana, project, filled):
    assert "0.812" not in text_of(as_ana.get(reverse("project-home", args=[project.uuid])))


def test_a_reviewers_home_shows_the_reward_models_accuracy(as_rex, project, filled):
    assert "0.812" in text_of(as_rex.get(reverse("project-home", args=[project.uuid])))


def test_home_of_someone_in_no_project_says_who_can_change_that(client, eve):
    client.force_login(eve)
    assert "An admin of a project can add you" in text_of(client.get("/"))


def test_the_navigation_leaves_out_what_an_assessor_may_not_open(as_ana, project):
    labels = [entry["url"] for group in as_ana.get("/").context["navigation"] for entry in group["entries"]]
    assert reverse("runs", args=[project.uuid]) not in labels
    assert reverse("work", args=[project.uuid]) in labels


def test_the_navigation_counts_only_the_work_that_the_person_may_take(as_ana, as_rex, project):
    flagged = TaskItem(texts=[(make_document(project, "Write to ada@home.org."), TaskText.Part.DOCUMENT.value)])
    build(project.queues.get(kind=Queue.Kind.CLEAN), flagged)
    build(project.queues.get(kind=Queue.Kind.RANK), rank_item(project, ["One.", "Two."]))
    assert [work_count(client, project) for client in (as_ana, as_rex)] == [1, 2]


def work_count(client, project):
    entries = [entry for group in client.get("/").context["navigation"] for entry in group["entries"]]
    return next(entry["count"] for entry in entries if entry["url"] == reverse("work", args=[project.uuid]))


def test_the_navigation_of_an_object_is_that_of_its_project(client, ada, project, other_project, filled, eve):
    other_project.memberships.create(user=ada, role=Role.ADMIN)
    client.force_login(ada)
    response = client.get(reverse("run", args=[filled.runs["sft"].uuid]))
    assert response.context["project"] == project


# what needs a person


def test_a_fresh_project_asks_its_admin_for_documents(as_ada, project):
    assert reverse("import-new", args=[project.uuid]) in text_of(as_ada.get("/"))


def test_a_task_that_waits_is_a_card_with_its_start(as_ana, project):
    queue = Queue.objects.select_related("project").get(project=project, kind="rank")
    build(queue, rank_item(project, ["One.", "Two."], prompt="Which?"))
    assert reverse("start", args=[queue.uuid]) in text_of(as_ana.get("/"))


def test_a_finished_run_that_counted_no_steps_is_listed(as_ada, project, ada):
    run = make_run(project, ada, stage="evaluate", state="finished", inputs={}, final={})
    Run.objects.filter(pk=run.pk).update(progress={}, result={"final": {}})
    assert as_ada.get(reverse("runs", args=[project.uuid])).status_code == 200


def needs_of(client: Client, project) -> list[str]:
    return [card.kind for card in client.get(reverse("project-home", args=[project.uuid])).context["cards"]]


def test_what_came_back_stands_first_and_is_no_longer_counted_with_the_rest(as_ana, project, ana, rex):
    queues = {queue.kind: queue for queue in project.queues.select_related("project")}
    for number in range(2):
        ask_to_write(queues["write_answer"], make_prompt(project, f"What is {number}?"))
    answer(queues["write_answer"], ana, {"text": "It is one."})
    answer(queues["review_answer"], rex, {"decision": "return", "reasons": ["incomplete"], "comment": "And two?"})
    found = as_ana.get(reverse("project-home", args=[project.uuid])).context
    assert [(card.kind, card.n) for card in found["cards"]] == [("returned", 1), ("write_answer", 1)]
    assert found["left"] == 2


def test_what_holds_up_a_stage_comes_before_a_longer_line(as_rex, project, ada):
    make_run(project, ada, stage="reward", state="finished", inputs={}, final={})
    queues = {queue.kind: queue for queue in project.queues.select_related("project")}
    for number in range(3):
        build(queues["rank"], rank_item(project, ["One.", "Two."], prompt=f"Which {number}?"))
    ask_to_clean(queues["clean"], make_document(project, "Some words."))
    assert needs_of(as_rex, project) == ["clean", "rank"]


def test_before_the_quiz_it_alone_needs_the_person(as_ana, project):
    ask_to_write(project.queues.get(kind="write_answer"), make_prompt(project))
    ask_quiz(project=project, asks=True)
    assert needs_of(as_ana, project) == ["quiz"]


def test_a_held_task_that_the_person_is_kept_from_is_not_left_for_them(as_ana, project, ana):
    queue = project.queues.get(kind="write_answer")
    ask_to_write(queue, make_prompt(project))
    task = queue.tasks.get()
    task.exclusions.create(user=ana, reason="author")
    found = as_ana.get(reverse("project-home", args=[project.uuid])).context
    assert (found["left"], found["cards"]) == (0, [])


def test_who_only_administers_sees_what_people_gave(as_ada, as_ana, project):
    pages = [text_of(one.get(reverse("project-home", args=[project.uuid]))) for one in (as_ada, as_ana)]
    assert ["What people gave" in page for page in pages] == [True, False]


def test_the_part_above_the_pipeline_comes_alone_when_asked_for(as_ana, project):
    headers = {"HX-Request": "true"}
    found = as_ana.get(reverse("project-home", args=[project.uuid]), {"part": "top"}, headers=headers)
    assert ("Your record" in text_of(found), "<html" in text_of(found)) == (True, False)


def test_home_costs_the_same_with_many_answers_and_queues(as_rex, project, rex, django_assert_max_num_queries):
    url = reverse("project-home", args=[project.uuid])
    queue = project.queues.select_related("project").get(kind="write_answer")

    def more(number: int) -> None:
        ask_to_write(queue, make_prompt(project, f"What is {number}?"))
        answer(queue, rex, {"text": f"It is {number}."})

    more(0)
    with django_assert_max_num_queries(20) as one:
        as_rex.get(url)
    Queue.objects.bulk_create(Queue(project=project, kind="rank", name=f"Rank {n}") for n in range(30))
    for number in range(1, 30):
        more(number)
    with django_assert_max_num_queries(20) as thirty:
        as_rex.get(url)
    assert len(thirty) == len(one)


def test_a_failed_run_is_a_card_with_the_trainers_sentence(as_ada, project, ada):
    run = make_run(project, ada, stage="sft", state="failed", inputs={}, final={})
    fail(run)
    assert "The loss is nan at step 3" in text_of(as_ada.get("/"))


# what lists cost


def queries_of(client: Client, url: str, counter) -> int:
    with counter(1_000, exact=False) as seen:
        assert client.get(url).status_code == 200
    return len(seen)


@pytest.mark.parametrize("name", ["project-home", "snapshots", "runs", "models"])
def test_a_list_of_thirty_costs_what_a_list_of_one_costs(
    as_ada, project, ada, tmp_path, name, django_assert_max_num_queries
):
    def more() -> None:
        snapshot = make_snapshot(project, ada, tmp_path)
        run = make_run(project, ada, stage="pretrain", state="finished", inputs={"corpus": snapshot}, final={})
        make_run(project, ada, stage="pretrain", state="running", inputs={"corpus": snapshot}, final={})
        make_model(project, tmp_path, run=run)

    url = reverse(name, args=[project.uuid])
    more()
    with django_assert_max_num_queries(20) as one:
        as_ada.get(url)
    for _ in range(29):
        more()
    with django_assert_max_num_queries(20) as thirty:
        as_ada.get(url)
    assert len(thirty) == len(one)


def test_a_runs_page_costs_the_same_with_many_points(as_ada, filled, django_assert_max_num_queries):
    url = reverse("run", args=[filled.runs["running"].uuid])
    with django_assert_max_num_queries(20) as few:
        as_ada.get(url)
    write_metrics(filled.runs["running"], steps=200, start=13)
    with django_assert_max_num_queries(20) as many:
        as_ada.get(url)
    assert len(many) == len(few)


# forms


def fields(response) -> dict[str, str]:
    """Every field of the page with its value, as a browser would send it."""
    page = text_of(response)
    found = dict(re.findall(r'<input class="input"[^>]* name="([^"]+)"[^>]* value="([^"]*)"', page))
    for name, options in re.findall(r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>', page, re.S):
        chosen = re.search(r'<option(?: value="([^"]*)")? selected>([^<]*)', options)
        first = re.search(r'<option(?: value="([^"]*)")?>([^<]*)', options)
        match = chosen or first
        found[name] = (match[1] if match[1] is not None else match[2]) if match else ""
    return found


def test_a_form_sent_as_it_came_queues_a_run_of_the_preset(as_ada, project, ada, tmp_path):
    make_snapshot(project, ada, tmp_path)
    url = reverse("launch", args=[project.uuid, "pretrain"])
    sent = fields(as_ada.get(url, {"preset": "smoke"})) | {"preset": "smoke"}
    response = as_ada.post(url, sent)
    run = Run.objects.get()
    assert response.url == reverse("run", args=[run.uuid])
    assert (run.config["max_steps"], run.config["batch_tokens"], run.config["size"]) == (20, 1_536, "nano")


def test_a_value_out_of_range_is_refused_with_what_is_allowed(as_ada, project, ada, tmp_path):
    make_snapshot(project, ada, tmp_path)
    url = reverse("launch", args=[project.uuid, "pretrain"])
    sent = fields(as_ada.get(url)) | {"preset": "demo", "epochs": "101", "fim_share": "0.3"}
    response = as_ada.post(url, sent)
    assert response.status_code == 422
    assert "epochs is 101; allowed: a whole number, 1 to 100." in text_of(response)
    assert not Run.objects.exists()


def test_nothing_typed_is_lost_when_a_run_is_refused(as_ada, project, ada, tmp_path):
    make_snapshot(project, ada, tmp_path)
    url = reverse("launch", args=[project.uuid, "pretrain"])
    sent = fields(as_ada.get(url)) | {"preset": "demo", "epochs": "many", "fim_share": "0.3"}
    assert fields(as_ada.post(url, sent)) | {"preset": "demo"} == sent


def test_a_missing_snapshot_is_named_before_anything_is_queued(as_ada, project):
    response = as_ada.post(reverse("launch", args=[project.uuid, "pretrain"]), {"preset": "demo", "seed": "1"})
    assert response.status_code == 422
    assert "corpus is missing" in text_of(response)


def test_a_snapshot_of_another_project_cannot_be_chosen(as_ada, project, other_project, eve, tmp_path):
    foreign = make_snapshot(other_project, eve, tmp_path)
    sent = {"preset": "demo", "seed": "1", "input-corpus": str(foreign.uuid)}
    assert as_ada.post(reverse("launch", args=[project.uuid, "pretrain"]), sent).status_code == 422


@pytest.mark.parametrize("stage", Run.Stage.values)
def test_each_stage_has_a_form_with_a_few_main_fields(as_ada, project, stage):
    response = as_ada.get(reverse("launch", args=[project.uuid, stage]))
    assert response.status_code == 200
    assert 3 <= len(response.context["main"]) <= 6


@pytest.mark.parametrize("stage", Run.Stage.values)
def test_a_form_asks_for_each_field_of_the_config_once(as_ada, filled, project, stage):
    context = as_ada.get(reverse("launch", args=[project.uuid, stage])).context
    names = [one.field.name for one in [*context["main"], *context["advanced"]]]
    assert len(names) == len(set(names))
    assert "base_sha256" not in names


def test_a_flag_that_is_switched_off_reaches_the_config(as_ada, project, filled):
    url = reverse("launch", args=[project.uuid, "ppo"])
    sent = fields(as_ada.get(url, {"preset": "smoke"})) | {"preset": "smoke", "whiten_rewards": "true"}
    as_ada.post(url, sent)
    assert Run.objects.latest("pk").config["whiten_rewards"] is True


def test_freezing_shows_first_what_would_be_frozen(as_ada, project):
    response = as_ada.get(reverse("snapshot-new", args=[project.uuid, "prompt"]), {"train": "5", "heldout": "2"})
    assert response.context["preview"]["train"] == 0
    assert not Snapshot.objects.exists()


def test_a_number_that_is_none_freezes_nothing(as_ada, project):
    url = reverse("snapshot-new", args=[project.uuid, "prompt"])
    response = as_ada.post(url, {"train": "lots", "heldout": "2"})
    assert response.status_code == 422
    assert "lots was found; allowed: a whole number, 0 to 100,000." in text_of(response)
    assert not Snapshot.objects.exists()


def test_texts_without_a_licence_are_counted_once_they_are_wanted(as_ada, project):
    make_document(project, "A document that stays.", licence="unknown")
    url = reverse("snapshot-new", args=[project.uuid, "corpus"])
    without, within = as_ada.get(url), as_ada.get(url, {"unknown_licence": "1"})
    assert [one.context["preview"]["train"] + one.context["preview"]["heldout"] for one in (without, within)] == [0, 1]


def test_freezing_leads_to_the_snapshots_page(as_ada, project, broker):
    make_prompt(project)
    url = reverse("snapshot-new", args=[project.uuid, "prompt"])
    response = as_ada.post(url, {"train": "5", "heldout": "2"})
    snapshot = Snapshot.objects.get()
    assert response.url == reverse("snapshot", args=[snapshot.uuid])
    assert snapshot.settings == {"splits": {"train": 5, "heldout": 2}}


# what pages say


def test_a_snapshots_file_is_given_as_it_was_frozen(as_rex, filled):
    snapshot = filled.snapshots["sft"]
    response = as_rex.get(reverse("snapshot-file", args=[snapshot.uuid, "sft.jsonl"]))
    assert b"".join(response.streaming_content).count(b"\n") == 300


def test_a_snapshots_page_shows_its_first_rows(as_rex, filled):
    page = text_of(as_rex.get(reverse("snapshot", args=[filled.snapshots["ranking"].uuid])))
    assert "Remove any common leading whitespace" in page
    assert "Place 1" in page


def test_a_failed_run_shows_the_last_forty_lines_of_its_log(as_rex, filled):
    page = text_of(as_rex.get(reverse("run", args=[filled.runs["failed"].uuid])))
    assert "line 60 of the trainer&#x27;s log" in page
    assert "line 20 of the trainer" not in page
    assert "line 21 of the trainer" in page


def test_a_run_that_starts_says_what_it_is_expected_to_need(as_rex, filled):
    run = filled.runs["running"]
    run.progress = {"note": "estimating", "eta_s": 42, "estimate": {"memory_bytes": 534_000_000, "seconds": 42.4}}
    run.save(update_fields=["progress"])
    page = text_of(as_rex.get(reverse("run", args=[run.uuid])))
    assert "starting; about 42 s" in page
    assert "estimate: 534 MB of memory, 42 s" in page


def test_a_queued_run_without_a_worker_says_that_it_waits_for_one(as_rex, project, ada):
    run = make_run(project, ada, stage="pretrain", state="queued", inputs={}, final={})
    assert "No training worker has been started" in text_of(as_rex.get(reverse("run", args=[run.uuid])))


def test_the_table_of_a_chart_holds_the_points_of_the_chart(as_rex, filled):
    response = as_rex.get(reverse("run", args=[filled.runs["running"].uuid]), {"table": "kl"})
    assert len(response.context["table"].rows) == 12


def test_a_metric_that_no_chart_names_stands_under_other(as_rex, filled):
    context = as_rex.get(reverse("run", args=[filled.runs["running"].uuid])).context
    assert [one.chart.slug for one in context["others"]] == ["rollout/val/explained_var"]


def test_a_caption_counts_what_was_not_finite(as_rex, filled):
    context = as_rex.get(reverse("run", args=[filled.runs["running"].uuid])).context
    (_, found) = context["others"][0].legend[0]
    assert (found.gaps, found.last) == (1, 0.4)


def test_a_sample_stands_beside_the_one_before_it(as_rex, filled):
    context = as_rex.get(reverse("run", args=[filled.runs["running"].uuid]), {"tab": "samples", "step": "12"}).context
    assert context["samples"].before["step"] == 8
    assert ("added", "any common leading whitespace") in [
        (change.kind, change.text) for change in context["samples"].changes
    ]


def test_cancelling_asks_the_run_to_stop(as_ada, filled):
    run = filled.runs["running"]
    as_ada.post(reverse("run-cancel", args=[run.uuid]))
    run.refresh_from_db()
    assert run.cancel_requested_at is not None


def test_cancelling_a_run_that_has_ended_says_so(as_ada, filled):
    response = as_ada.post(reverse("run-cancel", args=[filled.runs["ppo"].uuid]))
    assert response.status_code == 409
    assert "there is nothing to cancel" in text_of(response)


def test_resuming_queues_a_failed_run_again(as_ada, filled, broker):
    as_ada.post(reverse("run-resume", args=[filled.runs["failed"].uuid]))
    assert Run.objects.get(pk=filled.runs["failed"].pk).state == "queued"


@pytest.fixture
def paused(filled):
    """A PPO run that a monitor paused."""
    pause(filled.runs["running"])
    return filled.runs["running"]


def test_a_paused_run_shows_the_answers_to_look_at_and_asks_what_to_ignore(as_ada, paused):
    shown = text_of(as_ada.get(reverse("run", args=[paused.uuid])))
    assert "kl_budget: KL is 31.0 nats an answer" in shown
    assert "lock lock lock" in shown
    assert '<input type="checkbox" name="monitors_off" value="kl_budget">' in shown
    assert shown.count(reverse("run-resume", args=[paused.uuid])) == 1


def test_a_paused_run_goes_on_without_the_monitor_that_was_ticked(as_ada, paused, broker):
    as_ada.post(reverse("run-resume", args=[paused.uuid]), {"monitors_off": ["kl_budget"]})
    paused.refresh_from_db()
    assert (paused.state, paused.config["monitors_off"]) == ("queued", ["kl_budget"])


def test_a_reviewer_sees_why_a_run_paused_and_cannot_let_it_go_on(as_rex, paused):
    shown = text_of(as_rex.get(reverse("run", args=[paused.uuid])))
    assert "lock lock lock" in shown
    assert "monitors_off" not in shown


def test_a_price_on_pairs_without_a_snapshot_of_them_is_refused(as_ada, project, filled):
    url = reverse("launch", args=[project.uuid, "ppo"])
    sent = fields(as_ada.get(url, {"preset": "smoke"})) | {"preset": "smoke", "ptx_coef": "0.5", "input-ptx": ""}
    response = as_ada.post(url, sent)
    assert response.status_code == 422
    assert "ptx_coef is 0.5; choose an sft snapshot as ptx" in text_of(response)


def test_a_policy_can_be_asked_to_learn_from_groups_of_answers(as_ada, project, filled):
    url = reverse("launch", args=[project.uuid, "ppo"])
    sent = fields(as_ada.get(url, {"preset": "smoke"})) | {"preset": "smoke", "advantage": "rloo"}
    refused = as_ada.post(url, sent | {"samples_per_prompt": "1"})
    assert refused.status_code == 422
    assert "samples_per_prompt is 1; allowed: at least 2 with advantage rloo" in text_of(refused)
    as_ada.post(url, sent | {"samples_per_prompt": "4"})
    config = Run.objects.latest("pk").config
    assert (config["advantage"], config["samples_per_prompt"]) == ("rloo", 4)


def test_a_models_lineage_reaches_the_documents(as_rex, filled):
    response = as_rex.get(reverse("model", args=[filled.models["policy"].uuid]))
    reached = {box.node["id"] for box in response.context["picture"].boxes}
    assert f"snapshot-{filled.snapshots['corpus'].uuid}" in reached
    assert "600 rankings by 2" in text_of(response)


def test_the_picture_of_a_lineage_draws_no_way_that_another_implies(as_rex, filled):
    # read: pretrain 1, sft 2, generate 3, reward 3, ppo 4, less the base of the last three; made: 4; ranked: 1
    picture = as_rex.get(reverse("model", args=[filled.models["policy"].uuid])).context["picture"]
    assert len(picture.columns) == 5
    assert len(picture.paths) == 15


def test_the_playground_without_a_generator_keeps_what_was_typed(as_rex, project, filled, broker):
    url = reverse("playground", args=[project.uuid])
    response = as_rex.post(url, {"model": str(filled.models["sft"].uuid), "prompt": "What is a list?"})
    assert response.status_code == 503
    assert "The generator is not running" in text_of(response)
    assert "What is a list?</textarea>" in text_of(response)


def test_a_setting_out_of_range_is_refused_with_what_is_allowed(as_rex, project, filled):
    url = reverse("playground", args=[project.uuid])
    response = as_rex.post(url, {"temperature": "9", "prompt": "Hello"})
    assert response.status_code == 422
    assert "9 was found; allowed: 0 to 2." in text_of(response)


# each stage's page explains its stage


@pytest.mark.parametrize("code", [*Run.Stage.values, *Snapshot.Kind.values, *Model.Kind.values])
def test_whatever_is_trained_or_frozen_has_its_lesson(code):
    assert lesson(code) in texts.STAGES


@pytest.mark.parametrize("code", [*Queue.Kind.values, *Text.Kind.values])
def test_whatever_people_judge_has_its_lesson(code):
    assert names.lesson(code) in texts.STAGES


@pytest.mark.parametrize(
    ("page", "kind", "title"),
    [
        ("snapshot", "snapshots", "Cleaning"),
        ("run", "runs", "PPO"),
        ("model", "models", "PPO"),
    ],
)
def test_an_objects_page_explains_its_stage(as_rex, filled, page, kind, title):
    name = {"snapshots": "corpus", "runs": "ppo", "models": "policy"}[kind]
    found = text_of(as_rex.get(reverse(page, args=[getattr(filled, kind)[name].uuid])))
    assert f'<h2 id="explain-head" tabindex="-1">{title}</h2>' in found


@pytest.mark.parametrize(
    ("page", "more", "title"),
    [
        ("data", [], "Collecting"),
        ("import-new", [], "Collecting"),
        ("snapshots", [], "Collecting"),
        ("snapshot-new", ["sft"], "Instruction tuning"),
        ("launch", ["reward"], "Reward model"),
        ("launch", ["dpo"], "DPO"),
        ("models", [], "Evaluation"),
        ("playground", [], "Evaluation"),
    ],
)
def test_a_projects_page_explains_its_stage(as_ada, project, filled, page, more, title):
    found = text_of(as_ada.get(reverse(page, args=[project.uuid, *more])))
    assert f'<h2 id="explain-head" tabindex="-1">{title}</h2>' in found


def test_a_drawer_without_numbers_costs_no_query(as_ada, ada, project, filled, django_assert_max_num_queries):
    url = reverse("launch", args=[project.uuid, "ppo"])
    with django_assert_max_num_queries(40) as basic:
        as_ada.get(url)
    ada.explain_depth = "detailed"
    ada.save(update_fields=["explain_depth"])
    with django_assert_max_num_queries(40) as detailed:
        as_ada.get(url)
    assert len(basic) == len(detailed)


# the learning game


def test_a_model_that_read_corrections_of_the_game_says_so(as_rex, filled):
    tuned = filled.models["sft"]
    before = text_of(as_rex.get(reverse("model", args=[tuned.uuid])))
    pairs = tuned.run.inputs.get(snapshot__kind="sft").snapshot
    pairs.card |= {"sources": {"game": 3}}
    pairs.save(update_fields=["card"])
    after = text_of(as_rex.get(reverse("model", args=[tuned.uuid])))
    assert "Has read corrections" not in before
    assert "3 sentences of the learning game" in after


def test_corrections_are_off_until_they_are_chosen(as_ada, project):
    address = reverse("snapshot-new", args=[project.uuid, "sft"])
    assert as_ada.get(address).context["settings"]["sources"] == ["write", "import", "better"]
    assert as_ada.get(address + "?sources=write&sources=game").context["settings"]["sources"] == ["write", "game"]


# go to, do, find


def found_by(client: Client, project, q: str) -> dict[str, list[str]]:
    headers = {"Accept": "application/json"}
    found = client.get(reverse("find", args=[project.uuid]), {"q": q}, headers=headers).json()
    return {name: [one["label"] for one in items] for name, items in found.items()}


def test_words_find_what_a_reader_may_open(as_rex, project, filled):
    assert found_by(as_rex, project, "ppo run")["find"] == ["PPO run 7", "PPO run 5"]
    assert found_by(as_rex, project, "reward mod")["find"][0] == "reward model"


def test_an_assessor_finds_no_run_model_or_snapshot(as_ana, project, filled):
    names = [str(one) for one in [*filled.models.values(), *filled.snapshots.values()]]
    assert [found_by(as_ana, project, name)["find"] for name in [*names, "PPO run"]] == [[]] * (len(names) + 1)


def test_what_can_be_done_is_what_the_roles_allow(as_ada, as_ana, project):
    assert found_by(as_ana, project, "")["do"] == ["Start: Write answers", "Start: Rank answers"]
    assert "Import a file" in found_by(as_ada, project, "import")["do"]


def test_a_start_that_was_found_is_a_form(as_ana, project):
    queue = project.queues.get(kind="rank")
    page = text_of(as_ana.get(reverse("find", args=[project.uuid]), {"q": "start rank"}))
    assert f'<form method="post" action="{reverse("start", args=[queue.uuid])}">' in page


def test_finding_costs_the_same_with_thirty_runs(as_ada, project, ada, tmp_path, django_assert_max_num_queries):
    url = reverse("find", args=[project.uuid])
    with django_assert_max_num_queries(20) as one:
        as_ada.get(url, {"q": "run"})
    for _ in range(30):
        make_run(project, ada, stage="sft", state="finished", inputs={}, final={})
        make_model(project, tmp_path, kind="base")
    with django_assert_max_num_queries(20) as thirty:
        as_ada.get(url, {"q": "run"})
    assert len(thirty) == len(one)
