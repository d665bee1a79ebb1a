"""Compare the states of tasks with their slots, from which they can always be rebuilt."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from annotate.models import Slot, Task

WANTED = [Slot.Status.OPEN, Slot.Status.LEASED]


@dataclass(frozen=True)
class Difference:
    """A task whose state is not what its slots say."""

    task: int
    state: str
    should_be: str

    def __str__(self) -> str:
        return f"task {self.task} is {self.state}; its slots say {self.should_be}"


@transaction.atomic
def reconcile_queue(*, fix: bool) -> list[Difference]:
    """Tasks admitted that ask nobody any more, complete that still ask, held that have slots; mended with fix."""
    slots = Slot.objects.filter(task=OuterRef("pk"))
    wants, done = Exists(slots.filter(status__in=WANTED)), Exists(slots.filter(status=Slot.Status.DONE))
    tasks = Task.objects.select_for_update(no_key=True, of=("self",)).order_by("pk")
    found = [
        *_differing(tasks.filter(~wants, done, state=Task.State.ADMITTED), Task.State.COMPLETE),
        *_differing(tasks.filter(wants, state__in=[Task.State.COMPLETE, Task.State.HELD]), Task.State.ADMITTED),
        *_differing(tasks.filter(~wants, done, state=Task.State.HELD), Task.State.COMPLETE),
    ]
    if fix:
        for difference in found:
            Task.objects.filter(pk=difference.task).update(state=difference.should_be)
    return found


def _differing(tasks: QuerySet[Task], should_be: str) -> list[Difference]:
    return [Difference(task.pk, task.state, should_be) for task in tasks]
