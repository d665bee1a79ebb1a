"""Flash cards: the next one, its rating, and the cards that reviewers add to a project's deck."""

from __future__ import annotations

import time
from uuid import UUID

from django.core import signing
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from annotate.access import own_project_for, project_for, refuse_without
from annotate.actions.add_card import add_card, restore_card, retire_card
from annotate.actions.review_card import review_card
from annotate.deck import hand
from annotate.errors import AnnotateError
from annotate.models import Card, CardReview, Project, Role
from annotate.pages.request import Request
from annotate.pages.toast import say

EDITORS = (Role.REVIEWER, Role.ADMIN)
LONGEST_MS = 10 * 60 * 1_000  # who took longer was away
SALT = "card"


@require_GET
def cards(request: Request) -> HttpResponse:
    project = own_project_for(request.user, request.GET.get("project", ""))
    found = hand(request.user, project, at=now())
    context = {
        "deck": project,
        "hand": found,
        "ratings": CardReview.Rating,
        "shown": signing.dumps(round(time.time() * 1_000), salt=SALT),
        "editor": bool(request.user.roles(project) & set(EDITORS)),
    }
    return render(request, "annotate/cards.html", context)


@require_POST
def card_review(request: Request) -> HttpResponse:
    """Rate and go on; a card that was rated meanwhile, in another tab or by a second press, is passed over."""
    project = own_project_for(request.user, request.POST.get("project", ""))
    numbers = [request.POST.get(name, "") for name in ("number", "rating")]
    number, rating = (int(one) if one.isdecimal() and len(one) < 8 else 0 for one in numbers)
    try:
        review_card(
            user=request.user,
            project=project,
            card=request.POST.get("card", ""),
            number=number,
            rating=rating,
            at=now(),
            ms=_ms(request.POST.get("shown", "")),
        )
    except AnnotateError as refusal:
        if refusal.code not in {"already_reviewed", "unknown_card"}:
            raise
    return redirect(f"{reverse('cards')}?project={project.uuid}")


@require_http_methods(["GET", "POST"])
def own_cards(request: Request, project: UUID) -> HttpResponse:
    """The cards that a project added; POST adds one."""
    found = project_for(request.user, project, role=EDITORS)
    errors: dict[str, str] = {}
    given = {name: request.POST.get(name, "") for name in ("front", "back", "example")}
    if request.method == "POST":
        try:
            card = add_card(project=found, by=request.user, **given)
        except AnnotateError as refusal:
            errors = {str(refusal.facts["field"]): refusal.sentence}
        else:
            say(
                request, _("The card is in the deck."), undo=reverse("card-change", args=[card.uuid]), fields=_to("out")
            )
            return redirect("own-cards", project=found.uuid)
    listed = Card.objects.filter(project=found, retired_at=None).order_by("-pk")
    context = {"listed": listed, "given": given, "errors": errors, "most": Card.MOST}
    return render(request, "annotate/own_cards.html", context, status=422 if errors else 200)


@require_POST
def card_change(request: Request, card: UUID) -> HttpResponse:
    """`to=out` takes a card out of the deck, `to=in` puts it back; each is the other's Undo."""
    visible = Card.objects.filter(project__in=Project.objects.visible_to(request.user))
    found = get_object_or_404(visible.select_related("project"), uuid=card)
    refuse_without(request.user, found.project, role=EDITORS)
    if request.POST.get("to") == "in":
        restore_card(card=found)
        say(request, _("The card is back."), undo=request.path, fields=_to("out"))
    else:
        retire_card(card=found)
        say(request, _("The card is out of the deck."), undo=request.path, fields=_to("in"))
    return redirect("own-cards", project=found.project.uuid)


def _to(where: str) -> dict[str, str]:
    return {"to": where}


def _ms(shown: str) -> int | None:
    """Milliseconds since the card was shown; None where that is not known."""
    try:
        began: int = signing.loads(shown, salt=SALT)
    except signing.BadSignature:
        return None
    passed = round(time.time() * 1_000) - began
    return passed if 0 <= passed <= LONGEST_MS else None
