"""Why there is nothing for a person: what they must accept first, and a pause; on both databases."""

import pytest

from annotate import queue as claims
from annotate.actions.accept_guideline import accept_guideline
from annotate.actions.pause import end_pause, pause
from annotate.actions.publish_guideline import publish_guideline
from annotate.actions.submit_and_claim import submit_and_claim
from annotate.errors import AnnotateError
from annotate.models import QueuePause, Slot

from .conftest import BY_KEYBOARD, build, leased, rank_item, send

pytestmark = pytest.mark.usefixtures("database")

ALL_TIED = {"groups": [["A", "B", "C", "D"]]}


@pytest.fixture
def another(database, task):
    return build(task.queue, rank_item(task.queue.project, ["One.", "Two.", "Three.", "Four."], prompt="Another?"))


def following(slot: Slot, user):
    held = Slot.objects.select_related("task", "queue__project").get(pk=slot.pk)
    held.task.queue = held.queue
    return submit_and_claim(slot=held, by=user, token=slot.token or "", key="k", body=ALL_TIED, times=BY_KEYBOARD)[1]


def test_a_guideline_without_a_major_version_asks_nothing(database, project, task, ana, ada):
    publish_guideline(project=project, body="1. Be kind.", by=ada)
    assert leased(task.queue, ana).task == task


def test_a_major_version_is_accepted_before_the_next_task(database, project, task, ana, ada):
    made = publish_guideline(project=project, body="1. Be kind.", by=ada, major=True)
    assert claims.claim(task.queue, ana).cause == "guideline"
    accept_guideline(project=project, version=made.version, by=ana)
    assert leased(task.queue, ana).task == task


def test_the_reply_to_an_answer_says_that_a_guideline_waits(database, project, task, another, ana, ada):
    slot = leased(task.queue, ana)
    publish_guideline(project=project, body="1. Be kind.", by=ada, major=True)
    assert following(slot, ana).cause == "guideline"


def test_what_a_person_holds_they_finish_before_they_accept(database, project, task, ana, ada):
    slot = leased(task.queue, ana)
    publish_guideline(project=project, body="1. Be kind.", by=ada, major=True)
    assert leased(task.queue, ana).pk == slot.pk
    assert send(slot, ana, ALL_TIED).outcome == "counted"


def test_a_minor_version_after_it_asks_nothing_again(database, project, task, ana, ada):
    accept_guideline(
        project=project, version=publish_guideline(project=project, body="1.", by=ada, major=True).version, by=ana
    )
    publish_guideline(project=project, body="1. Be kind.", by=ada)
    assert leased(task.queue, ana).task == task


def test_accepting_a_minor_version_after_it_is_enough(database, project, task, ana, ada):
    publish_guideline(project=project, body="1.", by=ada, major=True)
    newest = publish_guideline(project=project, body="1. Be kind.", by=ada)
    accept_guideline(project=project, version=newest.version, by=ana)
    assert leased(task.queue, ana).task == task


def test_each_major_version_is_accepted_anew_and_by_each_person(database, project, task, another, ana, abe, ada):
    for body in ("1.", "1. Be kind."):
        made = publish_guideline(project=project, body=body, by=ada, major=True)
        assert claims.claim(task.queue, ana).cause == "guideline"
        accept_guideline(project=project, version=made.version, by=ana)
    assert leased(task.queue, ana)
    assert claims.claim(task.queue, abe).cause == "guideline"


def test_only_the_newest_version_is_accepted(database, project, ana, ada):
    old = publish_guideline(project=project, body="1.", by=ada, major=True)
    publish_guideline(project=project, body="1. Be kind.", by=ada)
    with pytest.raises(AnnotateError) as refusal:
        accept_guideline(project=project, version=old.version, by=ana)
    assert (refusal.value.code, refusal.value.facts) == ("guideline_changed", {"version": 2})


def test_accepting_twice_is_one_acceptance(database, project, ana, ada):
    made = publish_guideline(project=project, body="1.", by=ada, major=True)
    assert len({accept_guideline(project=project, version=made.version, by=ana).pk for _ in range(2)}) == 1


def test_another_projects_guideline_asks_nothing_here(database, task, other_project, ana, eve):
    publish_guideline(project=other_project, body="1.", by=eve, major=True)
    assert leased(task.queue, ana).task == task


def test_a_paused_person_gets_no_task_and_others_do(database, project, task, ana, abe, rex):
    pause(queue=task.queue, person=ana.pseudonym(project), by=rex, note="Too fast.")
    assert claims.claim(task.queue, ana).cause == "paused"
    assert leased(task.queue, abe).task == task


def test_a_pause_holds_in_its_queue_only(database, project, task, writing, ana, rex):
    pause(queue=writing, person=ana.pseudonym(project), by=rex, note="")
    assert leased(task.queue, ana).task == task


def test_what_a_paused_person_holds_they_finish(database, project, task, another, ana, rex):
    slot = leased(task.queue, ana)
    pause(queue=task.queue, person=ana.pseudonym(project), by=rex, note="")
    assert following(slot, ana).cause == "paused"
    assert Slot.objects.get(pk=slot.pk).status == "done"


def test_a_pause_ends_once(database, project, task, ana, rex):
    found = pause(queue=task.queue, person=ana.pseudonym(project), by=rex, note="")
    end_pause(pause=found, by=rex)
    assert leased(task.queue, ana).task == task
    with pytest.raises(AnnotateError) as refusal:
        end_pause(pause=found, by=rex)
    assert refusal.value.code == "not_paused"


def test_a_person_is_paused_once_and_by_a_pseudonym_of_the_project(database, project, task, ana, eve, rex):
    pause(queue=task.queue, person=ana.pseudonym(project), by=rex, note="")
    with pytest.raises(AnnotateError) as twice:
        pause(queue=task.queue, person=ana.pseudonym(project), by=rex, note="")
    with pytest.raises(AnnotateError) as stranger:
        pause(queue=task.queue, person=eve.pseudonym(project), by=rex, note="")
    assert (twice.value.code, stranger.value.code) == ("already_paused", "no_person")
    assert QueuePause.objects.count() == 1
