"""The frame of the two addresses that people wait for all day: what is ordinary passes DRF's machinery by.

On these, that machinery would cost more than the work itself. It still documents them, and it alone refuses a request.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from io import BytesIO
from typing import Any, cast  # Any: what the URL captured
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import APIException
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request as DRFRequest
from rest_framework.response import Response

from annotate.api.operations import Json, Operation, Request
from annotate.api.parsers import BoundedJSON
from annotate.api.tokens import TokenAuthentication
from annotate.models import User

JSON = "application/json"
ACCEPTED = {"", "*/*", JSON}


class HotOperation(Operation, ABC):
    """A POST whose ordinary request goes straight to `act`; every other one goes the way of each Operation.

    Ordinary: JSON without a query, of a signed-in person with a CSRF token or of a token with the scope, and a body
    that `ordinary` knows. `act` runs once, and its refusals read the same on both ways.
    """

    @abstractmethod
    def ordinary(self, data: object) -> Json | None:
        """The body as its serializer would give it; None where that serializer should look at it."""

    @abstractmethod
    def act(self, user: User, body: Json, *, id: UUID, key: str) -> Json:
        """Do it to the object of that id; the content of the answer. key: of idempotency, empty where none came."""

    def post(self, request: Request, id: UUID) -> Response:
        """The way of each Operation; a subclass declares it with `operation`."""
        return Response(self.act(request.user, self.body, id=id, key=_key(request)))

    def dispatch(self, request: HttpRequest, *args: Any, **captured: Any) -> HttpResponseBase:
        found = self._ordinary(request)
        if found is None:
            return super().dispatch(request, *args, **captured)
        try:
            content = self.act(*found, id=captured["id"], key=_key(request))
        except Exception as error:  # as broad as DRF's own: its handler knows the refusals, all else goes on up
            refusal = self.get_exception_handler()(error, {"view": self})
            if refusal is None:
                raise
            return _sent(refusal)
        return _sent(Response(content))

    def _ordinary(self, request: HttpRequest) -> tuple[User, Json] | None:
        plain = request.method == "POST" and request.content_type == JSON and not request.META.get("QUERY_STRING")
        length = request.META.get("CONTENT_LENGTH") or ""
        short = length.isdecimal() and 0 < int(length) <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if not plain or not short or request.headers.get("Accept", "") not in ACCEPTED:
            return None
        try:
            user = _who(request, self.scope)
            body = self.ordinary(BoundedJSON().parse(BytesIO(request.body))) if user else None
        except APIException:
            return None
        return (user, body) if user and body is not None else None


def _key(request: HttpRequest | DRFRequest) -> str:
    return request.headers.get("Idempotency-Key", "")


def _sent(answer: Response) -> HttpResponse:
    """The answer as bytes; DRF renders its own later, with what it knows of the request."""
    headers = {"Allow": "POST", **dict(answer.items()), "Content-Type": answer.content_type or JSON}
    return HttpResponse(JSONRenderer().render(answer.data), status=answer.status_code, headers=headers)


def _who(request: HttpRequest, scope: str) -> User | None:
    """Who asks, by the classes that ask everywhere; None where the scope is missing. Raises APIException."""
    asking = cast(DRFRequest, request)  # they read what both kinds of request have
    if "Authorization" in request.headers:
        found = TokenAuthentication().authenticate(asking)
        return found[0] if found and scope in found[1].scopes else None
    user = request.user
    if not isinstance(user, User) or not user.is_active:
        return None
    SessionAuthentication().enforce_csrf(asking)
    return user
