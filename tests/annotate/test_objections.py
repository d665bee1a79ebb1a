"""Who wrote an answer that came back may object; a reviewer who did not return it decides. On both databases."""

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied

from annotate import contested
from annotate import queue as claims
from annotate.actions.count_surplus import count_surplus
from annotate.actions.edit_answer import edit_answer
from annotate.actions.objection import decide_objection, object_to_return, take_objection_back, undecide_objection
from annotate.actions.reconcile_queue import reconcile_queue
from annotate.actions.undo import undo
from annotate.actions.unpark import unpark
from annotate.actions.withdraw import withdraw
from annotate.errors import AnnotateError
from annotate.exports.answers import sft_counts, sft_rows
from annotate.models import Judgement, Membership, Objection, Queue, Revision, Role, Task, User
from annotate.presentation import payload

from .conftest import BY_KEYBOARD, answer, ask_to_write, leased, make_prompt, send

pytestmark = pytest.mark.usefixtures("database")

WHY = "The documentation says the same."


def objected(slot: Any, by: User, reason: str = WHY) -> Objection:
    made = object_to_return(slot=slot, by=by, token=slot.token, reason=reason)
    return found(made)


def found(objection: Objection) -> Objection:
    rows = Objection.objects.select_related("task__queue__project", "task__follows__task__queue__project")
    return rows.get(pk=objection.pk)


def decided(objection: Objection, by: User, *, stands: bool, note: str = "Of an iterable.") -> Objection:
    decide_objection(objection=objection, by=by, stands=stands, note=note)
    return found(objection)


def acceptance(objection: Objection) -> Judgement:
    assert objection.decision_id is not None
    return Judgement.objects.select_related("task__queue__project", "slot").get(pk=objection.decision_id)


def test_who_objects_does_not_write_again_until_it_is_decided(database, project, writing, returned, ana, abe):
    objected(returned, ana)
    assert claims.claim(writing, ana).slot is None
    assert claims.claim(writing, abe).slot is None
    assert list(contested.parked(project)) == []
    assert reconcile_queue(fix=False) == []


def test_an_accepted_objection_makes_the_answer_a_row_as_it_was(database, project, writing, returned, ana, rita):
    objection = decided(objected(returned, ana), rita, stands=False)
    [row] = sft_rows(project, {})
    assert (row["messages"][-1]["content"], row["decision"]) == ("It returns the least value.", "accept")
    assert (row["by"], row["revision"]) == (ana.pseudonym(project), str(acceptance(objection).revisions.get().uuid))
    assert claims.claim(writing, ana).cause == "finished"
    assert list(contested.parked(project)) == []
    assert reconcile_queue(fix=False) == []


def test_the_return_that_was_overruled_stays_on_record_and_counts_no_more(database, returned, ana, rex, rita):
    decided(objected(returned, ana), rita, stands=False)
    assert Revision.objects.current().get(judgement__user=rex).answer["decision"] == "return"
    assert not Revision.objects.counted().filter(judgement__user=rex).exists()


def test_a_return_that_stands_goes_back_to_its_author_with_the_reason(database, project, writing, returned, ana, rita):
    decided(objected(returned, ana), rita, stands=True)
    again = leased(writing, ana)
    assert payload(again)["returned"]["upheld"] == "Of an iterable."
    assert send(again, ana, {"text": "It returns the least item of an iterable."}).outcome == "counted"
    assert sft_counts(project, {}) == {"returned": 1, "not_reviewed": 1}


def test_a_return_is_objected_to_once(database, writing, returned, ana, rita):
    decided(objected(returned, ana), rita, stands=True)
    again = leased(writing, ana)
    with pytest.raises(AnnotateError) as refusal:
        objected(again, ana)
    assert refusal.value.code == "objected"
    assert Objection.objects.count() == 1


def test_neither_who_returned_it_nor_its_author_decides(database, project, returned, ana, rex):
    objection = objected(returned, ana)
    Membership.objects.create(project=project, user=ana, role=Role.REVIEWER)
    for who in (rex, ana):
        with pytest.raises(PermissionDenied):
            decided(objection, who, stands=False)
    assert found(objection).decided_at is None


def test_who_lets_a_return_stand_says_why(database, returned, ana, rita):
    objection = objected(returned, ana)
    with pytest.raises(AnnotateError) as refusal:
        decided(objection, rita, stands=True, note=" ")
    assert (refusal.value.code, refusal.value.facts["field"]) == ("no_reason", "note")
    assert found(objection).decided_at is None


