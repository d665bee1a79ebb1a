"""Give a person back a task that they have just let go of."""

from __future__ import annotations

import secrets
from datetime import timedelta

from annotate.models import LeaseEvent, Queue, Slot, User
from annotate.queue import clock, end_lease


def lease_again(slot_id: int, *, by: User, queue: Queue) -> Slot:
    """The slot, leased to by; with its token where it was theirs. A lease that by has in this queue is released first.

    The caller holds the task's lock, and the slot is open or was by's.
    """
    since = Slot.objects.select_for_update(no_key=True, of=("self",)).select_related("task")
    for held in since.filter(queue=queue, user=by, status=Slot.Status.LEASED).exclude(pk=slot_id):
        end_lease(held, ending=LeaseEvent.Ending.RELEASED)
    at = clock()
    slot = Slot.objects.select_for_update(no_key=True).get(pk=slot_id)
    slot.status, slot.user, slot.leased_at = Slot.Status.LEASED, by, at
    slot.lease_until = at + timedelta(minutes=queue.lease_minutes)
    slot.token, slot.shown_at = slot.token or secrets.token_urlsafe(32), slot.shown_at or at
    slot.save(update_fields=["status", "user", "leased_at", "lease_until", "token", "shown_at"])
    return Slot.objects.select_related("task", "queue__project", "user").get(pk=slot.pk)
