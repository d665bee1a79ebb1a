"""The page of what models believe, without its script: what it asks, what it shows, and to whom."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from rlhf.models import Probe, RunInput, Worker
from rlhf.probes import ask, earlier_of
from tests.annotate.conftest import build, rank_item
from tests.rlhf import believed
from tests.rlhf.believed import fail, failed, finish, tops, weighed
from tests.rlhf.filled import fill, make_run

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_messages")]
PROMPT = "The sky is"
ANSWERS = ["It is blue.", "It is green."]


@pytest.fixture
def see(project):
    """see(rex, probe=…) is the page's context and text."""

    def visit(who, *, status=200, **data):
        client = Client()
        client.force_login(who)
        response = client.get(reverse("beliefs", args=[project.uuid]), data)
        assert response.status_code == status
        return response.context, response.content.decode()

    return visit


@pytest.fixture
def send(project):
    """send(rex, prompt=…) is the answer to the form."""

    def post(who, **data):
        client = Client()
        client.force_login(who)
        return client.post(reverse("beliefs", args=[project.uuid]), data)

    return post


@pytest.fixture
def probe(project, lineage, rex):
    """All models and states, asked by rex and not answered yet."""
    return ask(
        project=project,
        prompt=PROMPT,
        as_question=True,
        answers=ANSWERS,
        models=list(lineage.values()),
        checkpoints=earlier_of(lineage["base"]),
        standing=True,
        by=rex,
    )


@pytest.fixture
def answered(project, probe):
    said = {
        "base": tops() | {"answers": [weighed(" blue", "."), weighed(" green", ".")]},
        "sft": tops(2) | {"answers": [weighed(" blue", ".", shift=0.5), weighed(" green", ".", shift=-1.0)]},
    }
    finish(probe.runs.get(), told=said, rewards=[-0.4, 1.7])
    return probe


# asking


def test_the_form_asks(send, rex, project, lineage):
    response = send(rex, prompt=PROMPT, model=[str(lineage["sft"].uuid)], states=[str(lineage["base"].uuid)])
    probe = Probe.objects.get()
    assert response.url == f"{reverse('beliefs', args=[project.uuid])}?probe={probe.uuid}"
    assert [(one["kind"], one["step"]) for one in probe.asked] == [("base", 14), ("base", 98), ("sft", None)]


def test_an_assessor_asks_by_role(send, ana, lineage):
    send(ana, prompt=PROMPT, model=["base", "policy"], states=["base"])
    assert [(one["kind"], one["step"]) for one in Probe.objects.get().asked] == [
        ("base", 14),
        ("base", 98),
        ("base", None),
        ("policy", None),
    ]


def test_an_assessor_who_names_a_model_asks_nothing(send, ana, lineage):
    assert send(ana, prompt=PROMPT, model=[str(lineage["base"].uuid)]).status_code == 400
    assert not Probe.objects.exists()


def test_what_is_refused_stays_in_the_form(send, rex, base):
    response = send(rex, prompt="", answer=["kept"], model=[str(base.uuid)])
    page = response.content.decode()
    assert response.status_code == 400
    assert "Nothing was asked." in page
    assert "\nkept</textarea>" in page


def test_only_a_reader_makes_a_question_stand(send, ana, rex, base):
    send(ana, prompt="One", model=["base"], standing="on")
    send(rex, prompt="Two", model=["base"], standing="on")
    assert [one.standing for one in Probe.objects.order_by("pk")] == [False, True]


# next word


def test_each_model_has_a_column_and_the_states_have_one(see, rex, answered):
    context, page = see(rex, probe=answered.uuid)
    assert [label for label, _entropy in context["heads"]] == ["base-1, step 98", "base-1", "sft-2", "policy-4"]
    assert "entropy 2.25 nats" in page


def test_the_address_steps_through_the_states(see, rex, answered):
    context, _ = see(rex, probe=answered.uuid, step=14)
    assert context["heads"][0][0] == "base-1, step 14"
    assert context["earlier"] == ""
    assert "step=98" in context["later"]


def test_shown_columns_sum_to_a_hundred_percent(see, rex, answered):
    context, _ = see(rex, probe=answered.uuid)
    for place in range(4):
        percents = [cells[place].percent for _text, cells in context["rows"]]
        assert sum(percents) + context["others"][place].percent == pytest.approx(100, abs=0.2)  # each to two digits


def test_temperature_one_writes_the_stored_probabilities(see, rex, answered):
    context, _ = see(rex, probe=answered.uuid, temperature=1)
    first = next(cells[1].said for text, cells in context["rows"] if text == "·blue")
    assert first == f"{100 * tops()['next'][0]['p']:.1f} %"


