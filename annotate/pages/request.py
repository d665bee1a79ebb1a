"""What a page's view is called with: LoginRequiredMiddleware has seen to it that someone is signed in."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest
from django.utils.dateparse import parse_datetime

from annotate.models import User


class Request(HttpRequest):
    user: User


def wants_json(request: HttpRequest) -> bool:
    """Whether a script sent the form, and goes on by itself."""
    return request.headers.get("Accept", "") == "application/json"


def instant(value: str) -> datetime | None:
    """The instant that a script or an address wrote; None where it is none, or of no known zone."""
    try:
        found = parse_datetime(value)
    except ValueError:
        return None
    return found if found and found.tzinfo else None


def wants_part(request: HttpRequest, name: str) -> bool:
    """Whether `live.js` asks for one part of the page, to put it in the place of the same part."""
    return request.headers.get("HX-Request") == "true" and request.GET.get("part") == name
