"""What a model's tokenizer makes of a text. Nothing is stored."""

from __future__ import annotations

from uuid import UUID

from rest_framework.response import Response

from annotate.api.operations import Json, Operation, Request, operation
from annotate.models import Token
from rlhf import tokenizing
from rlhf.api import inputs, outputs


class Encode(Operation):
    scope = Token.Scope.READ
    largest_body = 100_000

    @operation(
        "A text as the tokens of a model, and the merges that made them",
        body=inputs.EncodeIn,
        returns=outputs.EncodedOut,
        errors=(403, 404, 409, 413),
    )
    def post(self, request: Request, id: UUID) -> Response:
        tokenizer = tokenizing.loaded(tokenizing.model_with_tokenizer(request.user, id))
        return Response(_shown(tokenizing.encode(tokenizer, self.body["text"])))


def _shown(found: tokenizing.Encoded) -> Json:
    """As `EncodedOut` says; thousands of rows, so no serializer for each."""
    return {
        "tokens": [
            {"id": one.id, "start": one.start, "end": one.end, "bytes": one.bytes.hex()} for one in found.tokens
        ],
        "first": [[one.id, one.bytes.hex()] for one in found.first],
        "steps": [[one.rank, one.position, one.id] for one in found.steps],
        "why": found.why,
        "reason": found.reason,
        "counts": found.counts,
    }
