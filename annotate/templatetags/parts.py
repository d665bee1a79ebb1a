"""What templates draw again and again: an icon, a text as blocks, a document with its evidence marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any  # payloads are JSON

from django import template
from django.templatetags.static import static
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString

from annotate import rendering

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
def as_blocks(text: str) -> SafeString:
    """A text of a person or a model as its blocks."""
    return rendering.html(text)


@register.filter
def marked(text: str, evidence: Sequence[dict[str, Any]]) -> SafeString:
    """A document with each span of the evidence marked and numbered; what overlaps an earlier span is not marked."""
    parts: list[SafeString] = []
    at = 0
    for one in sorted(evidence, key=lambda e: (e["start"], -e["end"])):
        if one["start"] < at or (one["start"], one["end"]) == (0, len(text)):
            continue
        parts.append(escape(text[at : one["start"]]))
        parts.append(
            format_html(
                '<mark id="span-{}" data-part="span" data-evidence="{}"{}>{}<a href="#evidence-{}">{}</a></mark>',
                one["id"],
                one["id"],
                SafeString(" data-covered") if one["covered"] else "",
                text[one["start"] : one["end"]],
                one["id"],
                one["id"],
            )
        )
        at = one["end"]
    return format_html_join("", "{}", [(part,) for part in [*parts, escape(text[at:])]])


@register.filter
def percent(share: float) -> str:
    return f"{share:.2f}"
