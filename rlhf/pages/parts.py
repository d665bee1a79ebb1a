"""Pages in parts: the same file that a page includes is what htmx puts in its place."""

from __future__ import annotations

from django.http import HttpRequest


def wants_part(request: HttpRequest, name: str) -> bool:
    """Whether htmx asks for this part of the page alone."""
    return request.headers.get("HX-Request") == "true" and request.GET.get("part") == name
