"""The API's own description, as OpenAPI 3.1; `docs/openapi.yaml` is its checked-in copy."""

from __future__ import annotations

from functools import cache
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.types import OpenApiTypes
from rest_framework.response import Response

from annotate.api.operations import Operation, Request, operation


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the base class's hook has no types
    """How the schema describes TokenAuthentication."""

    target_class = "annotate.api.tokens.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "ts_ and 43 characters"}


class Schema(Operation):
    @operation("This description", returns=OpenApiTypes.OBJECT, errors=(403,))
    def get(self, request: Request) -> Response:
        return Response(document())


@cache
def document() -> dict[str, Any]:  # Any: OpenAPI's own objects
    """The whole description, the same for everybody. Made once a process."""
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]  # drf-spectacular
    return found
