"""Snapshots: the list, freezing one, and what one holds."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any
from uuid import UUID, uuid4

from django.http import FileResponse, Http404, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from annotate.access import project_for
from annotate.exports.settings import MOST_PEOPLE, SETTINGS, SOURCES
from annotate.models import Project, Role
from annotate.pages.paging import page_of
from annotate.pages.request import Request
from rlhf import storage
from rlhf.access import snapshot_for
from rlhf.errors import LaunchError
from rlhf.models import Run, Snapshot
from rlhf.pages.parts import wants_part
from rlhf.snapshots import begin, preview

READERS = (Role.REVIEWER, Role.ADMIN)
FIRST_ROWS = 5
LONGEST = 600  # characters of a row's text that the page shows
PROMPTS = {"train": 600, "heldout": 200}
MOST_PROMPTS = 100_000
Json = dict[str, Any]  # Any: a JSON object


@require_GET
def snapshots(request: Request, project: UUID) -> HttpResponse:
    found = project_for(request.user, project, role=READERS)
    frozen = Snapshot.objects.filter(project=found).prefetch_related("run_inputs__run")
    context = {
        "page": page_of(request, frozen),
        "kinds": Snapshot.Kind.values,
        "admin": request.user.holds(Role.ADMIN, found),
        "live_url": reverse("api:project-live", args=[found.uuid]),
    }
    template = "rlhf/_parts/snapshot_rows.html" if wants_part(request, "rows") else "rlhf/snapshots.html"
    return render(request, template, context)


@require_http_methods(["GET", "POST"])
def snapshot_new(request: Request, project: UUID, kind: str) -> HttpResponse:
    """GET shows what would be frozen, and why the rest is left out; POST freezes it."""
    found = project_for(request.user, project, role=Role.ADMIN)
    if kind not in Snapshot.Kind.values:
        raise Http404
    settings, errors = _settings(kind, request.POST if request.method == "POST" else request.GET)
    if request.method == "POST" and not errors:
        key = request.POST.get("key", "")
        try:
            frozen = begin(project=found, kind=kind, settings=settings, by=request.user, key=key)
        except LaunchError as refusal:
            errors = refusal.fields or {"": refusal.sentence}
        else:
            return redirect("snapshot", snapshot=frozen.uuid)
    return _form(request, found, kind, settings, errors)


@require_GET
def snapshot(request: Request, snapshot: UUID) -> HttpResponse:
    found = snapshot_for(request.user, snapshot, role=READERS)
    frozen = found.state == Snapshot.State.FROZEN
    context = {
        "snapshot": found,
        "rows": _first_rows(found) if frozen else [],
        "files": found.files,
        "used_by": Run.objects.filter(inputs__snapshot=found).order_by("-number").distinct(),
        "live_url": reverse("api:snapshot-live", args=[found.uuid]),
    }
    part = wants_part(request, "body")
    return render(request, "rlhf/_parts/snapshot_body.html" if part else "rlhf/snapshot.html", context)


@require_GET
def snapshot_file(request: Request, snapshot: UUID, name: str) -> HttpResponseBase:
    """One of the snapshot's files, as it was frozen."""
    found = snapshot_for(request.user, snapshot, role=READERS)
    file = next((one for one in found.files if one["name"] == name), None)
    if file is None:
        raise Http404
    kind = "application/json" if name.endswith(".json") else "application/x-ndjson"
    stored = storage.fetch(file["sha256"]).open("rb")
    return FileResponse(stored, as_attachment=True, filename=f"{found}-{name}", content_type=kind)


def _form(request: Request, project: Project, kind: str, settings: Json, errors: dict[str, str]) -> HttpResponse:
    data = request.POST or request.GET
    context = {
        "kind": kind,
        "kinds": Snapshot.Kind.values,
        "asks": SETTINGS[kind].keys(),
        "settings": settings,
        "min_people": data.get("min_people", SETTINGS["cloze"]["min_people"]),
        "typed": {split: data.get(split, str(n)) for split, n in PROMPTS.items()},
        "most": MOST_PROMPTS,
        "errors": errors,
        "key": request.POST.get("key") or uuid4().hex,
        "preview": None if errors else preview(project=project, kind=kind, settings=settings),
    }
    return render(request, "rlhf/snapshot_new.html", context, status=422 if errors else 200)


def _settings(kind: str, data: QueryDict) -> tuple[Json, dict[str, str]]:
    """The settings of a kind from a form, and a sentence a field that is no number. `hold` keeps its default."""
    settings: Json = {}
    errors: dict[str, str] = {}
    asks = SETTINGS[kind]
    if "unknown_licence" in asks:
        settings["unknown_licence"] = "unknown_licence" in data
    if "duplicates" in asks:
        settings["duplicates"] = "representatives" if "representatives" in data else "all"
    if "sources" in asks:
        chosen = [name for name in SOURCES[kind] if name in data.getlist("sources")]
        settings["sources"] = chosen or asks["sources"]
    if "splits" in asks:
        settings["splits"], errors = _splits(data)
    if "min_people" in asks:
        value = data.get("min_people", str(asks["min_people"])).strip()
        if value.isdecimal() and int(value) <= MOST_PEOPLE:
            settings["min_people"] = int(value)
        else:
            allowed = f"a whole number, 0 to {MOST_PEOPLE:,}"
            errors["min_people"] = f"{value or 'Nothing'} was found; allowed: {allowed}."
    return settings, errors


def _splits(data: QueryDict) -> tuple[dict[str, int], dict[str, str]]:
    """How many prompts of each side."""
    splits, errors = {}, {}
    for split, default in PROMPTS.items():
        value = data.get(split, str(default)).replace(",", "").strip()
        if value.isdecimal() and int(value) <= MOST_PROMPTS:
            splits[split] = int(value)
        else:
            errors[split] = f"{value or 'Nothing'} was found; allowed: a whole number, 0 to {MOST_PROMPTS:,}."
    return splits, errors


def _first_rows(snapshot: Snapshot) -> list[Json]:
    """The first rows, each {id, split, by, turns: [{role, text}]}, cut where they are long. Reads one stored file."""
    file = next((one for one in snapshot.files if one["type"]), None)
    if file is None:
        return []
    with storage.fetch(file["sha256"]).open(encoding="utf-8") as lines:
        return [_row(json.loads(line)) for line in islice(lines, FIRST_ROWS)]


def _row(row: Json) -> Json:
    turns = [{"role": one["role"], "text": one["content"]} for one in row.get("messages", ())]
    if "gold" in row:
        before, after = row["sentence"]
        turns = [{"role": "cloze", "text": f"{before}[{row['gold']}]{after}"}]
    if "text" in row:
        turns = [{"role": "document", "text": row["text"]}]
    place = {index: place for place, group in enumerate(row.get("groups", ()), start=1) for index in group}
    for index, answer in enumerate(row.get("answers", ())):
        turns.append({"role": "answer", "text": answer["text"], "place": place.get(index)})
    for turn in turns:
        turn["cut"] = len(turn["text"]) > LONGEST
        turn["text"] = turn["text"][:LONGEST]
    return {"id": row["id"], "split": row["split"], "by": row.get("by"), "turns": turns}
