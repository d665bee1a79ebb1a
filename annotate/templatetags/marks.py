"""What every page writes the same way: icons, instants, counts, texts, keys, the toast."""

from __future__ import annotations

from datetime import datetime
from math import ceil
from typing import Any  # template contexts

from django import template
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import now
from django.utils.translation import gettext as _

from annotate import critique, rendering
from annotate.pages.keys import Key, names_of
from annotate.pages.spans import Piece
from annotate.pages.toast import taken

register = template.Library()


@register.simple_tag
def icon(name: str, label: str = "", *, small: bool = False) -> SafeString:
    """One symbol of icons.svg; silent beside words, named where it stands alone."""
    address = f"{static('annotate/icons.svg')}#{name}"
    size = " icon-small" if small else ""
    if label:
        return format_html(
            '<svg class="icon{}" role="img" aria-label="{}"><use href="{}"/></svg>', size, label, address
        )
    return format_html('<svg class="icon{}" aria-hidden="true"><use href="{}"/></svg>', size, address)


@register.filter
def thousands(value: float | None) -> str:
    """1204 as 1,204; a dash where there is nothing to count."""
    return "–" if value is None else f"{value:,}"


@register.filter
def at_most(value: int | None, most: int) -> str:
    """A bounded count: the most that is counted reads as "1,000 or more"."""
    if value is None or value < most:
        return thousands(value)
    return _("%(n)s or more") % {"n": f"{most:,}"}


@register.filter
def duration(seconds: float | None) -> str:
    """Seconds as 41 s, 11 min or 6 h 10 min."""
    if seconds is None:
        return "–"
    if seconds < 90:
        return _("%(n)d s") % {"n": round(seconds)}
    if seconds < 90 * 60:
        return _("%(n)d min") % {"n": round(seconds / 60)}
    hours, minutes = divmod(round(seconds / 60), 60)
    return _("%(h)d h %(m)d min") % {"h": hours, "m": minutes}


@register.filter
def rate(value: float) -> str:
    """So many a day: 0.4, 12, 1,204."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


@register.filter
def days(value: float) -> str:
    """Days as "a day", 3 days or 8 months; no finer, as it rests on a week."""
    if value <= 1:
        return _("a day")
    if value < 100:
        return _("%(n)d days") % {"n": ceil(value)}
    if value < 730:
        return _("%(n)d months") % {"n": round(value / 30.4)}
    return _("over 2 years")


@register.simple_tag
def ago(at: datetime | None) -> SafeString | str:
    """An instant as "4 min ago", with the instant itself in the title."""
    if at is None:
        return "–"
    instant = f"{at:%Y-%m-%d %H:%M} UTC"
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), instant, _ago(at))


@register.filter
def blocks(text: str) -> SafeString:
    """A person's or a model's text as the closed list of blocks."""
    return rendering.html(text)


register.filter(critique.parted)


@register.filter
def marked(paragraphs: list[list[Piece]]) -> SafeString:
    """A document with its findings: marks with a number that leads to the finding, covered words behind a box."""
    lines = (format_html_join("", "{}", ((_piece(piece),) for piece in pieces)) for pieces in paragraphs)
    return format_html_join("", '<p class="raw">{}</p>', ((line,) for line in lines))


@register.filter
def held(form: dict[str, list[str]], name: str) -> list[str]:
    """The values of a field of a task's form; none where it was not answered."""
    return form.get(name, [])


@register.filter
def item(values: dict[str, str], name: str) -> str:
    """The value under a name that the template made; empty where there is none."""
    return values.get(name, "")


@register.inclusion_tag("annotate/_parts/keys.html", takes_context=True)
def keys(context: template.Context, **meanings: str) -> dict[str, Any]:
    """The screen's registry and its ? sheet: `{% keys enter=_("Submit") %}`. An unknown key is an error.

    A key without words has no meaning here: what it opens is not on this screen. own: name → what this person presses
    for it, of the keys of this screen and of Undo, which every page has.
    """
    found = {Key[name.upper()]: label for name, label in meanings.items() if label}
    found |= {Key.HELP: _("Show these keys"), Key.CLOSE: _("Close what is open")}
    if context.get("palette"):
        found.setdefault(Key.SEARCH, _("Go to, do, find"))
    user = getattr(context.get("request"), "user", None)
    changed = getattr(user, "own_keys", None) or {}
    own = {key.names[0]: key.pressed(changed)[0] for key in [*found, Key.UNDO] if key.pressed(changed) != key.names}
    rows = [(own.get(key.shown, key.shown), label) for key, label in found.items()]
    return {"names": names_of(list(found)), "own": own, "rows": rows}


@register.inclusion_tag("annotate/_parts/toast.html", takes_context=True)
def toast(context: template.Context) -> dict[str, Any]:
    """What the last action has to say, once."""
    request = context.get("request")
    return {"toast": taken(request) if request else None, "csrf_token": context.get("csrf_token")}


def _piece(piece: Piece) -> SafeString:
    target = format_html(' id="f{}"', piece.starts[0]) if piece.starts else ""
    if piece.covered:
        box = '<input type="checkbox" class="visually-hidden" data-part="uncover">'
        words = _("words covered: %(n)d") % {"n": piece.words}
        return format_html(
            '<label class="covered"{}>{}<span class="cover">{}{}</span><mark class="under">{}</mark></label>',
            target,
            mark_safe(box),  # a constant
            icon("eye", small=True),
            words,
            piece.text,
        )
    if not piece.numbers:
        return format_html("{}", piece.text)
    links = format_html_join(
        "", '<a href="#e{0}" aria-label="{1}">{0}</a>', ((one, _("Finding %(n)s") % {"n": one}) for one in piece.starts)
    )
    numbers = " ".join(piece.numbers)
    return format_html('<mark{} data-finding="{}">{}{}</mark>', target, numbers, piece.text, links)


def _ago(at: datetime) -> str:
    seconds = (now() - at).total_seconds()
    if seconds < 60:
        return _("just now")
    if seconds < 3_600:
        return _("%(n)d min ago") % {"n": seconds // 60}
    if seconds < 86_400:
        return _("%(n)d h ago") % {"n": seconds // 3_600}
    return f"{at:%-d %b %Y}"
