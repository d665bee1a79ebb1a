"""Take a skip back."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q

from annotate.actions.hide import show_again
from annotate.actions.lease_again import lease_again, lock_with_held
from annotate.actions.skip import SKIPS_THAT_PARK, skips
from annotate.actions.unpark import reopen
from annotate.errors import AnnotateError
from annotate.models import Exclusion, Hiding, Queue, Revision, Slot, Task, TaskText, User

SKIPS = [Exclusion.Reason.SKIPPED, Exclusion.Reason.LATER]


@transaction.atomic
def undo_skip(*, slot: Slot, by: User) -> Slot | None:
    """The task that by skipped, leased to them again; None where others hold all of it, and then it may come again.

    A lease that by took since in this queue is released first; its draft stays. A task that the skip parked is back,
    and what it hid is shown again. slot comes with its queue.

    Raises AnnotateError 409 with code undo_too_late where by has not skipped its task, or has answered another since.
    """
    for hiding in Hiding.objects.filter(task=slot.task_id, user=by).select_related("project"):
        show_again(hiding=hiding)
    task = lock_with_held(slot.task_id, by=by, queue=slot.queue)
    skipped = task.exclusions.filter(user=by, reason__in=SKIPS).first()
    if skipped is None or Revision.objects.filter(judgement__user=by, created_at__gt=skipped.created_at).exists():
        sentence = "Only the last skip can be undone, and only until the next answer."
        raise AnnotateError("undo_too_late", sentence, status=409)
    before = skips(task)
    skipped.delete()
    if task.state == Task.State.PARKED and skips(task) < SKIPS_THAT_PARK <= before:
        reopen(task)
    open_to = Q(reserved_for=None) | Q(reserved_for=by)
    free = task.slots.select_for_update(no_key=True).filter(open_to, status=Slot.Status.OPEN)
    found = free.filter(pk=slot.pk).first() or free.order_by("ordinal").first()
    if found is None:
        return None
    if skipped.reason == Exclusion.Reason.SKIPPED and _came_back_to(task, by):
        Slot.objects.filter(pk=found.pk).update(reserved_for=by)
    return lease_again(found.pk, by=by, queue=slot.queue)


def _came_back_to(task: Task, by: User) -> bool:
    """Whether the task asks by to write an answer of their own again."""
    if task.follows is None or task.queue.kind != Queue.Kind.WRITE_ANSWER:
        return False
    return task.follows.task.task_texts.filter(part=TaskText.Part.ANSWER, text__author=by).exists()