def test_another_temperature_hides_what_is_not_known(see, rex, answered):
    context, _ = see(rex, probe=answered.uuid, temperature=0.5)
    assert {cell.said for cell in context["others"]} == {"–"}


@pytest.mark.parametrize("wrong", ["nan", "0", "99", "warm"])
def test_a_temperature_that_makes_no_sense_is_one(see, rex, answered, wrong):
    context, _ = see(rex, probe=answered.uuid, temperature=wrong)
    assert context["view"].choice.temperature == 1.0


# each token


def test_tokens_stand_with_their_difference_to_the_base(see, rex, answered):
    context, _ = see(rex, probe=answered.uuid, tab="tokens")
    first = context["answered"][0]
    column = first.names.index("sft-2")
    assert (first.tokens[0][0], first.tokens[0][1][column]) == ("·blue", ("−0.50", "+0.50"))
    assert [(label, cells[column]) for label, cells in first.totals] == [
        ("Sum", ("−0.50", "+1.00")),
        ("Mean", ("−0.25", "+0.50")),
    ]


def test_the_base_has_no_difference_to_itself(see, rex, answered):
    context, _ = see(rex, probe=answered.uuid, tab="tokens")
    first = context["answered"][0]
    assert first.tokens[0][1][first.names.index("base-1")] == ("−1.00", "")


# reward


def test_answers_stand_by_their_reward(see, rex, answered):
    context, page = see(rex, probe=answered.uuid, tab="reward")
    assert [(one.text, one.rewards) for one in context["scored"]] == [
        ("It is green.", ["+1.70"]),
        ("It is blue.", ["−0.40"]),
    ]
    assert page.index("It is green.</span>") < page.index("It is blue.</span>")


def test_peoples_place_is_absent_while_nobody_ranked(see, rex, answered):
    assert "people's place" not in see(rex, probe=answered.uuid, tab="reward")[1]


# who sees what


def test_an_assessor_sees_roles_and_no_names(see, ana, answered):
    for tab in ("next", "tokens", "reward"):
        _, page = see(ana, probe=answered.uuid, tab=tab)
        assert not [name for name in ("base-1", "sft-2", "reward-3", "policy-4") if name in page]
    context, _ = see(ana, probe=answered.uuid)
    assert [label for label, _entropy in context["heads"]] == [
        "after step 98",
        "base",
        "after instruction tuning",
        "after preference training",
    ]


def test_an_assessor_sees_nothing_of_a_text_that_waits(see, ana, rex, project, answered):
    build(project.queues.get(kind="rank"), rank_item(project, ANSWERS, prompt=PROMPT))
    context, page = see(ana, probe=answered.uuid)
    assert context["view"] is None
    assert "waits to be judged" in page
    assert see(rex, probe=answered.uuid)[0]["view"]


def test_an_assessor_sees_no_run_of_others(see, ana, rex, project, base):
    other, _ = believed.make_probe(project, rex, prompt="Private", models={"base": base})
    see(ana, probe=other.uuid, status=404)
    assert "Private" not in see(ana)[1]


def test_a_probe_of_another_project_is_not_shown(see, eve, other_project, answered, ada):
    client = Client()
    client.force_login(eve)
    assert client.get(reverse("beliefs", args=[other_project.uuid]), {"probe": answered.uuid}).status_code == 404


# states


def test_without_a_model_an_admin_is_led_to_the_launch(see, ada, ana):
    assert "/runs/new/pretrain/" in see(ada)[1]
    assert "/runs/new/" not in see(ana)[1]


def test_without_a_worker_that_is_said(see, rex, probe):
    Worker.objects.all().delete()
    assert "No training worker has been started" in see(rex, probe=probe.uuid)[1]


def test_while_models_load_that_is_said(see, rex, probe):
    run = probe.runs.get()
    run.state, run.progress = "running", {"note": "estimating"}
    run.save(update_fields=["state", "progress"])
    assert "The models are being loaded." in see(rex, probe=probe.uuid)[1]


def test_a_run_without_memory_says_to_ask_fewer(see, rex, probe):
    fail(probe.runs.get())
    assert "Ask fewer of them." in see(rex, probe=probe.uuid)[1]


def test_a_model_that_failed_leaves_the_others(see, rex, probe):
    finish(probe.runs.get(), told={"policy": failed("bad_adapter", "The adapter is broken.")})
    context, page = see(rex, probe=probe.uuid)
    assert "The adapter is broken." in page
    assert context["rows"][0][1][1].said != "–"


