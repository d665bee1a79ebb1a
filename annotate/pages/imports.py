"""Taking a file in, and the report of it."""

from __future__ import annotations

from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any  # contexts of templates
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods

from annotate.access import import_for, project_for
from annotate.actions.begin_import import begin_import
from annotate.errors import AnnotateError
from annotate.models import Import, Project, Role, Source
from annotate.pages.request import Request, wants_part
from annotate.tasks import send_import

READERS = (Role.REVIEWER, Role.ADMIN)
LARGEST_FILE = 1_000_000_000
MOST_SHOWN = 100
COLUMNS = ("text", "instruction", "answer")
FIELDS = ("source", "licence", "what", "format", "ask", "go_on", *COLUMNS)


@require_http_methods(["GET", "POST"])
def import_new(request: Request, project: UUID) -> HttpResponse:
    found = project_for(request.user, project, role=Role.ADMIN)
    given = {name: request.POST.get(name, "").strip() for name in FIELDS}
    errors: dict[str, str] = {}
    if request.method == "POST":
        errors = _missing(request, given)
        if not errors:
            try:
                return redirect("import", imported=_begin(request, found, given).uuid)
            except AnnotateError as refusal:
                errors = {str(refusal.facts.get("field", "file")): refusal.sentence}
    context = {
        "given": given,
        "errors": errors,
        "kinds": Import.What.values,
        "formats": Import.Format.values,
        "sources": Source.objects.filter(project=found).order_by("name").values_list("name", flat=True),
    }
    return render(request, "annotate/import_new.html", context, status=422 if errors else 200)


@require_GET
def imported(request: Request, imported: UUID) -> HttpResponse:
    found = import_for(request.user, imported, role=READERS)
    part = wants_part(request, "report")
    return render(request, f"annotate/{'_parts/import_report' if part else 'import'}.html", _report(found))


def _missing(request: Request, given: dict[str, str]) -> dict[str, str]:
    errors = {}
    file = request.FILES.get("file")
    if not isinstance(file, UploadedFile):
        errors["file"] = _("Choose a file: text, Markdown, HTML or JSON Lines.")
    elif (file.size or 0) > LARGEST_FILE:
        errors["file"] = _("This file has over 1 GB; cut it into smaller ones.")
    if not given["source"]:
        errors["source"] = _("Name the source, so that everybody can see where a text came from.")
    if not given["licence"]:
        errors["licence"] = _("Name the licence; where it is not known, write “unknown”.")
    return errors


@transaction.atomic
def _begin(request: Request, project: Project, given: dict[str, str]) -> Import:
    file = request.FILES["file"]
    assert isinstance(file, UploadedFile)  # one file a field
    source, _made = Source.objects.get_or_create(
        project=project,
        name=given["source"][:200],
        defaults={"kind": Source.Kind.UPLOAD, "licence": given["licence"][:200], "added_by": request.user},
    )
    columns = {name: given[name] for name in COLUMNS if given[name]}
    options = {"ask": bool(given["ask"]), "go_on": bool(given["go_on"]), **({"fields": columns} if columns else {})}
    with NamedTemporaryFile() as copy:
        for chunk in file.chunks():
            copy.write(chunk)
        copy.flush()
        begun = begin_import(
            source=source,
            what=given["what"],
            format=given["format"],
            options=options,
            file_path=Path(copy.name),
            label=file.name or "file",
            by=request.user,
        )
    send_import(begun)
    return begun


def _report(found: Import) -> dict[str, Any]:
    return {
        "imported": found,
        "running": found.state == Import.State.READING,
        "done": found.state in {Import.State.FINISHED, Import.State.FAILED, Import.State.CANCELLED},
        "progress": {
            "done": found.position,
            "total": found.size_bytes,
            "unit": _("bytes"),
            "eta_s": _eta_s(found),
        },
        "percent": min(100, round(100 * found.position / found.size_bytes)) if found.size_bytes else 100,
        "refusals": found.refusals.order_by("pk")[:MOST_SHOWN],
        "most": MOST_SHOWN,
        "unflagged": found.batches.filter(flagged_at=None).count(),
        "live_url": reverse("api:import-live", args=[found.uuid]),
    }


def _eta_s(found: Import) -> float | None:
    """At the speed until now; None before anything was read, and at the end."""
    if found.state != Import.State.READING or not found.position:
        return None
    elapsed_s = (now() - found.created_at).total_seconds()
    return elapsed_s * (found.size_bytes - found.position) / found.position
