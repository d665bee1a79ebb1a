"""The frame of every address of the API: who may call it, what it takes, how its schema reads.

A view declares each method with `operation`; what is not declared is 405, what is not named in a query or body is 400.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from hashlib import sha256
from typing import Any, TypeVar

from django.conf import settings
from django.http import HttpResponseBase, QueryDict
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request as DRFRequest
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.api.parsers import BoundedJSON
from annotate.api.problems import CONTENT_TYPE, Problem
from annotate.models import Token, User

Json = dict[str, Any]  # Any: a JSON object, checked by a serializer
Shape = type[serializers.Serializer[Any]]  # Any: of rows of any model
SAFE = {"GET", "HEAD"}
Method = TypeVar("Method", bound=Callable[..., HttpResponseBase])
REASONS = {
    400: "The query or the body is not as described; `code` and `fields` say how.",
    401: "Nobody is signed in, or the token is unknown, expired or revoked.",
    403: "The person's roles or the token's scopes do not allow this.",
    404: "There is no such object, or it is not open to this person.",
    409: "The state of the object does not allow this now; `code` says why.",
    412: "The object changed since it was read.",
    413: "The body is too large.",
    415: "The body is of another type than described.",
    422: "The same Idempotency-Key came with another body.",
    429: "Too many requests; Retry-After says when to come again.",
    503: "A part of the service is busy or away; Retry-After says when to come again.",
}


class Request(DRFRequest):
    """A request after `IsAuthenticated` has passed it."""

    user: User


class Strict(serializers.Serializer):  # type: ignore[type-arg]  # of no row
    """A serializer for what comes in: a name that is not declared is refused."""

    def to_internal_value(self, data: Any) -> Any:  # Any: whatever came
        if isinstance(data, Mapping):
            unknown = sorted(str(name) for name in data if name not in self.fields)
            if unknown:
                sentence = f"Not known here; allowed: {', '.join(self.fields) or 'none'}."
                raise serializers.ValidationError({unknown[0]: [sentence]}, code="unknown_field")
        return super().to_internal_value(data)


class Nothing(Strict):
    """No fields: what an operation without a query or body takes."""


class TokenAllows(BasePermission):
    """A token needs `read` to read and the view's own scope to write; a signed-in person needs none."""

    def has_permission(self, request: DRFRequest, view: APIView) -> bool:
        token = request.auth
        if not isinstance(token, Token):
            return True
        wanted = Token.Scope.READ if request.method in SAFE else getattr(view, "scope", Token.Scope.MANAGE)
        if wanted not in token.scopes:
            raise Problem("scope_missing", f"This token lacks the scope {wanted.value}.", status=403)
        return True


class ProblemOut(serializers.Serializer):  # type: ignore[type-arg]  # of no row
    code = serializers.CharField(help_text="Stable, for programs.")
    detail = serializers.CharField(help_text="A sentence for people.")
    fields = serializers.DictField(  # type: ignore[assignment]  # the name is the API's
        child=serializers.CharField(), required=False, help_text="A sentence for each field at fault."
    )


class Described(AutoSchema):
    """Names an operation by its method and its view: `postSubmit`."""

    def get_operation_id(self) -> str:
        return f"{self.method.lower()}{type(self.view).__name__}"

    def get_description(self) -> str:  # type: ignore[override]  # as drf-spectacular calls it
        assert isinstance(self.view, Operation)
        scope = Token.Scope.READ if self.method in SAFE else self.view.scope
        return f"A token needs the scope `{scope.value}`."


class Operation(APIView):
    """One address. Subclasses write get, post, put, patch or delete, each under `operation`.

    scope: what a token needs to write here. largest_body: in bytes.
    """

    scope: Token.Scope = Token.Scope.MANAGE
    largest_body: int | None = None
    permission_classes = [IsAuthenticated, TokenAllows]
    parser_classes: Sequence[type] = [BoundedJSON]
    renderer_classes = [JSONRenderer]
    metadata_class = None
    schema = Described()
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    _query: Shape = Nothing
    _body: Shape = Nothing

    def initial(self, request: DRFRequest, *args: Any, **kwargs: Any) -> None:  # Any: what the URL captured
        limit = self.largest_body or settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal() or int(length) > limit:
            raise Problem("too_large", f"The body may have at most {limit:,} bytes.", status=413)
        super().initial(request, *args, **kwargs)

    @property
    def query(self) -> Json:
        """The query, checked. Raises what becomes a 400."""
        given = self.request.query_params
        if any(len(given.getlist(name)) > 1 for name in given):
            raise Problem("invalid", "A parameter stands twice in the query.")
        return _checked(self._query, given.dict())

    @property
    def body(self) -> Json:
        """The body, checked; an absent one counts as empty. Raises what becomes a 400."""
        data = self.request.data
        return _checked(self._body, data.dict() if isinstance(data, QueryDict) else data)


