"""What Home shows first: what needs this person now."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from annotate.actions.ask_quiz import ask_quiz
from annotate.models import Queue
from rlhf.models import Run
from tests.annotate.conftest import answer, ask_to_clean, ask_to_write, build, make_document, make_prompt, rank_item
from tests.rlhf.conftest import text_of
from tests.rlhf.filled import fail, make_run

pytestmark = pytest.mark.django_db


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
    ask_quiz(project=project, asks=True, mark=7)
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
