"""One sentence about what was just done, with its Undo, kept in the session until the next page shows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from django.http import HttpRequest


class Toast(TypedDict):
    """undo: the address that takes it back, by POST with these fields; empty where nothing does."""

    sentence: str
    undo: str
    fields: dict[str, str]


def say(request: HttpRequest, sentence: str, *, undo: str = "", fields: Mapping[str, str] | None = None) -> None:
    kept: Toast = {"sentence": sentence, "undo": undo, "fields": dict(fields or {})}
    request.session["toast"] = kept


def taken(request: HttpRequest) -> Toast | None:
    """The toast, which is then gone."""
    if not hasattr(request, "session"):
        return None
    found: Toast | None = request.session.pop("toast", None)
    return found
