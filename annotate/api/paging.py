"""Lists by pages: the cursor is the key of the last row, signed, so that only our own comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.signing import BadSignature, Signer
from django.db.models import QuerySet
from rest_framework import serializers
from rest_framework.response import Response

from annotate.api.operations import Json, Operation, Strict
from annotate.api.problems import Problem

PAGE = 100


class Paged(Strict):
    cursor = serializers.CharField(required=False, max_length=200, help_text="`next` of the page before.")


class OfProject(Paged):
    project = serializers.UUIDField()


def page(
    view: Operation,
    rows: QuerySet[Any],
    show: Callable[[list[Any]], list[Json]],
    *,
    newest_first: bool,
) -> Response:  # Any: rows of any model
    """A page of rows in the order of their keys: {results, next}. One query, beside what show and prefetches need."""
    after = _key(view)
    if after is not None:
        rows = rows.filter(pk__lt=after) if newest_first else rows.filter(pk__gt=after)
    found = list(rows.order_by("-pk" if newest_first else "pk")[: PAGE + 1])
    following = _signer(view).sign(str(found[PAGE - 1].pk)) if len(found) > PAGE else None
    return Response({"results": show(found[:PAGE]), "next": following})


def _key(view: Operation) -> int | None:
    cursor = view.query.get("cursor")
    if cursor is None:
        return None
    try:
        return int(_signer(view).unsign(cursor))
    except BadSignature:
        raise Problem("bad_cursor", "This cursor is not one that this list gave.") from None


def _signer(view: Operation) -> Signer:
    return Signer(salt=f"cursor:{type(view).__name__}")
