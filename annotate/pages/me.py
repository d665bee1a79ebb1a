"""A person's own settings and tokens."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from annotate.actions.create_token import MOST_DAYS, create_token
from annotate.actions.revoke_token import restore_token, revoke_token
from annotate.errors import AnnotateError
from annotate.models import Token, User
from annotate.pages.keys import Key, clash_of
from annotate.pages.request import Request
from annotate.pages.toast import say
from annotate.templatetags.names import key_meaning

DAYS = 90
CHANGEABLE = [key for key in Key if key.is_changeable]


@require_http_methods(["GET", "POST"])
def me(request: Request) -> HttpResponse:
    """Theme, text size and whether single keys act, applied at once."""
    if request.method == "GET":
        return _page(request)
    theme, size = request.POST.get("theme", ""), request.POST.get("size", str(request.user.text_size))
    if theme not in User.Theme.values:
        return _page(request, errors={"theme": _("Choose one of the themes.")})
    if size not in map(str, User.Size.values):
        return _page(request, errors={"size": _("Choose one of the sizes.")})
    user = request.user
    keys_on, choice_sends = request.POST.get("keys") == "on", request.POST.get("choice_sends") == "on"
    before = {
        "theme": user.theme,
        "size": str(user.text_size),
        "keys": _ticked(on=user.keys_on),
        "choice_sends": _ticked(on=user.choice_sends),
    }
    User.objects.filter(pk=user.pk).update(theme=theme, text_size=int(size), keys_on=keys_on, choice_sends=choice_sends)
    say(request, _("Changed."), undo=request.path, fields=before)
    return redirect("me")


def _ticked(*, on: bool) -> str:
    return "on" if on else "off"


@require_POST
def me_keys(request: Request) -> HttpResponse:
    """What the person presses in place of the keys of the registry; an empty field is the key itself."""
    given = {key.name: request.POST.get(f"key-{key.name}", "").strip().upper() for key in CHANGEABLE}
    own = {name: sign for name, sign in given.items() if sign and (sign,) != Key[name].names}
    errors = _refused(own)
    if errors:
        return _page(request, errors=errors, own=given)
    before = {f"key-{name}": sign for name, sign in request.user.own_keys.items()}
    User.objects.filter(pk=request.user.pk).update(own_keys=own)
    say(request, _("Your keys are changed."), undo=request.path, fields=before)
    return redirect("me")


def _refused(own: dict[str, str]) -> dict[str, str]:
    """A sentence for each field at fault."""
    long = {name: sign for name, sign in own.items() if len(sign) != 1 or not sign.isprintable() or sign.isdigit()}
    sentence = _("One sign, and no digit: digits are values.")
    if long:
        return {f"key-{name}": sentence for name in long}
    clash = clash_of(own)
    if clash is None:
        return {}
    one, other = clash
    facts = {"sign": one.pressed(own)[0], "meaning": key_meaning(other.name)}
    return {
        f"key-{one.name}": _("%(sign)s stands for “%(meaning)s” already. Take another sign, or change that too.")
        % facts
    }


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
    """`revoked` 0 takes it back, within a week; each is the other's Undo."""
    found = get_object_or_404(Token, user=request.user, uuid=token)
    revokes = request.POST.get("revoked", "1") == "1"
    (revoke_token if revokes else restore_token)(token=found)
    said = _("The token is revoked; it opens nothing any more.") if revokes else _("The token opens again.")
    say(request, said, undo=request.path, fields={"revoked": "0" if revokes else "1"})
    return redirect("me")


def _page(
    request: Request,
    *,
    errors: dict[str, str] | None = None,
    key: str = "",
    own: dict[str, str] | None = None,
) -> HttpResponse:
    """own: signs that were refused, as they were typed."""
    pressed = request.user.own_keys if own is None else own
    context = {
        "themes": User.Theme.values,
        "sizes": User.Size.values,
        "own_keys": [
            {
                "name": one.name,
                "shown": one.shown,
                "own": pressed.get(one.name, ""),
                "field": f"key-{one.name}",
                "error": (errors or {}).get(f"key-{one.name}", ""),
            }
            for one in CHANGEABLE
        ],
        "refused": own is not None,
        "tokens": Token.objects.standing().filter(user=request.user, expires_at__gt=now()).order_by("-pk"),
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
