"""Refusals of the whole API: those of `annotate`, and the launch errors of `rlhf`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.response import Response
from rest_framework.views import set_rollback

from annotate.api import problems
from rlhf.errors import LaunchError

BUSY_S = 5  # when to come again, where a part of the service is away


def handle(error: Exception, context: Mapping[str, Any]) -> Response | None:  # Any: DRF's own context
    """The answer to what a view raised, as `application/problem+json`."""
    if not isinstance(error, LaunchError):
        return problems.handle(error, context)
    set_rollback()
    facts: dict[str, object] = {"fields": error.fields} if error.fields else {}
    if error.status == 503:
        facts["retry_after_s"] = BUSY_S
    return problems.answer(error.status, error.code, error.sentence, **facts)
