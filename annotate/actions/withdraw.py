"""Withdraw an answer: it stays on record and counts nowhere from now on."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db import transaction

from annotate.actions.edit_answer import standing_of
from annotate.actions.follow_up import take_back
from annotate.actions.keep_out import keep_out
from annotate.actions.retire_starts import retiring_starts
from annotate.actions.revise import take_away
from annotate.errors import AnnotateError
from annotate.models import Exclusion, Judgement, Revision, Role, Slot, Task, User
from annotate.overlap import settle_overlap

MOST_NOTE = 500


@transaction.atomic
def withdraw(*, judgement: Judgement, by: User, note: str) -> Revision:
    """Append a withdrawal, of one's own answer or, by an admin who says why, of another's.

    A snapshot keeps what it froze. The place is open again for others, and the judge is not asked again. Tasks that the
    answer asked for and nobody has answered are void. Starts of the game that read what is read no more are retired.
    judgement comes with its task, queue and project, and its slot.

    Raises PermissionDenied where by is neither the judge nor an admin.
    Raises AnnotateError with code
        no_reason    400: an admin withdraws with a note of 1 to 500 characters
        taken_back   409: no answer stands
    """
    queue = judgement.task.queue
    own = judgement.user_id == by.pk
    if not own and not by.holds(Role.ADMIN, queue.project):
        raise PermissionDenied
    if len(note) > MOST_NOTE or not (own or note.strip()):
        sentence = f"Say in 1 to {MOST_NOTE} characters why this answer is withdrawn."
        raise AnnotateError("no_reason", sentence, field="note")
    task = Task.objects.select_for_update(no_key=True).get(pk=judgement.task_id)
    task.queue = queue
    number = standing_of(judgement).number + 1
    kind = Revision.Kind.WITHDRAW
    with retiring_starts(judgement, by=by):
        revision = take_away(judgement, queue=queue, number=number, kind=kind, by=None if own else by, note=note)
    take_back(judgement=judgement)
    if judgement.user:
        keep_out(task=task, user=judgement.user, reason=Exclusion.Reason.WITHDREW)
    _free(judgement, task)
    settle_overlap(task)
    return revision


def _free(judgement: Judgement, task: Task) -> None:
    """Hand the place back; an extra one is opened by what the answers that are left say."""
    asked = task.state in {Task.State.ADMITTED, Task.State.COMPLETE}
    if judgement.slot_id is None:
        return
    done = Slot.objects.filter(pk=judgement.slot_id, status=Slot.Status.DONE, user=judgement.user_id)
    slot = done.select_for_update(no_key=True).first()
    if slot is None:
        return
    opens = asked and not slot.extra and judgement.counted  # what an objection overruled asks nobody again
    done.update(status=Slot.Status.OPEN if opens else Slot.Status.VOID, user=None, token=None, leased_at=None)
    if opens:
        Task.objects.filter(pk=task.pk).update(state=Task.State.ADMITTED)
    judgement.slot = None
    judgement.save(update_fields=["slot"])
