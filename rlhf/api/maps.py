"""A finished map: its pictures as bytes, its labels, a point's true neighbours, none of which ever change; votes."""

from __future__ import annotations

import gzip
import secrets
from dataclasses import asdict
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from rest_framework.response import Response

from annotate.api.game import IMMUTABLE
from annotate.api.operations import Operation, Request, operation
from annotate.models import Token
from rlhf import maps, similar
from rlhf.api import inputs, outputs


class MapPoints(Operation):
    @operation(
        "A picture of a map: float32, little-endian, x and y of each point in the order of the labels",
        query=inputs.PointsQuery,
        returns=OpenApiTypes.BINARY,
        content_type="application/octet-stream",
        errors=(403, 404, 409),
    )
    def get(self, request: Request, id: UUID) -> HttpResponse:
        run = maps.map_run_for(request.user, id)
        step, layout = self.query["step"], self.query["layout"]
        return _packed(maps.points(run, step, layout), "application/octet-stream")


class MapLabels(Operation):
    @operation(
        "What the points of a map are, and what its pictures keep", returns=outputs.MapOut, errors=(403, 404, 409)
    )
    def get(self, request: Request, id: UUID) -> HttpResponse:
        return _packed(maps.labels(maps.map_run_for(request.user, id)), "application/json")


class MapNeighbours(Operation):
    @operation(
        "The 20 true neighbours of a point, nearest first", returns=outputs.NeighboursOut, errors=(403, 404, 409)
    )
    def get(self, request: Request, id: UUID, place: int) -> Response:
        run = maps.map_run_for(request.user, id)
        found = maps.neighbours(run, place)
        near = [{"place": one.place, "text": one.label.text, "cosine": one.cosine} for one in found]
        content = {"place": place, **asdict(maps.loaded(run).labels[place]), "neighbours": near}
        return Response(content, headers={"Cache-Control": IMMUTABLE})


class MapSimilar(Operation):
    scope = Token.Scope.ANNOTATE

    @operation("Three words of a map, and how far people and its model agree so far", returns=outputs.ThreeOut)
    def get(self, request: Request, id: UUID) -> Response:
        run = maps.map_run_for(request.user, id)
        words = similar.three(run, seed=secrets.randbits(32))
        return Response({"words": words, **asdict(similar.agreement(run))}, headers={"Cache-Control": "no-store"})

    @operation(
        "Say which of three words is the odd one, or take that back",
        body=inputs.VoteIn,
        returns=outputs.OddOut,
        status=201,
        errors=(403, 404, 409, 422),
    )
    def post(self, request: Request, id: UUID) -> Response:
        run, body = maps.map_run_for(request.user, id), self.body
        return Response({"model": similar.vote(run, body["words"], odd=body["odd"], by=request.user)}, status=201)


def _packed(content: bytes, kind: str) -> HttpResponse:
    headers = {"Content-Encoding": "gzip", "Cache-Control": IMMUTABLE}
    return HttpResponse(gzip.compress(content, mtime=0), content_type=kind, headers=headers)
