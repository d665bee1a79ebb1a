"""What a page's view is called with: LoginRequiredMiddleware has seen to it that someone is signed in."""

from __future__ import annotations

from django.http import HttpRequest

from annotate.models import User


class Request(HttpRequest):
    user: User


def wants_json(request: HttpRequest) -> bool:
    """Whether a script sent the form, and goes on by itself."""
    return request.headers.get("Accept", "") == "application/json"


def wants_part(request: HttpRequest, name: str) -> bool:
    """Whether `live.js` asks for one part of the page, to put it in the place of the same part."""
    return request.headers.get("HX-Request") == "true" and request.GET.get("part") == name
