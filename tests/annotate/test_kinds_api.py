"""Every kind goes the short way of the API, comes back as it was sent, and shows in My answers."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotate.actions.build_tasks import TaskItem
from annotate.models import Judgement, Presentation
from tests.annotate.conftest import answer, build, make_prompt, make_text, rank_item
from tests.annotate.test_api_hot import claim, submit
from tests.api import Caller

PAIR = {"prefer": "B", "strength": 2, "both_unacceptable": None}
RATING = {"overall": 2, "axes": {"helpful": 6, "truthful": None, "harmless": None}, "critique": None}
REPAIR = {"text": "The least of all.", "note": "min"}


@pytest.fixture
def said(project):
    return make_text(project, "The least.", parent=make_prompt(project))


@pytest.fixture
def pair(comparing):
    return build(comparing, rank_item(comparing.project, ["The least.", "The most."]))


@pytest.fixture
def rate(rating, said):
    return build(rating, TaskItem(texts=[(said.parent, "prompt"), (said, "answer")]))


@pytest.fixture
def repair(repairing, rate, said, abe):
    rated = answer(rate.queue, abe, {**RATING, "flags": {"too_long": True}})
    return build(repairing, TaskItem(texts=[(said.parent, "prompt"), (said, "answer")], follows=rated.judgement))


CASES = [("pair", PAIR), ("rate", RATING), ("repair", REPAIR)]


@pytest.mark.parametrize(("kind", "body"), CASES)
def test_an_answer_by_the_api_comes_back_as_it_was_sent(kind, body, request, ana):
    task, caller = request.getfixturevalue(kind), Caller(ana)
    held = claim(caller, task).json()["task"]
    reply = submit(caller, held, body=body)
    assert (reply.status_code, reply.json()["outcome"]) == (200, "counted")
    found = caller.ask("GET", f"judgements/{reply.json()['judgement']}/").json()
    assert (found["kind"], found["by"]) == (kind, "me")
    assert {name: found["current"]["body"].get(name) for name in body} == body


@pytest.mark.parametrize(("kind", "body", "most"), [("pair", PAIR, 25), ("rate", RATING, 25), ("repair", REPAIR, 32)])
def test_an_answer_and_the_next_task_take_few_statements(kind, body, most, request, ana):
    """A repair also writes a text, and keeps its author from what else shows the old one."""
    task, caller = request.getfixturevalue(kind), Caller(ana)
    held = claim(caller, task).json()["task"]
    with CaptureQueriesContext(connection) as asked:
        submit(caller, held, body=body)
    assert len(asked) <= most
    kept = Presentation.objects.get(revision__judgement__user=ana)
    assert sorted(kept.order) == sorted(task.texts.filter(kind="answer").values_list("pk", flat=True))


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("pair", PAIR, "B is better, strength 2 of 3"),
        ("pair", {"prefer": "tie", "both_unacceptable": True}, "a tie, both unacceptable"),
        ("pair", {"both_unacceptable": True}, "both unacceptable"),
        ("rate", RATING, "rated 2 of 7"),
        ("repair", REPAIR, "The least of all."),
    ],
)
def test_my_answers_say_what_was_answered(kind, body, words, request, client, project, ana):
    task = request.getfixturevalue(kind)
    judgement = answer(task.queue, ana, body).judgement
    client.force_login(ana)
    page = " ".join(client.get(reverse("mine", args=[project.uuid])).content.decode().split())
    assert words in page
    client.post(reverse("undo", args=[judgement.uuid]))
    assert "taken back" in client.get(reverse("mine", args=[project.uuid])).content.decode()
    assert Judgement.objects.get(pk=judgement.pk).revisions.count() == 2


def test_the_choice_sends_only_for_who_asked_for_it(client, ana):
    client.force_login(ana)
    ana.refresh_from_db()
    assert ana.choice_sends is False
    client.post("/me/", {"theme": "light", "keys": "on", "choice_sends": "on"})
    ana.refresh_from_db()
    assert (ana.choice_sends, ana.keys_on) == (True, True)
    assert Caller(ana).ask("PATCH", "me/", {"choice_sends": False}).json()["choice_sends"] is False
