"""Objections to returned answers: made by their authors, decided by reviewers on Disputes."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotate.access import objection_for, slot_for
from annotate.actions.objection import decide_objection, object_to_return, take_objection_back, undecide_objection
from annotate.errors import AnnotateError
from annotate.models import Role
from annotate.pages.disputes import page
from annotate.pages.request import Request
from annotate.pages.task import refused
from annotate.pages.toast import say

REVIEWERS = (Role.REVIEWER, Role.ADMIN)


@require_POST
def object_new(request: Request, slot: UUID) -> HttpResponse:
    found = slot_for(request.user, slot)
    token, reason = request.POST.get("token", ""), request.POST.get("objection", "")
    try:
        made = object_to_return(slot=found, by=request.user, token=token, reason=reason)
    except AnnotateError as refusal:
        return refused(request, found, refusal)
    say(request, _("Another reviewer decides about it."), undo=reverse("objection-back", args=[made.uuid]))
    return redirect("mine", project=found.queue.project.uuid)


@require_POST
def objection_back(request: Request, objection: UUID) -> HttpResponse:
    """The author's Undo: the answer is written again after all."""
    leased = take_objection_back(objection=objection_for(request.user, objection), by=request.user)
    return redirect("slot", slot=leased.uuid)


@require_POST
def objection_decide(request: Request, objection: UUID) -> HttpResponse:
    """`stands` 0 accepts the answer, 1 lets the return stand; the Undo of both sends nothing for it."""
    found = objection_for(request.user, objection, role=REVIEWERS)
    stands, project = request.POST.get("stands", ""), found.task.queue.project
    if stands not in {"0", "1"}:
        undecide_objection(objection=found, by=request.user)
        say(request, _("The objection waits again."))
    else:
        try:
            decide_objection(objection=found, by=request.user, stands=stands == "1", note=request.POST.get("note", ""))
        except AnnotateError as refusal:
            if refusal.status == 409:
                raise
            return page(
                request, project, refusal=AnnotateError("no_reason", refusal.sentence, field=f"note-{found.uuid}")
            )
        said = _("The return stands; its author writes again.") if stands == "1" else _("The answer is accepted.")
        say(request, said, undo=request.path)
    return redirect("disputes", project=project.uuid)
