"""Take back what was done last to an answer: the answer itself, a change to it, or its withdrawal."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db import transaction

from annotate.actions.edit_answer import refuse_settling, restore
from annotate.actions.follow_up import take_back
from annotate.actions.lease_again import lease_again, lock_with_held
from annotate.actions.retire_starts import retiring_starts
from annotate.actions.revise import take_away
from annotate.actions.withdraw import withdraw
from annotate.errors import AnnotateError
from annotate.models import Exclusion, Judgement, Revision, Slot, Task, User
from annotate.overlap import settle_overlap


@transaction.atomic
def undo(*, judgement: Judgement, by: User) -> Slot | None:
    """Undo by's last revision, if it is this judgement's, by a further one.

    A submission: the slot is leased to by again, or None where the answer was surplus and had no slot. A lease that by
    took since in this queue is released first; its draft stays. Tasks that the answer asked for and nobody has answered
    are void. An edit, or a withdrawal: what stood before it stands again, and None. judgement comes with its task,
    queue and project.

    Raises PermissionDenied where it is another's, AnnotateError 409 with code undo_too_late after a later answer, or
    settles where it decides an objection.
    """
    if judgement.user_id != by.pk:
        raise PermissionDenied
    task = lock_with_held(judgement.task_id, by=by, queue=judgement.task.queue)
    newest = Revision.objects.filter(judgement__user=by).order_by("-pk").first()
    if newest is None or newest.judgement_id != judgement.pk or newest.kind == Revision.Kind.UNDO or newest.by_id:
        sentence = "Only the last answer can be undone, and only until the next one."
        raise AnnotateError("undo_too_late", sentence, status=409)
    refuse_settling(judgement)
    if newest.kind == Revision.Kind.SUBMIT:
        return _undo_submission(judgement, task, by, number=newest.number + 1)
    before = judgement.revisions.filter(number__lt=newest.number).latest("number")
    if before.kind == Revision.Kind.WITHDRAW:
        withdraw(judgement=judgement, by=by, note="")
    else:
        restore(judgement=judgement, task=task, by=by)
    return None


def _undo_submission(judgement: Judgement, task: Task, by: User, *, number: int) -> Slot | None:
    with retiring_starts(judgement, by=by):
        take_away(judgement, queue=task.queue, number=number, kind=Revision.Kind.UNDO, by=None, note="")
    take_back(judgement=judgement)
    task.exclusions.filter(user=by, reason=Exclusion.Reason.SURPLUS).delete()
    leased = None
    if judgement.slot_id:
        Task.objects.filter(pk=task.pk, state=Task.State.COMPLETE).update(state=Task.State.ADMITTED)
        leased = lease_again(judgement.slot_id, by=by, queue=task.queue)
    settle_overlap(task)
    return leased
