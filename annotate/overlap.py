"""Ask one more person where answers disagree, until they agree or there are as many as the queue wants."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any  # bodies are JSON

from annotate.agreement import disagree
from annotate.models import Queue, Revision, Slot, Task

WANTED = (Slot.Status.OPEN, Slot.Status.LEASED)


class Verdict(Enum):
    """What the answers to a task ask for. WAIT: one of the first answers is not in yet."""

    WAIT = "wait"
    AGREE = "agree"
    ASK = "ask"
    DISPUTE = "dispute"


def settle_overlap(task: Task) -> None:
    """Open or close the extra place of a task, and say whether it is disputed; nothing where its queue does not grow.

    The caller has locked the task, which comes with its queue. Five statements.
    """
    if not task.queue.grows:
        return
    slots = list(Slot.objects.select_for_update(no_key=True).filter(task=task).order_by("ordinal"))
    found = verdict(task.queue, slots, bodies_of(task))
    if found == Verdict.ASK and not any(slot.extra and slot.status in WANTED for slot in slots):
        _open_extra(task, slots)
    elif found != Verdict.ASK:
        task.slots.filter(extra=True, status=Slot.Status.OPEN).update(status=Slot.Status.VOID)
    asked = task.slots.filter(status__in=WANTED).exists()
    current = Task.objects.filter(pk=task.pk, state__in=[Task.State.ADMITTED, Task.State.COMPLETE])
    state = Task.State.ADMITTED if asked else Task.State.COMPLETE
    current.update(state=state, disputed=found == Verdict.DISPUTE)


def verdict(queue: Queue, slots: Sequence[Slot], bodies: Sequence[dict[str, Any]]) -> Verdict:
    """slots: all of a task; bodies: of its counted answers, as stored."""
    assert queue.overlap_max is not None  # the queue grows
    if any(not slot.extra and slot.status in WANTED for slot in slots):
        return Verdict.WAIT
    if not disagree(queue.kind, bodies):
        return Verdict.AGREE
    return Verdict.ASK if len(bodies) < queue.overlap_max else Verdict.DISPUTE


def bodies_of(task: Task) -> list[dict[str, Any]]:
    """The answers of people to a task that stand and count. One query."""
    counted = Revision.objects.counted().filter(judgement__task=task, judgement__user__isnull=False)
    return [revision.answer for revision in counted]


def _open_extra(task: Task, slots: Sequence[Slot]) -> None:
    """Behind nothing new: the place has the admission number of its task. A place that was closed opens again."""
    closed = next((slot for slot in slots if slot.extra and slot.status == Slot.Status.VOID), None)
    if closed:
        Slot.objects.filter(pk=closed.pk).update(status=Slot.Status.OPEN)
        return
    Slot.objects.create(
        task=task,
        queue=task.queue,
        ordinal=slots[-1].ordinal + 1,
        extra=True,
        priority=max(task.queue.priority, *(slot.priority for slot in slots)),
        admit_seq=slots[0].admit_seq,
    )
