"""Give a person back a task that they have just let go of."""

from __future__ import annotations

import secrets
from datetime import timedelta

from django.db.models import Q

from annotate.models import LeaseEvent, Queue, Slot, Task, User
from annotate.queue import clock, end_leases, lock_tasks


def lock_with_held(task_id: int, *, by: User, queue: Queue) -> Task:
    """The task, locked together with the one that by holds in its queue."""
    held = Slot.objects.filter(queue=queue, user=by, status=Slot.Status.LEASED)
    task = lock_tasks(Task.objects.filter(Q(pk=task_id) | Q(pk__in=held.values("task"))))[task_id]
    task.queue = queue
    return task


def lease_again(slot_id: int, *, by: User, queue: Queue) -> Slot:
    """The slot, leased to by; with its token where it was theirs. A lease that by has in this queue is released first.

    The caller has locked the task by `lock_with_held`, and the slot is open or was by's.
    """
    since = Slot.objects.filter(queue=queue, user=by).exclude(pk=slot_id)
    end_leases(since, ending=LeaseEvent.Ending.RELEASED)
    at = clock()
    slot = Slot.objects.select_for_update(no_key=True).get(pk=slot_id)
    slot.status, slot.user, slot.leased_at = Slot.Status.LEASED, by, at
    slot.lease_until = at + timedelta(minutes=queue.lease_minutes)
    slot.token, slot.shown_at = slot.token or secrets.token_urlsafe(32), slot.shown_at or at
    slot.save(update_fields=["status", "user", "leased_at", "lease_until", "token", "shown_at"])
    return Slot.objects.select_related("task", "queue__project", "user").get(pk=slot.pk)
