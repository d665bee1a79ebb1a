"""Pass a task on to others, with a reason."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from annotate.actions.hide import categories_of, hide, lock
from annotate.errors import AnnotateError
from annotate.models import Exclusion, Hiding, LeaseEvent, Slot, Task, User
from annotate.queue import clock, end_lease, lock_tasks

SKIPS_THAT_PARK = 3
MOST_NOTE = 500


@transaction.atomic
def skip(
    *,
    slot: Slot,
    by: User,
    token: str,
    reason: str,
    note: str,
    hide_categories: Sequence[str] = (),
    hide_until: datetime | None = None,
) -> list[Hiding]:
    """Release the slot and keep by from its task: for good, or for 30 minutes where the reason is `later`.

    The third person who skips a task parks it for a reviewer. hide_categories: of what upsets in its texts, hidden from
    by in this project until their day ends (`hide`); returns what is hidden from now on. slot comes with its queue and
    project.

    Raises AnnotateError, beside what `hide` names, with code
        bad_reason    no reason of the list, or `other` without a note
        bad_hide      the task does not upset, or its texts are not flagged so
        lease_lost    409: by does not hold the slot any more
    """
    _check(reason, note)
    if hide_categories:
        _check_hides(slot, reason, hide_categories)
        lock(slot.queue.project)
        held = Slot.objects.filter(user=by, status=Slot.Status.LEASED, queue__project=slot.queue.project_id)
        lock_tasks(Task.objects.filter(pk__in=held.values("task")))  # which hiding may end: by number, before this one
    task = Task.objects.select_for_update(no_key=True).get(pk=slot.task_id)
    task.queue = slot.queue
    held = Slot.objects.select_for_update(no_key=True).filter(pk=slot.pk, user=by, token=token)
    current = held.filter(status=Slot.Status.LEASED).first()
    if current is None:
        raise AnnotateError("lease_lost", "You do not hold this task any more.", status=409)
    current.task = task
    end_lease(current, ending=LeaseEvent.Ending.SKIPPED)
    later, at = reason == Exclusion.Skip.LATER, clock()
    Exclusion.objects.update_or_create(
        task=task,
        user=by,
        defaults={
            "reason": Exclusion.Reason.LATER if later else Exclusion.Reason.SKIPPED,
            "skip": reason,
            "note": note,
            "until": at + timedelta(minutes=Exclusion.LATER_MINUTES) if later else None,
            "created_at": at,
        },
    )
    if not later:
        Slot.objects.filter(pk=slot.pk).update(reserved_for=None)
        _park(task)
    if not hide_categories:
        return []
    return hide(project=slot.queue.project, by=by, categories=hide_categories, until=hide_until, task=task)


def _check(reason: str, note: str) -> None:
    if reason not in Exclusion.Skip.values:
        raise AnnotateError("bad_reason", f"reason must be one of {', '.join(Exclusion.Skip.values)}.", field="reason")
    if reason == Exclusion.Skip.OTHER and not note.strip():
        raise AnnotateError("bad_reason", "Say in a note what the other reason is.", field="note")
    if len(note) > MOST_NOTE:
        raise AnnotateError("bad_reason", f"A note has at most {MOST_NOTE} characters.", field="note")


def _check_hides(slot: Slot, reason: str, categories: Sequence[str]) -> None:
    if reason != Exclusion.Skip.UPSETTING:
        raise AnnotateError("bad_hide", "Only what upsets can be hidden.", field="hide")
    known = categories_of(slot.task)
    if not set(categories) <= set(known):
        sentence = f"hide takes what the texts of this task are marked with: {', '.join(known) or 'nothing'}."
        raise AnnotateError("bad_hide", sentence, field="hide")


def _park(task: Task) -> None:
    if skips(task) < SKIPS_THAT_PARK:
        return
    task.slots.filter(status=Slot.Status.OPEN).update(status=Slot.Status.VOID)
    Task.objects.filter(pk=task.pk, state=Task.State.ADMITTED).update(state=Task.State.PARKED)


def skips(task: Task) -> int:
    """How many people have skipped the task since a reviewer last put it back."""
    skipped = task.exclusions.filter(reason=Exclusion.Reason.SKIPPED)
    return (skipped.filter(created_at__gt=task.unparked_at) if task.unparked_at else skipped).count()
