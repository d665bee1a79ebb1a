"""Refusals and faults as pages: a sentence, a way out, an id. None says a path, a trace, or that something exists.

500 and 503 read no row: they also stand when the database is away.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable

from django.db import IntegrityError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from annotate.errors import AnnotateError
from annotate.pages.request import wants_json

log = logging.getLogger(__name__)

RETRY_S = 30


class Refusals:
    """Middleware: what a view raises becomes a page with the sentence; JSON for a script of ours."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, AnnotateError):
            return refused(request, error)
        if isinstance(error, IntegrityError):
            sentence = _("Somebody else was first, or this stands already. Load the page again.")
            return refused(request, AnnotateError("conflict", sentence, status=409))
        if isinstance(error, OperationalError):
            return unavailable(request)
        return None


def refused(request: HttpRequest, error: AnnotateError) -> HttpResponse:
    """The answer to a form that an action refused."""
    wait = error.facts.get("retry_after_s")
    headers = {"Retry-After": str(wait)} if wait else {}
    if wants_json(request):
        content = {"code": error.code, "sentence": error.sentence, "facts": error.facts}
        return JsonResponse(content, status=error.status, headers=headers)
    return page(request, status=error.status, sentence=error.sentence, headers=headers)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return page(request, status=400, sentence=_("What was sent cannot be read. Go back and try again."))


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    sentence = _("Your roles in this project do not allow this. An admin of the project can give you one that does.")
    return page(request, status=403, sentence=sentence)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return page(request, status=404, sentence=_("There is no such page, or it is not open to you."))


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    if wants_json(request) and not request.user.is_authenticated:
        return JsonResponse({"code": "signed_out", "sentence": _("You are signed out."), "facts": {}}, status=401)
    sentence = _("This form is too old, or cookies are off. Go back, load the page again and send it once more.")
    if wants_json(request):
        return JsonResponse({"code": "csrf", "sentence": sentence, "facts": {}}, status=403)
    return page(request, status=403, sentence=sentence)


def failed(request: HttpRequest) -> HttpResponse:
    """A fault of ours: logged under the id that the page shows."""
    error_id = _new_id()
    log.error("error %s on %s", error_id, request.resolver_match.view_name if request.resolver_match else "no view")
    sentence = _("Something failed here. What you typed is kept in this browser; try again in a moment.")
    return _alone(500, sentence, error_id)


def unavailable(request: HttpRequest) -> HttpResponse:
    error_id = _new_id()
    log.exception("error %s: the database cannot be reached", error_id)
    if wants_json(request):
        sentence = _("The service is busy or away for a moment.")
        return JsonResponse({"code": "unavailable", "sentence": sentence, "facts": {}}, status=503)
    response = _alone(503, _("The service is busy or away for a moment. Load the page again shortly."), error_id)
    response["Retry-After"] = str(RETRY_S)
    return response


def page(
    request: HttpRequest, *, status: int, sentence: str, headers: dict[str, str] | None = None, id: str = ""
) -> HttpResponse:
    context = {"status": status, "sentence": sentence, "error_id": id or _new_id()}
    response = render(request, "annotate/error.html", context, status=status)
    for name, value in (headers or {}).items():
        response[name] = value
    return response


def _alone(status: int, sentence: str, error_id: str) -> HttpResponse:
    """Rendered without the request, so that no context processor asks the database."""
    context = {"status": status, "sentence": sentence, "error_id": error_id}
    return HttpResponse(render_to_string("annotate/error.html", context), status=status)


def _new_id() -> str:
    return secrets.token_hex(4)
