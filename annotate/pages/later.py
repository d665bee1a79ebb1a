"""What may be done to an answer that was given: change it, withdraw it, let it count."""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from annotate.access import judgement_for
from annotate.actions.count_surplus import count_no_longer, count_surplus
from annotate.actions.edit_answer import edit_answer, standing_of
from annotate.actions.withdraw import withdraw as take_away
from annotate.errors import AnnotateError
from annotate.models import Judgement, Role
from annotate.pages.forms import body_of, form_of, typed
from annotate.pages.request import Request, wants_json
from annotate.pages.task import screen, times_of
from annotate.pages.toast import say
from annotate.presentation import seen_again, shown

REVIEWERS = (Role.REVIEWER, Role.ADMIN)


@require_http_methods(["GET", "POST"])
def edit(request: Request, judgement: UUID) -> HttpResponse:
    """The task as it was answered; POST changes the answer."""
    found = judgement_for(request.user, judgement)
    if found.user_id != request.user.pk:
        raise PermissionDenied
    queue = found.task.queue
    what = shown(found.task, request.user, slot=found.slot)
    form, refusal = form_of(standing_of(found).answer, what), None
    if request.method == "POST":
        form = typed(request.POST)
        try:
            edit_answer(judgement=found, by=request.user, body=body_of(form, what), times=times_of(request))
        except AnnotateError as error:
            if wants_json(request) or error.status == 409:
                raise
            refusal = error
        else:
            say(request, _changed(found), undo=reverse("undo", args=[found.uuid]))
            url = reverse("mine", args=[queue.project.uuid])
            return JsonResponse({"url": url}) if wants_json(request) else redirect(url)
    more = {"editing": found, "work_url": reverse("mine", args=[queue.project.uuid])}
    return screen(request, queue, seen_again(what), form, refusal=refusal, more=more)


@require_POST
def withdraw(request: Request, judgement: UUID) -> HttpResponse:
    """One's own answer, with Undo; an admin's withdrawal of another's asks for its reason first."""
    found = judgement_for(request.user, judgement)
    own, project = found.user_id == request.user.pk, found.task.queue.project
    take_away(judgement=found, by=request.user, note=request.POST.get("note", ""))
    sentence = _("The answer is withdrawn and counts no more.")
    if found.frozen_at:
        sentence = f"{sentence} {_frozen(found)}"
    say(request, sentence, undo=reverse("undo", args=[found.uuid]) if own else "")
    return redirect("mine" if own else "disputes", project=project.uuid)


@require_POST
def counted(request: Request, judgement: UUID) -> HttpResponse:
    """POST with `counted` 1 lets a surplus answer count, with 0 no longer; each is the other's Undo."""
    found = judgement_for(request.user, judgement, role=REVIEWERS)
    counts = request.POST.get("counted", "1") == "1"
    (count_surplus if counts else count_no_longer)(judgement=found, by=request.user)
    sentence = _("The answer counts from now on.") if counts else _("The answer is surplus again.")
    say(request, sentence, undo=request.path, fields={"counted": "0" if counts else "1"})
    return redirect("disputes", project=found.task.queue.project.uuid)


def _changed(judgement: Judgement) -> str:
    sentence: str = _("Changed.")
    return f"{sentence} {_frozen(judgement)}" if judgement.frozen_at else sentence


def _frozen(judgement: Judgement) -> str:
    assert judgement.frozen_at is not None  # the callers ask
    day = date_format(judgement.frozen_at, "Y-m-d")
    return _("The snapshot of %(day)s keeps what it froze.") % {"day": day}
