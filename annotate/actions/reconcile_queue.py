"""Compare the states of tasks with their slots and answers, from which they can always be rebuilt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any  # bodies are JSON

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet

from annotate.models import Revision, Slot, Task
from annotate.overlap import WANTED, Verdict, settle_overlap, verdict

Json = dict[str, Any]

CHUNK = 100


@dataclass(frozen=True)
class Difference:
    """A task whose state is not what its slots say, or not what its answers say. by: slots or answers."""

    task: int
    state: str
    should_be: str
    by: str = "slots"

    def __str__(self) -> str:
        return f"task {self.task} is {self.state}; its {self.by} say {self.should_be}"


@transaction.atomic
def reconcile_queue(*, fix: bool) -> list[Difference]:
    """Tasks admitted that ask nobody any more, complete that still ask, held that have slots; mended with fix.

    Where queues grow, also tasks that ask once more without need or fail to, and wrong words of dispute.
    """
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
    grown = _overlaps()
    if fix:
        for task in Task.objects.select_related("queue").filter(pk__in=[one.task for one in grown]):
            settle_overlap(task)
    return [*found, *grown]


def _overlaps() -> list[Difference]:
    """Of the tasks of queues that grow: two queries a hundred tasks."""
    growing = Task.objects.filter(queue__overlap_max__gt=F("queue__overlap"), slots__isnull=False).distinct()
    begun = growing.filter(state__in=[Task.State.ADMITTED, Task.State.COMPLETE]).select_related("queue").order_by("pk")
    found = []
    for tasks in _batched(begun.prefetch_related("slots").iterator(chunk_size=CHUNK), CHUNK):
        bodies = _bodies(tasks)
        found += [one for task in tasks if (one := _overlap(task, bodies[task.pk]))]
    return found


def _overlap(task: Task, bodies: list[Json]) -> Difference | None:
    slots = list(task.slots.all())
    wanted = verdict(task.queue, slots, bodies)
    extra = {slot.status for slot in slots if slot.extra}
    asks = wanted == Verdict.ASK
    said = "asks once more" if Slot.Status.OPEN in extra else "disputed" if task.disputed else "settled"
    if asks and not extra & set(WANTED):
        return Difference(task.pk, said, "one more", by="answers")
    if not asks and Slot.Status.OPEN in extra:
        return Difference(task.pk, said, "no more", by="answers")
    if task.disputed != (wanted == Verdict.DISPUTE):
        return Difference(task.pk, said, "settled" if task.disputed else "disputed", by="answers")
    return None


def _bodies(tasks: Sequence[Task]) -> defaultdict[int, list[Json]]:
    counted = Revision.objects.counted().filter(judgement__task__in=tasks, judgement__user__isnull=False)
    found: defaultdict[int, list[Json]] = defaultdict(list)
    for revision in counted.select_related("judgement"):
        found[revision.judgement.task_id].append(revision.answer)
    return found


def _differing(tasks: QuerySet[Task], should_be: str) -> list[Difference]:
    return [Difference(task.pk, task.state, should_be) for task in tasks]


def _batched(rows: Iterable[Task], size: int) -> Iterator[list[Task]]:
    """As `itertools.batched` of Python 3.12."""
    left = iter(rows)
    while batch := list(islice(left, size)):
        yield batch
