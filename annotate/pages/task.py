"""One task: the screen, the draft, and what becomes of it. Scripts send the same forms and are answered in JSON."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any  # payloads are JSON
from uuid import UUID

from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from annotate.access import judgement_for, slot_for
from annotate.actions.bodies import CLEAN_REASONS, REVIEW_REASONS
from annotate.actions.notices import OF_ANSWER, OF_INSTRUCTION, notices_of
from annotate.actions.save_draft import save_draft
from annotate.actions.skip import skip
from annotate.actions.submit import Times
from annotate.actions.submit_and_claim import submit_and_claim
from annotate.actions.undo import undo as take_back
from annotate.actions.undo_skip import undo_skip
from annotate.errors import AnnotateError
from annotate.models import Draft, Exclusion, Guideline, Project, Queue, Revision, Slot
from annotate.pages import errors, spans
from annotate.pages.forms import Form, body_of, form_of, kept, typed
from annotate.pages.hidden import hidden_from_now
from annotate.pages.request import Request, instant, wants_json
from annotate.pages.toast import say
from annotate.pages.work import onward
from annotate.presentation import Shown, payload, shown
from annotate.queue import claim, release
from annotate.rates import count_submit
from annotate.templatetags.names import notice_words

REASONS = {Queue.Kind.CLEAN: CLEAN_REASONS, Queue.Kind.REVIEW_ANSWER: REVIEW_REASONS}


@require_GET
def slot(request: Request, slot: UUID) -> HttpResponse:
    """The task that the person holds, as they left it."""
    found = slot_for(request.user, slot)
    if not _holds(request, found):
        return _gone(request)
    draft = Draft.objects.filter(slot=found, user=request.user).first()
    form = kept(draft.body) if draft else _sent_before(found, shown(found.task, request.user, slot=found))
    return _screen(request, found, form, draft_version=draft.version if draft else None)


@require_POST
def slot_submit(request: Request, slot: UUID) -> HttpResponse:
    found = slot_for(request.user, slot)
    form = typed(request.POST)
    count_submit(request.user)
    try:
        body = body_of(form, shown(found.task, request.user, slot=found if _holds(request, found) else None))
        reply, following = submit_and_claim(
            slot=found,
            by=request.user,
            token=request.POST.get("token", ""),
            key=request.POST.get("key", ""),
            body=body,
            times=times_of(request),
        )
    except AnnotateError as refusal:
        return _again(request, found, form, refusal)
    told = [reply.sentence, *_not_seen(request, found, form)]
    say(request, " ".join(told), undo=reverse("undo", args=[reply.judgement]))
    return _go_on(request, onward(found.queue, following))


@require_POST
def slot_skip(request: Request, slot: UUID) -> HttpResponse:
    found = slot_for(request.user, slot)
    reason, note = request.POST.get("reason", ""), request.POST.get("note", "")
    upsets = reason == Exclusion.Skip.UPSETTING
    try:
        hidden = skip(
            slot=found,
            by=request.user,
            token=request.POST.get("token", ""),
            reason=reason,
            note=note,
            hide_categories=request.POST.getlist("hide") if upsets else [],
            hide_until=instant(request.POST.get("hide_until", "")),
        )
    except AnnotateError as refusal:
        skipping = {"reason": reason, "note": note, "hide": request.POST.getlist("hide")}
        return _again(request, found, {}, refusal, skipping=skipping)
    later = reason == Exclusion.Skip.LATER
    sentence = _("Skipped; it comes back in half an hour.") if later else _("Skipped; others get it.")
    if hidden:
        sentence = f"{sentence} {hidden_from_now(hidden)}"
    say(request, sentence, undo=reverse("slot-unskip", args=[found.uuid]))
    return _go_on(request, onward(found.queue, claim(found.queue, request.user)))


@require_POST
def slot_unskip(request: Request, slot: UUID) -> HttpResponse:
    """Show the skipped task again."""
    found = slot_for(request.user, slot)
    leased = undo_skip(slot=found, by=request.user)
    if leased:
        return redirect("slot", slot=leased.uuid)
    say(request, _("The skip is taken back. Somebody else has the task now; it may come to you again."))
    return redirect("work", project=found.queue.project.uuid)


@require_POST
def slot_release(request: Request, slot: UUID) -> HttpResponse:
    """Leave: the task goes back at once, the draft stays."""
    found = slot_for(request.user, slot)
    release(found, user=request.user, token=request.POST.get("token", ""))
    return _go_on(request, reverse("work", args=[found.queue.project.uuid]))


@require_POST
def slot_draft(request: Request, slot: UUID) -> HttpResponse:
    found = slot_for(request.user, slot)
    version = request.POST.get("draft_version", "")
    known = int(version) if version.isdecimal() and len(version) < 10 else None
    draft = save_draft(slot=found, by=request.user, body={"form": typed(request.POST)}, if_match=known)
    if wants_json(request):
        return JsonResponse({"version": draft.version})
    say(request, _("Draft saved."))
    return redirect("slot", slot=found.uuid)


@require_POST
def undo(request: Request, judgement: UUID) -> HttpResponse:
    """Take the last answer back and show its task again, as it was sent."""
    found = judgement_for(request.user, judgement)
    leased = take_back(judgement=found, by=request.user)
    if leased:
        return redirect("slot", slot=leased.uuid)
    say(request, _("Taken back; what stood before stands again."))
    return redirect("mine", project=found.task.queue.project.uuid)


def _screen(
    request: Request,
    slot: Slot,
    form: Form,
    *,
    draft_version: int | None,
    refusal: AnnotateError | None = None,
    skipping: Mapping[str, object] | None = None,
) -> HttpResponse:
    task = payload(slot)
    context = {
        "slot_id": slot.uuid,
        "work_url": reverse("work", args=[slot.queue.project.uuid]),
        "key": (form.get("key") or [secrets.token_urlsafe(16)])[0],
        "draft_version": draft_version,
        "skips": Exclusion.Skip.values,
        "skipping": skipping or {},
        "notices": _notices(request, slot, form),
        "hideable": sorted({one["category"] for one in task["evidence"] if one["covered"]}),
    }
    return screen(request, slot.queue, task, form, refusal=refusal, more=context)


def screen(
    request: Request,
    queue: Queue,
    task: dict[str, Any],
    form: Form,
    *,
    refusal: AnnotateError | None,
    more: dict[str, object],
) -> HttpResponse:
    """The page of the queue's kind. task: a payload; more: what the frame needs beside it."""
    context = {
        "task": task,
        "form": form,
        "text": _first(task, form, "text"),
        "instruction": _first(task, form, "instruction"),
        "errors": {str(refusal.facts.get("field", "")): refusal.sentence} if refusal else {},
        "guideline": _guideline(queue.project),
        "reasons": REASONS.get(Queue.Kind(queue.kind), ()),
        "answer_notices": OF_ANSWER,
        "instruction_notices": OF_INSTRUCTION,
        **more,
    }
    if task["document"]:
        body, evidence = task["document"]["text"], task["evidence"]
        context |= {"paragraphs": spans.paragraphs(body, evidence), "marked": spans.marked(evidence, body)}
    return render(request, f"annotate/{queue.kind}.html", context, status=422 if refusal else 200)


