"""Take the last answer back."""

from __future__ import annotations

import secrets
from datetime import timedelta

from django.core.exceptions import PermissionDenied
from django.db import transaction

from annotate.actions.follow_up import take_back
from annotate.actions.settle_overlap import settle_overlap
from annotate.errors import AnnotateError
from annotate.models import Exclusion, Judgement, LeaseEvent, Queue, Revision, Slot, Task, User
from annotate.presentation import app_version, guideline_version
from annotate.queue import clock, end_lease


@transaction.atomic
def undo(*, judgement: Judgement, by: User) -> Slot | None:
    """Append an undo revision; the slot, leased to by again, or None where the answer was surplus and had no slot.

    A lease that by took since in this queue is released first; its draft stays. Tasks that the answer asked for and
    nobody has answered are void. judgement comes with its task, queue and project.

    Raises PermissionDenied where it is another's, AnnotateError 409 with code undo_too_late after a later answer.
    """
    if judgement.user_id != by.pk:
        raise PermissionDenied
    task = Task.objects.select_for_update(no_key=True).get(pk=judgement.task_id)
    newest = Revision.objects.filter(judgement__user=by).order_by("-pk").first()
    if newest is None or newest.judgement_id != judgement.pk or newest.kind not in Revision.ANSWERS:
        sentence = "Only the last answer can be undone, and only until the next one."
        raise AnnotateError("undo_too_late", sentence, status=409)
    queue = judgement.task.queue
    Revision.objects.create(
        judgement=judgement,
        number=newest.number + 1,
        kind=Revision.Kind.UNDO,
        body=None,
        sha256="",
        guideline_version=guideline_version(queue.project),
        queue_settings_version=queue.settings_version,
        app_version=app_version(),
    )
    take_back(judgement=judgement)
    Task.objects.filter(pk=task.pk, state=Task.State.COMPLETE).update(state=Task.State.ADMITTED)
    task.exclusions.filter(user=by, reason=Exclusion.Reason.SURPLUS).delete()
    leased = _leased_again(judgement.slot_id, by, queue) if judgement.slot_id else None
    task.queue = queue
    settle_overlap(task)
    return leased


def _leased_again(slot_id: int, by: User, queue: Queue) -> Slot:
    since = Slot.objects.select_for_update(no_key=True, of=("self",)).select_related("task")
    for slot in since.filter(queue=queue, user=by, status=Slot.Status.LEASED):
        end_lease(slot, ending=LeaseEvent.Ending.RELEASED)
    at = clock()
    slot = Slot.objects.select_for_update(no_key=True).get(pk=slot_id)
    slot.status, slot.leased_at = Slot.Status.LEASED, at
    slot.lease_until = at + timedelta(minutes=queue.lease_minutes)
    slot.token = slot.token or secrets.token_urlsafe(32)
    slot.save(update_fields=["status", "leased_at", "lease_until", "token"])
    return Slot.objects.select_related("task", "queue__project", "user").get(pk=slot.pk)
