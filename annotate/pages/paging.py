"""Long lists in pages of fifty, newest first, by key: no count, no offset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest

SIZE = 50
MOST_DIGITS = 18
Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class Page(Generic[Row]):
    """older, newer: addresses of the neighbours, or empty where nothing lies there."""

    rows: list[Row]
    older: str
    newer: str


def page_of(request: HttpRequest, rows: QuerySet[Row]) -> Page[Row]:
    """The fifty rows that `?before=` or `?after=` names by key; the newest where neither does. One query."""
    before, after = _key(request, "before"), _key(request, "after")
    if after is not None:
        found = list(rows.filter(pk__gt=after).order_by("pk")[: SIZE + 1])
        shown = found[:SIZE][::-1]
        return Page(shown, _link(request, "before", shown[-1:]), _link(request, "after", shown[: len(found) > SIZE]))
    earlier = rows if before is None else rows.filter(pk__lt=before)
    found = list(earlier.order_by("-pk")[: SIZE + 1])
    shown = found[:SIZE]
    older = _link(request, "before", shown[-1:]) if len(found) > SIZE else ""
    return Page(shown, older, "" if before is None else _link(request, "after", shown[:1]))


def _key(request: HttpRequest, name: str) -> int | None:
    value = request.GET.get(name, "")
    return int(value) if value.isdecimal() and len(value) <= MOST_DIGITS else None


def _link(request: HttpRequest, name: str, rows: list[Row]) -> str:
    """This page's address with another place in the list; filters stay."""
    if not rows:
        return ""
    query = request.GET.copy()
    query.pop("before", None)
    query.pop("after", None)
    query[name] = str(rows[0].pk)
    return f"?{query.urlencode()}"
