"""The game's numbers and modes in words."""

from __future__ import annotations

from django import template
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

register = template.Library()

MODES: dict[str, Promise | str] = {"missing": _("Missing word"), "next": _("Next word"), "correction": _("Correction")}


@register.filter
def percent(value: float) -> str:
    """0.614 as 61 %; below one in a hundred with two digits: 0.14 %."""
    return f"{100 * value:.0f} %" if value >= 0.01 else f"{100 * value:.2g} %"


@register.filter
def mode_name(mode: str) -> str | Promise:
    return MODES[mode]
