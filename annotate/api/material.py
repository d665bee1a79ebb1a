"""Texts, where they come from, and how they are taken in."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from django.core.files.uploadedfile import TemporaryUploadedFile
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.utils.timezone import now
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request as DRFRequest
from rest_framework.response import Response

from annotate.access import import_for, project_for, slot_for, source_for, text_for
from annotate.actions.begin_import import begin_import
from annotate.actions.notices import notices_of
from annotate.api import inputs, outputs
from annotate.api.operations import Json, Operation, Request, conditional, operation, tagged
from annotate.api.paging import OfProject, Paged, page
from annotate.models import Flag, Import, Project, Role, Source, Text, Token, User
from annotate.rendering import blocks
from annotate.tasks import send_import

READERS = (Role.REVIEWER, Role.ADMIN)
LARGEST_FILE = 1_000_000_000
FORM_OVERHEAD = 100_000
OPTIONS = ("fields", "encoding", "go_on", "ask")


class Sources(Operation):
    @operation("The sources of a project", query=OfProject, returns=outputs.SourceOut, paged=True)
    def get(self, request: Request) -> Response:
        project = project_for(request.user, self.query["project"], role=READERS)
        return page(self, project.sources.all(), outputs.SourceOut.all_of, newest_first=True)

    @operation("Name a source", body=inputs.SourceIn, returns=outputs.SourceOut, status=201, errors=(403, 404, 409))
    @transaction.atomic
    def post(self, request: Request) -> Response:
        body = dict(self.body)
        project = project_for(request.user, body.pop("project"), role=Role.ADMIN)
        source = Source.objects.create(project=project, added_by=request.user, **body)
        return Response(outputs.SourceOut(source).data, status=201)


class OneSource(Operation):
    @operation("A source", returns=outputs.SourceOut)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(outputs.SourceOut(source_for(request.user, id, role=READERS)).data)


class Imports(Operation):
    parser_classes = [MultiPartParser]
    largest_body = LARGEST_FILE + FORM_OVERHEAD

    def initialize_request(self, request: HttpRequest, *args: object, **kwargs: object) -> DRFRequest:
        request.upload_handlers = [TemporaryFileUploadHandler(request)]  # to disk as it comes, whatever its size
        return super().initialize_request(request, *args, **kwargs)

    @operation("The imports of a project", query=inputs.ImportsQuery, returns=outputs.ImportOut, paged=True)
    def get(self, request: Request) -> Response:
        project = project_for(request.user, self.query["project"], role=READERS)
        rows = Import.objects.filter(source__project=project).select_related("source")
        if "state" in self.query:
            rows = rows.filter(state=self.query["state"])
        return page(self, rows, outputs.ImportOut.all_of, newest_first=True)

    @operation(
        "Import a file",
        body=inputs.ImportIn,
        returns=outputs.ImportOut,
        status=201,
        errors=(403, 404, 413, 415),
    )
    def post(self, request: Request) -> Response:
        body = self.body
        project = project_for(request.user, body["project"], role=Role.ADMIN)
        return Response(outputs.ImportOut(_begin(project, body, by=request.user)).data, status=201)


class OneImport(Operation):
    @operation("An import", returns=outputs.ImportOut)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(outputs.ImportOut(import_for(request.user, id, role=READERS)).data)


class ImportLive(Operation):
    @operation("How an import goes", query=inputs.LiveQuery, returns=outputs.ImportLiveOut)
    def get(self, request: Request, id: UUID) -> Response:
        found = import_for(request.user, id, role=READERS)
        cursor = f"{found.state}.{found.position}.{found.new}.{found.repeated}.{found.refused}"
        return conditional(request, cursor) or tagged(_live(found, cursor), cursor)


class Refusals(Operation):
    @operation(
        "The rows of a file that were not taken, with the reason; the first 10,000 are kept",
        query=Paged,
        returns=outputs.RefusalOut,
        paged=True,
    )
    def get(self, request: Request, id: UUID) -> Response:
        found = import_for(request.user, id, role=READERS)
        return page(self, found.refusals.all(), outputs.RefusalOut.all_of, newest_first=False)


class Texts(Operation):
    @operation("The texts of a project", query=inputs.TextsQuery, returns=outputs.TextOut, paged=True)
    def get(self, request: Request) -> Response:
        rows = _texts().filter(project=project_for(request.user, self.query["project"], role=READERS))
        if "kind" in self.query:
            rows = rows.filter(kind=self.query["kind"])
        if "source" in self.query:
            rows = rows.filter(source__uuid=self.query["source"])
        return page(self, rows, outputs.TextOut.all_of, newest_first=False)


class TextPreview(Operation):
    scope = Token.Scope.ANNOTATE

    @operation(
        "What I type, as others will see it; nothing is kept",
        body=inputs.PreviewIn,
        returns=outputs.TextPreviewOut,
        errors=(403, 404),
    )
    def post(self, request: Request) -> Response:
        body = self.body
        text, instruction = body["text"], body["instruction"]
        slot = slot_for(request.user, body["slot"]) if "slot" in body else None
        found = notices_of(text, task=slot.task, by=request.user, instruction=instruction) if slot else []
        return Response({"blocks": blocks(text), "notices": found})


class OneText(Operation):
    @operation("A text, with what detectors found in it", returns=outputs.TextOut)
    def get(self, request: Request, id: UUID) -> Response:
        found = text_for(request.user, id, role=READERS)
        return Response(outputs.TextOut(_texts().get(pk=found.pk)).data)


@transaction.atomic
def _begin(project: Project, body: Json, *, by: User) -> Import:
    """The import, with a message to a worker once it is committed."""
    file: TemporaryUploadedFile = body["file"]
    options = {name: body[name] for name in OPTIONS if body.get(name)}
    source, _ = Source.objects.get_or_create(
        project=project,
        name=body["source"],
        defaults={"kind": Source.Kind.UPLOAD, "licence": body.get("licence", "unknown"), "added_by": by},
    )
    begun = begin_import(
        source=source,
        what=body["what"],
        format=body["format"],
        options=options,
        file_path=Path(file.temporary_file_path()),
        label=file.name or "file",
        by=by,
    )
    send_import(begun)
    return begun


def _live(found: Import, cursor: str) -> Json:
    return {
        "cursor": cursor,
        "state": found.state,
        "progress": {"done": found.position, "total": found.size_bytes, "unit": "bytes", "eta_s": _eta_s(found)},
        "new": found.new,
        "repeated": found.repeated,
        "refused": found.refused,
        "failure": found.failure,
    }


def _eta_s(found: Import) -> float | None:
    """At the speed until now; None before anything was read, and at the end."""
    if found.state != Import.State.READING or not found.position:
        return None
    elapsed_s = (now() - found.created_at).total_seconds()
    return round(elapsed_s * (found.size_bytes - found.position) / found.position, 1)


def _texts() -> QuerySet[Text]:
    """Texts with all that TextOut shows of them."""
    live = Prefetch("flags", queryset=Flag.objects.live().order_by("start", "pk"), to_attr="live_flags")
    return Text.objects.select_related("parent", "edited_from", "group", "source").prefetch_related(live)