def test_it_is_decided_once(database, returned, ana, rita, ada):
    objection = decided(objected(returned, ana), rita, stands=False)
    with pytest.raises(AnnotateError) as refusal:
        decided(objection, ada, stands=True)
    assert refusal.value.code == "decided"
    assert found(objection).stands is False


@pytest.mark.parametrize("stands", [True, False])
def test_a_decision_taken_back_waits_and_can_be_taken_again(database, project, writing, returned, ana, rita, stands):
    objection = decided(objected(returned, ana), rita, stands=stands)
    undecide_objection(objection=objection, by=rita)
    assert found(objection).decided_at is None
    assert sft_counts(project, {}) == {"returned": 1}
    assert claims.claim(writing, ana).slot is None
    assert reconcile_queue(fix=False) == []
    decided(found(objection), rita, stands=False)
    assert len(list(sft_rows(project, {}))) == 1
    assert reconcile_queue(fix=False) == []


def test_a_decision_stays_once_its_author_writes_again(database, writing, returned, ana, rita):
    objection = decided(objected(returned, ana), rita, stands=True)
    leased(writing, ana)
    with pytest.raises(AnnotateError) as refusal:
        undecide_objection(objection=objection, by=rita)
    assert refusal.value.code == "undo_too_late"


def test_another_does_not_take_a_decision_back(database, returned, ana, rita, ada):
    objection = decided(objected(returned, ana), rita, stands=False)
    with pytest.raises(PermissionDenied):
        undecide_objection(objection=objection, by=ada)


def test_an_objection_taken_back_is_the_task_again(database, returned, ana, abe):
    objection = objected(returned, ana)
    with pytest.raises(PermissionDenied):
        take_objection_back(objection=objection, by=abe)
    again = take_objection_back(objection=objection, by=ana)
    assert (again.pk, again.status, again.user) == (returned.pk, "leased", ana)
    assert not Objection.objects.exists()
    assert send(again, ana, {"text": "It returns the least item."}).outcome == "counted"


def test_only_an_own_answer_that_came_back_is_objected_for(database, project, writing, ana):
    ask_to_write(writing, make_prompt(project))
    with pytest.raises(AnnotateError) as refusal:
        objected(leased(writing, ana), ana)
    assert refusal.value.code == "not_returned"


def test_an_objection_has_a_reason(database, returned, ana):
    with pytest.raises(AnnotateError) as refusal:
        objected(returned, ana, "  ")
    assert refusal.value.code == "no_reason"
    assert Task.objects.get(pk=returned.task_id).state == Task.State.ADMITTED


def test_nobody_unparks_what_waits_for_a_decision(database, returned, ana):
    objection = objected(returned, ana)
    with pytest.raises(AnnotateError) as refusal:
        unpark(task=objection.task)
    assert refusal.value.code == "objected"


def test_what_decides_an_objection_is_not_changed_by_itself(database, returned, ana, rita):
    judgement = acceptance(decided(objected(returned, ana), rita, stands=False))
    body = {"decision": "return", "comment": "After all."}
    for act in (
        lambda: undo(judgement=judgement, by=rita),
        lambda: withdraw(judgement=judgement, by=rita, note=""),
        lambda: edit_answer(judgement=judgement, by=rita, body=body, times=BY_KEYBOARD),
    ):
        with pytest.raises(AnnotateError) as refusal:
            act()
        assert refusal.value.code == "settles"


def test_what_was_overruled_is_not_counted_again_and_asks_nobody_when_withdrawn(
    database, project, reviewing, returned, ana, rex, rita, ada
):
    decided(objected(returned, ana), rita, stands=False)
    overruled = Judgement.objects.select_related("task__queue__project", "slot").get(user=rex)
    with pytest.raises(AnnotateError):
        count_surplus(judgement=overruled, by=ada)
    withdraw(judgement=overruled, by=rex, note="")
    assert claims.claim(reviewing, ada).slot is None
    assert len(list(sft_rows(project, {}))) == 1


def test_a_queue_that_grows_is_settled_by_the_acceptance(database, project, writing, reviewing, ana, rex, rita):
    Queue.objects.filter(pk=reviewing.pk).update(overlap_max=2)
    reviewing.refresh_from_db()
    ask_to_write(writing, make_prompt(project))
    answer(writing, ana, {"text": "It returns the least value."})
    answer(reviewing, rex, {"decision": "return", "comment": "Of what?"})
    decided(objected(leased(writing, ana), ana), rita, stands=False)
    assert list(contested.disputed(project)) == []
    assert claims.claim(reviewing, rita).slot is None
