"""Pass a task on to others, with a reason."""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction

from annotate.errors import AnnotateError
from annotate.models import Exclusion, LeaseEvent, Slot, Task, User
from annotate.queue import clock, end_lease

LATER_MINUTES = 30
SKIPS_THAT_PARK = 3
MOST_NOTE = 500


@transaction.atomic
def skip(*, slot: Slot, by: User, token: str, reason: str, note: str) -> None:
    """Release the slot and keep by from its task: for good, or for 30 minutes where the reason is `later`.

    The third person who skips a task parks it for a reviewer.

    Raises AnnotateError with code
        bad_reason    no reason of the list, or `other` without a note
        lease_lost    409: by does not hold the slot any more
    """
    _check(reason, note)
    task = Task.objects.select_for_update(no_key=True).get(pk=slot.task_id)
    held = Slot.objects.select_for_update(no_key=True).filter(pk=slot.pk, user=by, token=token)
    current = held.filter(status=Slot.Status.LEASED).first()
    if current is None:
        raise AnnotateError("lease_lost", "You do not hold this task any more.", status=409)
    current.task = task
    end_lease(current, ending=LeaseEvent.Ending.SKIPPED)
    later = reason == Exclusion.Skip.LATER
    Exclusion.objects.update_or_create(
        task=task,
        user=by,
        defaults={
            "reason": Exclusion.Reason.LATER if later else Exclusion.Reason.SKIPPED,
            "skip": reason,
            "note": note,
            "until": clock() + timedelta(minutes=LATER_MINUTES) if later else None,
            "created_at": clock(),
        },
    )
    if not later:
        Slot.objects.filter(pk=slot.pk).update(reserved_for=None)
        _park(task)


def _check(reason: str, note: str) -> None:
    if reason not in Exclusion.Skip.values:
        raise AnnotateError("bad_reason", f"reason must be one of {', '.join(Exclusion.Skip.values)}.", field="reason")
    if reason == Exclusion.Skip.OTHER and not note.strip():
        raise AnnotateError("bad_reason", "Say in a note what the other reason is.", field="note")
    if len(note) > MOST_NOTE:
        raise AnnotateError("bad_reason", f"A note has at most {MOST_NOTE} characters.", field="note")


def _park(task: Task) -> None:
    if skips(task) < SKIPS_THAT_PARK:
        return
    task.slots.filter(status=Slot.Status.OPEN).update(status=Slot.Status.VOID)
    Task.objects.filter(pk=task.pk, state=Task.State.ADMITTED).update(state=Task.State.PARKED)


def skips(task: Task) -> int:
    """How many people have skipped the task since a reviewer last put it back."""
    skipped = task.exclusions.filter(reason=Exclusion.Reason.SKIPPED)
    return (skipped.filter(created_at__gt=task.unparked_at) if task.unparked_at else skipped).count()