def test_the_page_costs_as_many_queries_with_many_probes_as_with_one(see, rex, project, base):
    counts = []
    for more in (1, 19):
        Probe.objects.bulk_create(
            Probe(project=project, prompt="P", words_sha256="0" * 64, asked=[], created_by=rex) for _ in range(more)
        )
        with CaptureQueriesContext(connection) as queries:
            see(rex)
        counts.append(len(queries))
    assert counts[0] == counts[1]


@pytest.mark.parametrize("tab", ["next", "tokens", "reward"])
def test_a_probe_costs_at_most_twenty_queries_to_show(project, rex, answered, tab):
    client = Client()
    client.force_login(rex)
    with CaptureQueriesContext(connection) as queries:
        client.get(reverse("beliefs", args=[project.uuid]), {"probe": answered.uuid, "tab": tab})
    assert len(queries) <= 20


def test_the_page_is_found_where_one_learns(ana, project):
    client = Client()
    client.force_login(ana)
    page = client.get(f"{reverse('learn')}?project={project.uuid}").content.decode()
    assert reverse("beliefs", args=[project.uuid]) in page


# the run's page


@pytest.fixture
def measured(project, ada, tmp_path):
    return believed.measured(fill(project, ada, tmp_path), ada)


@pytest.fixture
def run_page(rex):
    client = Client()
    client.force_login(rex)
    return lambda run: client.get(reverse("run", args=[run.uuid]))


def test_an_evaluate_run_draws_peoples_line_beside_the_models(run_page, measured):
    [chart, _next] = run_page(measured).context["charts"]
    assert [point[:2] for point in chart.points[0]] == [[14, 0.27], [98, 0.31], [490, 0.38], [1350, 0.4], [1351, 0.44]]
    assert [point[:2] for point in chart.points[2]] == [[step, 0.81] for step in (14, 98, 490, 1350, 1351)]


def test_an_evaluate_run_reports_each_model(run_page, measured):
    response = run_page(measured)
    parts = response.context["parts"]
    assert [[line.label for line in part.lines] for part in parts] == [
        ["base-1, step 14", "base-1, step 98", "base-1, step 490", "base-1, step 1,350", "base-1"]
    ] * 2
    page = response.content.decode()
    assert "People: 0.810 right [0.740, 0.870], of 120 answers to 40 items." in page
    assert "0.440 [0.380, 0.500]" in page
    assert "n = 190" in page
    assert "right cloze items 0.440 ± 0.06" in page


def test_e1_an_evaluate_run_reports_held_out_rows(run_page, measured):
    response = run_page(measured)
    assert [label for label, _ in response.context["kept_out"]][-2:] == ["base-1, step 1,350", "base-1"]
    page = response.content.decode()
    assert '<td class="num">4.25</td><td class="num">1.70</td><td class="num">–</td><td class="num">4.25</td>' in page
    assert "0.250 [0.200, 0.500], n = 48" in page
    assert "words were spoilt by the service" in page


def test_an_adapter_that_read_the_games_corrections_is_marked_beside_its_figures(run_page, measured):
    tuned = measured.project.models.get(kind="sft")
    RunInput.objects.create(run=measured, name="sft", model=tuned)
    models = measured.result["evaluation"]["cloze"]["models"]
    models.append(models[-1] | {"name": "sft"})
    measured.save(update_fields=["result"])
    assert "has read corrections" not in run_page(measured).content.decode()
    pairs = tuned.run.inputs.get(snapshot__kind="sft").snapshot
    pairs.card |= {"sources": {"game": 3}}
    pairs.save(update_fields=["card"])
    [part, _next] = run_page(measured).context["parts"]
    assert [line.corrected for line in part.lines] == [False] * 5 + [True]
    assert "has read corrections" in run_page(measured).content.decode()


def test_where_nobody_answered_there_is_no_human_line(run_page, measured):
    [_missing, chart] = run_page(measured).context["charts"]
    assert chart.points[2] == ()
    assert "Nobody has answered these items yet." in run_page(measured).content.decode()


def test_an_evaluate_run_leads_to_what_was_asked(run_page, answered):
    assert f"?probe={answered.uuid}" in run_page(answered.runs.get()).content.decode()


def test_the_run_that_made_a_base_shows_what_stands_at_each_checkpoint(run_page, answered, lineage):
    response = run_page(lineage["base"].run)
    assert f"?probe={answered.uuid}" in response.content.decode()
    rows = dict(response.context["believed"].rows)
    assert list(rows)[:3] == ["base-1, step 14", "base-1, step 98", "base-1"]
    assert rows["base-1"] == [("·blue", "45 %")]


def test_a_run_of_which_nothing_was_asked_shows_nothing(run_page, project, ada):
    run = make_run(project, ada, stage="pretrain", state="finished", inputs={}, final={})
    assert "What its models believe" not in run_page(run).content.decode()
