"""Refusals of the API as `application/problem+json`: a stable code for programs, a sentence for people.

No answer holds a stack trace, a path, or whether a foreign object exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, TooManyFilesSent
from django.db import IntegrityError
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from annotate.errors import AnnotateError

CONTENT_TYPE = "application/problem+json"
Json = dict[str, Any]  # Any: a JSON object


class Problem(exceptions.APIException):
    """A refusal that the API itself makes. facts: what a program may need beside the code."""

    def __init__(self, code: str, sentence: str, *, status: int = 400, **facts: object) -> None:
        super().__init__(sentence, code)
        self.status_code = status
        self.facts = facts


# what is raised → status, code, sentence
KNOWN: dict[type[Exception], tuple[int, str, str]] = {
    Http404: (404, "not_found", "There is no such thing, or it is not open to you."),
    exceptions.NotFound: (404, "not_found", "There is no such thing, or it is not open to you."),
    exceptions.NotAuthenticated: (401, "not_authenticated", "Sign in, or send a token: Authorization: Bearer ts_…"),
    PermissionDenied: (403, "not_allowed", "Your roles in this project do not allow this."),
    RequestDataTooBig: (413, "too_large", "The body is larger than is taken here."),
    TooManyFilesSent: (400, "too_many_files", "Send one file at a time."),
    IntegrityError: (409, "conflict", "Somebody else was first, or this stands already. Load it again."),
}


def handle(error: Exception, context: Mapping[str, Any]) -> Response | None:  # Any: DRF's own context
    """The answer to what a view raised; None where it is a fault of ours, which Django then reports."""
    answer = _answer(error)
    if answer is not None:
        set_rollback()
    return answer


def answer(status: int, code: str, sentence: str, **facts: object) -> Response:
    """A problem in its one form."""
    response = Response({"code": code, "detail": sentence, **facts}, status=status, content_type=CONTENT_TYPE)
    if status == 401:
        response["WWW-Authenticate"] = "Bearer"
    if "retry_after_s" in facts:
        response["Retry-After"] = str(facts["retry_after_s"])
    return response


def _answer(error: Exception) -> Response | None:
    if isinstance(error, AnnotateError):
        return answer(error.status, error.code, error.sentence, **error.facts)
    if isinstance(error, Problem):
        return answer(error.status_code, str(error.get_codes()), str(error.detail), **error.facts)
    for kind, (status, code, sentence) in KNOWN.items():
        if isinstance(error, kind):
            return answer(status, code, sentence)
    if isinstance(error, exceptions.ValidationError):
        return _invalid(error)
    if isinstance(error, exceptions.APIException):
        return answer(error.status_code, _code(error), str(error.detail))
    return None


def _code(error: exceptions.APIException) -> str:
    names = {
        exceptions.AuthenticationFailed: "bad_token",
        exceptions.ParseError: "bad_json",
        exceptions.PermissionDenied: "not_allowed",
    }
    return names.get(type(error), str(error.default_code))


def _invalid(error: exceptions.ValidationError) -> Response:
    """400 with a sentence for each field at fault; unknown fields have a code of their own."""
    fields = _sentences(error.detail)
    unknown = "unknown_field" in str(error.get_codes())
    detail = " ".join(f"{name}: {sentence}" if name else sentence for name, sentence in fields.items())
    return answer(400, "unknown_field" if unknown else "invalid", detail, fields=fields)


def _sentences(detail: object, place: str = "") -> dict[str, str]:
    """Nested details as one level: "sides.0.model" → sentence."""
    if isinstance(detail, Mapping):
        items = [(str(name), inner) for name, inner in detail.items()]
    elif isinstance(detail, list) and any(isinstance(inner, Mapping | list) for inner in detail):
        items = [(str(number), inner) for number, inner in enumerate(detail)]
    else:
        return {place: " ".join(str(one) for one in detail) if isinstance(detail, list) else str(detail)}
    found: dict[str, str] = {}
    for name, inner in items:
        name = "" if name == "non_field_errors" else name
        found |= _sentences(inner, ".".join(part for part in (place, name) if part))
    return found
