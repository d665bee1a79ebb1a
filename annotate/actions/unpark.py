"""Put a task aside, or back before people."""

from __future__ import annotations

from django.db import transaction

from annotate.errors import AnnotateError
from annotate.models import Objection, Slot, Task
from annotate.overlap import settle_overlap
from annotate.queue import clock


@transaction.atomic
def unpark(*, task: Task) -> None:
    """Ask for the answers that are missing again; who skipped it is not asked, and three new skips park it again.

    task comes with its queue. Raises AnnotateError 409 with code not_parked, or objected until that is decided.
    """
    locked = _locked(task, Task.State.PARKED, "not_parked", "This task is not parked any more.")
    if Objection.objects.waiting().filter(task=task).exists():
        raise AnnotateError("objected", "This task waits for the decision about an objection.", status=409)
    Task.objects.filter(pk=task.pk).update(unparked_at=clock())
    reopen(locked)


@transaction.atomic
def park(*, task: Task) -> None:
    """Ask nobody until it is unparked; who holds it may still answer. Raises AnnotateError 409 with code not_asked."""
    _locked(task, Task.State.ADMITTED, "not_asked", "This task asks nobody now.")
    task.slots.filter(status=Slot.Status.OPEN).update(status=Slot.Status.VOID)
    Task.objects.filter(pk=task.pk).update(state=Task.State.PARKED)


def reopen(task: Task) -> None:
    """Open the places that parking closed. The caller has locked the task, which comes with its queue."""
    task.slots.filter(status=Slot.Status.VOID, extra=False).update(status=Slot.Status.OPEN)
    Task.objects.filter(pk=task.pk).update(state=Task.State.ADMITTED)
    settle_overlap(task)


def _locked(task: Task, state: str, code: str, sentence: str) -> Task:
    locked = Task.objects.select_for_update(no_key=True).get(pk=task.pk)
    if locked.state != state:
        raise AnnotateError(code, sentence, status=409)
    locked.queue = task.queue
    return locked
