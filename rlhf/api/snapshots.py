"""Snapshots: preview, freeze, watch, fetch."""

from __future__ import annotations

from uuid import UUID

from django.http import FileResponse, Http404, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from rest_framework.response import Response

from annotate.access import project_for
from annotate.api.inputs import LiveQuery
from annotate.api.operations import Operation, Request, conditional, operation, tagged
from annotate.api.paging import page
from annotate.models import Role, Token
from rlhf import storage
from rlhf.access import snapshot_for
from rlhf.api import inputs, outputs
from rlhf.models import Snapshot
from rlhf.snapshots import begin, preview

READERS = (Role.REVIEWER, Role.ADMIN)


class Snapshots(Operation):
    scope = Token.Scope.TRAIN

    @operation("The snapshots of a project", query=inputs.SnapshotsQuery, returns=outputs.SnapshotOut, paged=True)
    def get(self, request: Request) -> Response:
        rows = Snapshot.objects.filter(project=project_for(request.user, self.query["project"], role=READERS))
        if "kind" in self.query:
            rows = rows.filter(kind=self.query["kind"])
        return page(self, rows, outputs.SnapshotOut.all_of, newest_first=True)

    @operation(
        "Freeze a snapshot", body=inputs.SnapshotIn, returns=outputs.SnapshotOut, status=201, headers=inputs.ONCE
    )
    def post(self, request: Request) -> Response:
        body = self.body
        project = project_for(request.user, body["project"], role=Role.ADMIN)
        key = request.headers.get("Idempotency-Key", "")
        snapshot = begin(project=project, kind=body["kind"], settings=body["settings"], by=request.user, key=key)
        return Response(outputs.SnapshotOut(snapshot).data, status=201)


class Preview(Operation):
    scope = Token.Scope.TRAIN

    @operation("What a snapshot would hold now", body=inputs.SnapshotIn, returns=outputs.PreviewOut)
    def post(self, request: Request) -> Response:
        body = self.body
        project = project_for(request.user, body["project"], role=Role.ADMIN)
        return Response(preview(project=project, kind=body["kind"], settings=body["settings"]))


class OneSnapshot(Operation):
    @operation("A snapshot", returns=outputs.SnapshotOut)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(outputs.SnapshotOut(snapshot_for(request.user, id, role=READERS)).data)


class SnapshotLive(Operation):
    @operation("Whether a snapshot is frozen yet", query=LiveQuery, returns=outputs.SnapshotLiveOut)
    def get(self, request: Request, id: UUID) -> Response:
        found = snapshot_for(request.user, id, role=READERS)
        cursor = f"{found.state}.{found.sha256[:12]}"
        content = {
            "cursor": cursor,
            "state": found.state,
            "counts": found.counts,
            "sha256": found.sha256,
            "failure": found.failure,
        }
        return conditional(request, cursor) or tagged(content, cursor)


class SnapshotFile(Operation):
    @operation(
        "A file of a snapshot, as it was frozen", returns=OpenApiTypes.BINARY, content_type="application/octet-stream"
    )
    def get(self, request: Request, id: UUID, name: str) -> HttpResponseBase:
        found = snapshot_for(request.user, id, role=READERS)
        file = next((one for one in found.files if one["name"] == name), None)
        if file is None:
            raise Http404
        stored = storage.fetch(file["sha256"]).open("rb")
        return FileResponse(
            stored, as_attachment=True, filename=f"{found}-{name}", content_type="application/octet-stream"
        )
