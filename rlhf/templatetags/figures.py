"""How measured numbers, shares and sizes read."""

from __future__ import annotations

from math import floor, isfinite, log10

from django import template

register = template.Library()

UNITS = ("B", "kB", "MB", "GB", "TB")


@register.filter
def metric(value: object) -> str:
    """A measured number with three digits that mean something: 0.714, 14.2, 2,020."""
    if not isinstance(value, int | float) or not isfinite(value):
        return "–"
    if value == 0:
        return "0"
    place = floor(log10(abs(value)))
    if place < -3:
        return f"{value:.2g}"
    return f"{value:,.{max(0, 2 - place)}f}"


@register.filter
def half(value: float) -> str:
    """Half of an interval, with two digits: 0.032."""
    return f"{value:.2g}"


@register.filter
def share(value: float | None) -> str:
    """0.42 as 42 %."""
    return "–" if value is None else f"{value:.0%}".replace("%", " %")


@register.filter
def size(value: float | None) -> str:
    """Bytes as 34 MB."""
    if value is None:
        return "–"
    unit = 0
    while value >= 1_000 and unit < len(UNITS) - 1:
        value, unit = value / 1_000, unit + 1
    return f"{value:.0f} {UNITS[unit]}" if value >= 10 or unit == 0 else f"{value:.1f} {UNITS[unit]}"
