"""A person's own settings and tokens."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from annotate.actions.create_token import MOST_DAYS, create_token
from annotate.errors import AnnotateError
from annotate.models import Token, User
from annotate.pages.request import Request
from annotate.pages.toast import say

DAYS = 90


@require_http_methods(["GET", "POST"])
def me(request: Request) -> HttpResponse:
    """Theme and keys, applied at once."""
    if request.method == "GET":
        return _page(request)
    theme = request.POST.get("theme", "")
    if theme not in User.Theme.values:
        return _page(request, errors={"theme": _("Choose one of the themes.")})
    user = request.user
    keys_on, choice_sends = request.POST.get("keys") == "on", request.POST.get("choice_sends") == "on"
    before = {"theme": user.theme, "keys": _ticked(on=user.keys_on), "choice_sends": _ticked(on=user.choice_sends)}
    User.objects.filter(pk=user.pk).update(theme=theme, keys_on=keys_on, choice_sends=choice_sends)
    say(request, _("Changed."), undo=request.path, fields=before)
    return redirect("me")


def _ticked(*, on: bool) -> str:
    return "on" if on else "off"


@require_POST
def token_new(request: Request) -> HttpResponse:
    """The page with the key, this once."""
    given = request.POST.get("days", "")
    days = int(given) if given.isdecimal() and len(given) < 6 else 0
    scopes = request.POST.getlist("scopes")
    try:
        _token, key = create_token(user=request.user, name=request.POST.get("name", ""), scopes=scopes, days=days)
    except AnnotateError as refusal:
        return _page(request, errors={str(refusal.facts["field"]): refusal.sentence})
    return _page(request, key=key)


@require_POST
def token_revoke(request: Request, token: UUID) -> HttpResponse:
    get_object_or_404(Token, user=request.user, uuid=token).delete()
    say(request, _("The token is revoked; it opens nothing any more."))
    return redirect("me")


def _page(request: Request, *, errors: dict[str, str] | None = None, key: str = "") -> HttpResponse:
    context = {
        "themes": User.Theme.values,
        "tokens": Token.objects.filter(user=request.user, expires_at__gt=now()).order_by("-pk"),
        "scopes": Token.Scope.values,
        "most_days": MOST_DAYS,
        "given": {
            "name": request.POST.get("name", "") if errors else "",
            "days": request.POST.get("days", str(DAYS)) if errors else str(DAYS),
            "scopes": request.POST.getlist("scopes"),
        },
        "errors": errors or {},
        "key": key,
    }
    response = render(request, "annotate/me.html", context, status=422 if errors else 200)
    response["Cache-Control"] = "no-store"
    return response
