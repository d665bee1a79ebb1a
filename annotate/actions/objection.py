"""Object to a return in place of writing again; accept the answer then as it is, or let the return stand.

The lock order is the review's task, then the one to write again, as a review takes them.
"""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db import transaction

from annotate.actions.lease_again import lease_again, lock_with_held
from annotate.actions.revise import present, revise, take_away
from annotate.actions.unpark import reopen
from annotate.contested import took_part
from annotate.errors import AnnotateError
from annotate.models import Judgement, LeaseEvent, Objection, Queue, Revision, Slot, Task, User
from annotate.overlap import settle_overlap
from annotate.presentation import shown
from annotate.queue import clock, end_lease


@transaction.atomic
def object_to_return(*, slot: Slot, by: User, token: str, reason: str) -> Objection:
    """Put the task to write an answer again aside until a reviewer has decided. slot comes with its task and queue.

    Raises AnnotateError with code
        no_reason     400: a reason has 1 to 2,000 characters
        lease_lost    409: by does not hold the task
        not_returned  409: the task is no answer of by's that came back
        objected      409: by has objected to this return before
    """
    why = _sentence(reason, field="objection", least=1)
    task = _locked(slot.task, slot.queue)
    held = task.slots.select_for_update(no_key=True).filter(pk=slot.pk, user=by, token=token)
    current = held.filter(status=Slot.Status.LEASED).first()
    if current is None:
        raise AnnotateError("lease_lost", "You do not hold this task any more.", status=409)
    if task.follows_id is None or task.queue.kind != Queue.Kind.WRITE_ANSWER or current.reserved_for_id != by.pk:
        raise AnnotateError("not_returned", "Only an answer of yours that came back can be objected for.", status=409)
    if Objection.objects.filter(task=task).exists():
        raise AnnotateError("objected", "You objected to this return before; it stands.", status=409)
    objection = Objection.objects.create(task=task, user=by, reason=why)
    _put_aside(task)
    current.task = task
    end_lease(current, ending=LeaseEvent.Ending.RELEASED)
    return objection


@transaction.atomic
def take_objection_back(*, objection: Objection, by: User) -> Slot:
    """The task to write the answer again, leased to by. objection comes with its task and queue.

    Raises PermissionDenied where it is another's, AnnotateError 409 with code decided where a reviewer has decided.
    """
    if objection.user_id != by.pk:
        raise PermissionDenied
    task = lock_with_held(objection.task_id, by=by, queue=objection.task.queue)
    _undecided(objection).delete()
    reopen(task)
    return lease_again(task.slots.get(reserved_for=by).pk, by=by, queue=task.queue)


@transaction.atomic
def decide_objection(*, objection: Objection, by: User, stands: bool, note: str) -> None:
    """Let the return stand, and its author writes again; else the answer is accepted as it is, in the return's place.

    The return then counts no more and stays on record. objection comes with its task and queue, and what it follows.

    Raises PermissionDenied where by wrote or reviewed the answer.
    Raises AnnotateError with code
        no_reason   400: who lets a return stand tells the author why
        decided     409: somebody has decided
    """
    said = _sentence(note, field="note", least=int(stands))
    review, task = _both(objection)
    if by.pk == objection.user_id or took_part([review.pk], by):
        raise PermissionDenied("Nobody decides about what they wrote or reviewed.")
    _undecided(objection)
    if stands:
        reopen(task)
    decision = None if stands else _accept(review, task, by, said)
    Objection.objects.filter(pk=objection.pk).update(
        stands=stands, decided_by=by, decided_at=clock(), decision=decision, note=said
    )


@transaction.atomic
def undecide_objection(*, objection: Objection, by: User) -> None:
    """Undo of by's decision: the objection waits again. objection comes as for deciding.

    Raises PermissionDenied where another decided.
    Raises AnnotateError 409 with code
        undecided      nobody has decided
        undo_too_late  the author has the task to write again
    """
    review, task = _both(objection)
    decided = Objection.objects.select_for_update(no_key=True).filter(pk=objection.pk).first()
    if decided is None or decided.decided_by_id is None:
        raise AnnotateError("undecided", "This objection waits for a decision.", status=409)
    if decided.decided_by_id != by.pk:
        raise PermissionDenied
    if decided.decision_id is None and not task.slots.filter(status=Slot.Status.OPEN).exists():
        raise AnnotateError("undo_too_late", "The author writes it again already.", status=409)
    if decided.decision_id is not None:
        _take_acceptance_back(decided, review, task)
    _put_aside(task)
    Objection.objects.filter(pk=decided.pk).update(
        stands=None, decided_by=None, decided_at=None, decision=None, note=""
    )


def _accept(review: Task, task: Task, by: User, note: str) -> Judgement:
    """by's acceptance, in a place of its own, beside the return that counts no more; nobody writes again."""
    Judgement.objects.filter(asked=task).update(counted=False)
    Task.objects.filter(pk=task.pk).update(state=Task.State.VOID)
    last = review.slots.latest("ordinal")
    place = Slot.objects.create(
        task=review,
        queue=review.queue,
        ordinal=last.ordinal + 1,
        extra=True,
        status=Slot.Status.DONE,
        user=by,
        priority=last.priority,
        admit_seq=last.admit_seq,
    )
    judgement, _ = Judgement.objects.update_or_create(task=review, user=by, defaults={"slot": place, "counted": True})
    what = shown(review, by)
    body = {"decision": "accept", "reasons": [], "comment": note}
    revision = revise(judgement, body, what, number=judgement.revisions.count() + 1)
    present(revision, what, lease=None, active_ms=None, hidden_ms=None, by=None)
    settle_overlap(review)
    return judgement


def _take_acceptance_back(objection: Objection, review: Task, task: Task) -> None:
    judgement = objection.decision
    assert judgement is not None  # the caller asks
    number, kind = judgement.revisions.count() + 1, Revision.Kind.UNDO
    take_away(judgement, queue=review.queue, number=number, kind=kind, by=None, note="")
    Slot.objects.filter(judgements=judgement).update(status=Slot.Status.VOID, user=None)
    Judgement.objects.filter(asked=task).update(counted=True)
    settle_overlap(review)


def _put_aside(task: Task) -> None:
    """Ask nobody until it is decided."""
    task.slots.filter(status=Slot.Status.OPEN).update(status=Slot.Status.VOID)
    Task.objects.filter(pk=task.pk).update(state=Task.State.PARKED)
    task.state = Task.State.PARKED


def _undecided(objection: Objection) -> Objection:
    found = Objection.objects.select_for_update(no_key=True).waiting().filter(pk=objection.pk).first()
    if found is None:
        raise AnnotateError("decided", "This objection is decided, or taken back.", status=409)
    return found


def _both(objection: Objection) -> tuple[Task, Task]:
    """The review's task and the one to write again, locked."""
    assert objection.task.follows is not None  # `object_to_return` asks
    review = objection.task.follows.task
    return _locked(review, review.queue), _locked(objection.task, objection.task.queue)


def _locked(task: Task, queue: Queue) -> Task:
    locked = Task.objects.select_for_update(no_key=True).get(pk=task.pk)
    locked.queue = queue
    return locked


def _sentence(given: str, *, field: str, least: int) -> str:
    found = given.strip()
    if not least <= len(found) <= Objection.MOST:
        raise AnnotateError("no_reason", f"Say why, in {least} to {Objection.MOST:,} characters.", field=field)
    return found