def _first(task: dict[str, object], form: Form, name: str) -> str:
    """What stands in a text field at first: what was typed, else the text that is to be changed."""
    if form.get(name):
        return form[name][0]
    before = task["returned"] or task["document"] or task["answer"]
    return str(before.get(name) or "") if isinstance(before, dict) else ""


def _holds(request: Request, slot: Slot) -> bool:
    return slot.status == Slot.Status.LEASED and slot.user_id == request.user.pk


def _sent_before(slot: Slot, what: Shown) -> Form:
    """The answer that the person took back; empty where there is none."""
    last = Revision.objects.filter(judgement__task=slot.task, judgement__user=what.user, kind__in=Revision.ANSWERS)
    revision = last.order_by("-number").first()
    return form_of(revision.answer, what) if revision else {}


def refused(request: Request, slot: Slot, refusal: AnnotateError) -> HttpResponse:
    """The screen with what is wrong with a form beside the answer's."""
    return _again(request, slot, {}, refusal)


def _not_seen(request: Request, slot: Slot, form: Form) -> list[str]:
    """What a writer without scripts was not told while typing."""
    return [] if wants_json(request) else [str(notice_words(one)) for one in _notices(request, slot, form)]


def _notices(request: Request, slot: Slot, form: Form) -> list[str]:
    text, instruction = ((form.get(name) or [""])[0] for name in ("text", "instruction"))
    return notices_of(text, task=slot.task, by=request.user, instruction=instruction)


def _again(
    request: Request, slot: Slot, form: Form, refusal: AnnotateError, *, skipping: Mapping[str, object] | None = None
) -> HttpResponse:
    """The screen with what was typed and what is wrong with it; for a script, the refusal alone."""
    if wants_json(request) or refusal.status in {409, 429} or not _holds(request, slot):
        raise refusal
    draft = Draft.objects.filter(slot=slot, user=request.user).first()
    version = draft.version if draft else None
    return _screen(request, slot, form, draft_version=version, refusal=refusal, skipping=skipping)


def _gone(request: Request) -> HttpResponse:
    sentence = _("You do not hold this task any more: it was answered, or your time ran out and it went back.")
    return errors.page(request, status=409, sentence=sentence)


def _go_on(request: Request, url: str) -> HttpResponse:
    return JsonResponse({"url": url}) if wants_json(request) else redirect(url)


def _guideline(project: Project) -> Guideline | None:
    return Guideline.objects.filter(project=project).order_by("-version").first()


def times_of(request: Request) -> Times:
    """As the screen counted them; null where no script did."""

    def number(name: str) -> int | None:
        value = request.POST.get(name, "")
        return int(value) if value.isdecimal() and len(value) < 12 else None

    by = request.POST.get("by", "")
    known = by in {"keyboard", "pointer"}
    return Times(active_ms=number("active_ms"), hidden_ms=number("hidden_ms"), by=by if known else None)
