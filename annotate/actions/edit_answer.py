"""Change an answer later: a new version beside the old one."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any  # bodies are JSON

from django.core.exceptions import PermissionDenied
from django.db import transaction

from annotate.actions.bodies import checked
from annotate.actions.follow_up import follow_up, take_back
from annotate.actions.keep_out import keep_out
from annotate.actions.revise import present, present_again, revise
from annotate.actions.submit import Times
from annotate.errors import AnnotateError
from annotate.models import Exclusion, Judgement, Objection, Revision, Slot, Task, User
from annotate.overlap import settle_overlap
from annotate.presentation import Shown, shown

Json = dict[str, Any]
GIVEN = [Exclusion.Reason.SURPLUS, Exclusion.Reason.WITHDREW]  # kept out by the answer itself
SET_OFF = {"prompt_id", "text_id", "better_ids"}  # of a stored body: what `follow_up` adds


@transaction.atomic
def edit_answer(*, judgement: Judgement, by: User, body: object, times: Times) -> Revision:
    """Append by's changed answer, in the letters that they saw. A snapshot keeps what it froze.

    What the old answer set off and nobody has answered is void, and the new one sets off its own. judgement comes with
    its task, queue and project, and its slot.

    Raises PermissionDenied where it is another's.
    Raises AnnotateError, beside what `bodies.checked` names, with code
        taken_back   409: no answer stands that could be changed
        followed     409: others have judged what this answer wrote, or answered it
        unchanged    400: the answer says the same as before
    """
    if judgement.user_id != by.pk:
        raise PermissionDenied
    task = Task.objects.select_for_update(no_key=True).get(pk=judgement.task_id)
    task.queue = judgement.task.queue
    standing = standing_of(judgement)
    if followed(judgement):
        sentence = "Somebody has judged what you wrote here, or answered it; it cannot be changed any more."
        raise AnnotateError("followed", sentence, status=409)
    what = shown(task, by, slot=judgement.slot)
    kept = checked(body, what=what)
    if kept == said(standing.answer):
        raise AnnotateError("unchanged", "This is the answer that stands already.")
    take_back(judgement=judgement)
    kept |= _set_off(judgement, kept, what)
    revision = revise(judgement, kept, what, number=standing.number + 1, kind=Revision.Kind.EDIT)
    present(revision, what, lease=None, **asdict(times))
    settle_overlap(task)
    return revision


def restore(*, judgement: Judgement, task: Task, by: User) -> None:
    """The version before the newest stands again, as a new one. The caller has locked the task.

    After a withdrawal the answer takes a free place of its task. Where there is none it is surplus, and by is not asked
    again.
    """
    newest = judgement.revisions.latest("number")
    earlier = judgement.revisions.filter(number__lt=newest.number, kind__in=Revision.ANSWERS)
    before = earlier.select_related("presentation").latest("number")
    if newest.kind == Revision.Kind.WITHDRAW:
        task.exclusions.filter(user=by, reason__in=GIVEN).delete()
        _take_place(judgement, task, by)
    what = shown(task, by, slot=judgement.slot)
    if followed(judgement):
        kept = before.answer
    else:
        take_back(judgement=judgement)
        kept = said(before.answer) | _set_off(judgement, said(before.answer), what)
    again = revise(judgement, kept, what, number=newest.number + 1, kind=Revision.Kind.EDIT)
    present_again(again, before=before)
    settle_overlap(task)


def standing_of(judgement: Judgement) -> Revision:
    """The version that counts. Raises AnnotateError 409 with code taken_back where none does, or settles."""
    refuse_settling(judgement)
    newest = judgement.revisions.order_by("-number").first()
    if newest is None or newest.kind not in Revision.ANSWERS:
        raise AnnotateError("taken_back", "This answer was taken back; there is nothing to change.", status=409)
    return newest


def refuse_settling(judgement: Judgement) -> None:
    """Raises AnnotateError 409 with code settles where the answer decides an objection, which goes back as a whole."""
    if Objection.objects.filter(decision=judgement).exists():
        raise AnnotateError("settles", "This decides an objection; take it back in Disputes.", status=409)


def followed(judgement: Judgement) -> bool:
    """Whether somebody has answered what this answer asked for: a review, or writing it again."""
    return Judgement.objects.filter(task__follows=judgement).exists()


def said(stored: Json) -> Json:
    """A stored body without what its answer set off."""
    return {name: value for name, value in stored.items() if name not in SET_OFF}


def _set_off(judgement: Judgement, body: Json, what: Shown) -> Json:
    return follow_up(judgement=judgement, body=body, what=what) if judgement.counted else {}


def _take_place(judgement: Judgement, task: Task, by: User) -> None:
    free = Slot.objects.select_for_update(no_key=True).filter(task=task, status=Slot.Status.OPEN)
    slot = free.filter(reserved_for=None).order_by("ordinal").first()
    if slot:
        slot.status, slot.user = Slot.Status.DONE, by
        slot.save(update_fields=["status", "user"])
        if not task.slots.filter(status__in=[Slot.Status.OPEN, Slot.Status.LEASED]).exists():
            Task.objects.filter(pk=task.pk, state=Task.State.ADMITTED).update(state=Task.State.COMPLETE)
    else:
        keep_out(task=task, user=by, reason=Exclusion.Reason.SURPLUS)
    judgement.slot, judgement.counted = slot, slot is not None
    judgement.save(update_fields=["slot", "counted"])
