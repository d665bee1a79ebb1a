"""A skip can be taken back, and what was parked put back before people; on both databases."""

import pytest
from django.core.exceptions import PermissionDenied

from annotate import queue as claims
from annotate.actions.build_tasks import TaskItem
from annotate.actions.reconcile_queue import reconcile_queue
from annotate.actions.skip import skip
from annotate.actions.undo import undo
from annotate.actions.undo_skip import undo_skip
from annotate.actions.unpark import park, unpark
from annotate.errors import AnnotateError
from annotate.models import Exclusion, LeaseEvent, Slot, Task, TaskText, User

from .conftest import answer, ask_to_write, build, leased, make_prompt, rank_item, send

pytestmark = pytest.mark.usefixtures("database")

ALL_TIED = {"groups": [["A", "B", "C", "D"]]}


def skipped(task: Task, user: User, reason: str = "broken_text") -> Slot:
    slot = leased(task.queue, user)
    skip(slot=slot, by=user, token=slot.token, reason=reason, note="")
    return slot


def undone(slot: Slot, user: User) -> Slot | None:
    return undo_skip(slot=Slot.objects.select_related("queue__project").get(pk=slot.pk), by=user)


@pytest.fixture
def parked(database, task, ana, abe, rex) -> Task:
    for user in (ana, abe, rex):
        skipped(task, user)
    task.refresh_from_db()
    return task


@pytest.mark.parametrize("reason", ["broken_text", "later"])
def test_a_skip_taken_back_is_a_lease_again(database, task, ana, reason):
    slot = skipped(task, ana, reason)
    again = undone(slot, ana)
    assert again is not None
    assert (again.pk, again.status, again.user) == (slot.pk, "leased", ana)
    assert not task.exclusions.exists()
    assert send(again, ana, ALL_TIED).outcome == "counted"


def test_what_another_took_meanwhile_comes_back_when_it_is_free(database, task, ana, abe):
    slot = skipped(task, ana)
    held = leased(task.queue, abe)
    assert undone(slot, ana) is None
    claims.release(held, user=abe, token=held.token)
    assert leased(task.queue, ana).task == task


def test_a_skip_taken_back_releases_the_next_task(database, task, ana):
    build(task.queue, rank_item(task.queue.project, ["One.", "Two.", "Three.", "Four."], prompt="Another?"))
    slot = skipped(task, ana)
    following = leased(task.queue, ana)
    undone(slot, ana)
    following.refresh_from_db()
    assert following.status == "open"
    assert LeaseEvent.objects.filter(slot=following).get().ending == "released"


def test_a_skip_stays_after_the_next_answer(database, task, ana):
    build(task.queue, rank_item(task.queue.project, ["One.", "Two.", "Three.", "Four."], prompt="Another?"))
    slot = skipped(task, ana)
    answer(task.queue, ana, ALL_TIED)
    with pytest.raises(AnnotateError) as refusal:
        undone(slot, ana)
    assert refusal.value.code == "undo_too_late"
    assert Exclusion.objects.get().task == slot.task


def test_the_skip_that_parked_a_task_taken_back_brings_it_back(database, parked, rex):
    again = undone(Slot.objects.get(), rex)
    parked.refresh_from_db()
    assert again is not None
    assert (again.user, parked.state) == (rex, Task.State.ADMITTED)


def test_a_returned_answer_stays_its_authors_when_the_skip_is_taken_back(
    database, project, writing, reviewing, ana, abe, rex
):
    ask_to_write(writing, make_prompt(project))
    answer(writing, ana, {"text": "It returns"})
    answer(reviewing, rex, {"decision": "return", "comment": "The whole sentence, please."})
    again = undone(skipped(writing.tasks.latest("pk"), ana), ana)
    assert again is not None
    claims.release(again, user=ana, token=again.token or "")
    assert claims.claim(writing, abe).slot is None
    assert claims.claim(writing, ana).why == "returned to you"


def test_an_unparked_task_asks_those_who_did_not_skip_it(database, parked, ana, ada):
    unpark(task=parked)
    parked.refresh_from_db()
    assert parked.state == Task.State.ADMITTED
    assert claims.claim(parked.queue, ana).cause == "others"
    assert leased(parked.queue, ada).task == parked  # the roles are asked before, in access


def test_three_new_skips_park_a_task_again_and_one_does_not(database, parked, ada):
    unpark(task=parked)
    skipped(parked, ada)
    parked.refresh_from_db()
    assert parked.state == Task.State.ADMITTED


def test_only_what_is_parked_is_unparked(database, task):
    with pytest.raises(AnnotateError) as refusal:
        unpark(task=task)
    assert refusal.value.code == "not_parked"


def test_what_was_unparked_is_parked_by_its_undo(database, parked, ada):
    unpark(task=parked)
    park(task=parked)
    parked.refresh_from_db()
    assert parked.state == Task.State.PARKED
    assert claims.claim(parked.queue, ada).slot is None
    assert reconcile_queue(fix=False) == []


def test_a_reserved_place_is_not_taken_by_an_undo_of_another(database, project, writing, ana, abe):
    prompt = make_prompt(project)
    task = build(writing, TaskItem([(prompt, TaskText.Part.PROMPT)], reserved_for=ana))
    slot = skipped(task, ana)
    Slot.objects.update(reserved_for=abe)
    assert undone(Slot.objects.get(pk=slot.pk), ana) is None


def test_who_takes_an_answer_back_and_skips_its_task_cannot_send_it_after_all(task, ana):
    slot = leased(task.queue, ana)
    send(slot, ana, ALL_TIED)
    undo(judgement=task.judgements.select_related("task__queue__project", "user", "slot").get(), by=ana)
    skipped(task, ana)
    with pytest.raises(PermissionDenied, match="skipped"):
        send(Slot.objects.select_related("task", "queue__project").get(), ana, ALL_TIED, token=slot.token)
    assert task.slots.get().status == "open"