def operation(
    summary: str,
    *,
    returns: Shape | OpenApiTypes | None,
    query: Shape | None = None,
    body: Shape | None = None,
    status: int = 200,
    many: bool = False,
    paged: bool = False,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[int] = (403, 404),
    content_type: str = "application/json",
) -> Callable[[Method], Method]:
    """Declare a method of an Operation: what it takes and gives, for the check of its input and for the schema.

    headers: name → sentence, of request headers. errors: statuses beside 401, and 400 where something is taken.
    """

    def declare(method: Method) -> Method:
        @wraps(method)
        def checked(self: Operation, request: Request, **captured: object) -> HttpResponseBase:
            self._query, self._body = query or Nothing, body or Nothing
            self.query  # noqa: B018 an unknown parameter is refused, even where the method reads none
            return method(self, request, **captured)

        described = extend_schema(
            summary=summary,
            parameters=[*([query] if query else []), *_header_parameters(headers or {})],
            request={_body_type(body): body} if body else None,
            responses={
                (status, content_type): _returned(returns, many=many, paged=paged),
                **{(code, CONTENT_TYPE): _problem(code) for code in sorted({400, 401, *errors})},
            },
        )
        return described(checked)  # type: ignore[return-value]  # wraps keeps the signature

    return declare


def conditional(request: DRFRequest, cursor: str) -> Response | None:
    """304 where the client has seen this cursor; else None, and the caller answers with `tagged`."""
    if _tag(cursor) in [one.strip().removeprefix("W/") for one in request.headers.get("If-None-Match", "").split(",")]:
        return Response(status=304, headers={"ETag": _tag(cursor), "Cache-Control": "no-cache"})
    return None


def tagged(content: Json, cursor: str) -> Response:
    """An answer that carries its cursor as ETag too."""
    return Response(content, headers={"ETag": _tag(cursor), "Cache-Control": "no-cache"})


def unchanged_or_refuse(request: DRFRequest, version: str) -> None:
    """Nothing where If-Match is absent or names the version that stands; else 412."""
    wanted = request.headers.get("If-Match")
    if wanted is not None and wanted != _tag(version):
        raise Problem("changed", "Somebody changed this meanwhile. Load it again.", status=412)


def version_of(shown: Mapping[str, Any]) -> str:  # Any: JSON values
    """A short hash of what an object's representation says: its ETag."""
    return sha256(JSONRenderer().render(dict(shown))).hexdigest()[:16]


def _tag(cursor: str) -> str:
    return f'"{cursor}"'


def _checked(shape: Shape, data: object) -> Json:
    serializer = shape(data=data)
    serializer.is_valid(raise_exception=True)
    found: Json = serializer.validated_data
    return found


def _returned(shape: Shape | OpenApiTypes | None, *, many: bool, paged: bool) -> OpenApiResponse:
    if shape is None:
        return OpenApiResponse(description="Done; no body.")
    if isinstance(shape, OpenApiTypes):
        return OpenApiResponse(shape, description="As asked.")
    if paged:
        return OpenApiResponse(_page_of(shape), description="A page of rows.")
    return OpenApiResponse(shape(many=True) if many else shape, description="As asked.")


_PAGES: dict[Shape, Shape] = {}


def _page_of(shape: Shape) -> Shape:
    """The serializer of a page of these rows, made once."""
    if shape not in _PAGES:
        name = f"{shape.__name__.removesuffix('Out')}PageOut"
        following = serializers.CharField(allow_null=True, help_text="The cursor of the next page; null on the last.")
        _PAGES[shape] = type(name, (serializers.Serializer,), {"results": shape(many=True), "next": following})
    return _PAGES[shape]


def _problem(status: int) -> OpenApiResponse:
    return OpenApiResponse(ProblemOut, description=REASONS[status])


def _body_type(body: Shape) -> str:
    takes_file = any(isinstance(one, serializers.FileField) for one in body().fields.values())
    return "multipart/form-data" if takes_file else "application/json"


def _header_parameters(headers: Mapping[str, str]) -> list[OpenApiParameter]:
    return [
        OpenApiParameter(name, str, OpenApiParameter.HEADER, description=sentence) for name, sentence in headers.items()
    ]
