"""Let a surplus answer count, or no longer."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db import transaction

from annotate.actions.edit_answer import said, standing_of
from annotate.actions.follow_up import follow_up, take_back
from annotate.actions.keep_out import keep_out
from annotate.actions.revise import present_again, revise
from annotate.errors import AnnotateError
from annotate.models import Exclusion, Judgement, Revision, Task, User
from annotate.overlap import settle_overlap
from annotate.presentation import shown


@transaction.atomic
def count_surplus(*, judgement: Judgement, by: User) -> None:
    """From now on the answer counts, beside those that have a place; it sets off what a counted answer does.

    by, who has read it, is not asked about the task any more. judgement comes with its task, queue and project.

    Raises PermissionDenied for one's own answer.
    Raises AnnotateError 409 with code not_surplus, or taken_back where no answer stands.
    """
    task = _locked(judgement, by)
    standing = standing_of(judgement)
    changed = Judgement.objects.filter(pk=judgement.pk, slot=None, counted=False).update(counted=True, counted_by=by)
    if not changed:
        raise AnnotateError("not_surplus", "This answer counts already.", status=409)
    keep_out(task=task, user=by, reason=Exclusion.Reason.CONFLICT)
    _set_off(judgement, task, standing, by)
    settle_overlap(task)


@transaction.atomic
def count_no_longer(*, judgement: Judgement, by: User) -> None:
    """Undo of `count_surplus`. Raises as it does."""
    task = _locked(judgement, by)
    counted = Judgement.objects.filter(pk=judgement.pk, counted=True, counted_by__isnull=False)
    if not counted.update(counted=False, counted_by=None):
        raise AnnotateError("not_surplus", "Nobody let this answer count.", status=409)
    take_back(judgement=judgement)
    settle_overlap(task)


def _set_off(judgement: Judgement, task: Task, standing: Revision, by: User) -> None:
    """What the answer asks for, now that it counts; a text that it wrote is named in a version of its own."""
    assert judgement.user is not None  # an import is never surplus
    what = shown(task, judgement.user)
    body = said(standing.answer)
    found = follow_up(judgement=judgement, body=body, what=what)
    if found:
        number, kind = standing.number + 1, Revision.Kind.EDIT
        present_again(revise(judgement, body | found, what, number=number, kind=kind, by=by), before=standing)


def _locked(judgement: Judgement, by: User) -> Task:
    if judgement.user_id == by.pk:
        raise PermissionDenied("Nobody counts their own answer.")
    task = Task.objects.select_for_update(no_key=True).get(pk=judgement.task_id)
    task.queue = judgement.task.queue
    return task
