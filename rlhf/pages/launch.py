"""Launching a run: its inputs, its preset, the config's fields, and what stands in the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from annotate.access import project_for
from annotate.models import Project, Role
from annotate.pages.request import Request
from rlhf.errors import LaunchError
from rlhf.launching import Input, Need, launch, needs, readiness
from rlhf.models import Model, Run, Snapshot, next_number
from rlhf.pages import forms
from trainer.contract.configs import PRESETS

FIRST_PRESET = "demo"
MOST_OPTIONS = 100
PREFIX = "input-"


@dataclass(frozen=True)
class Choice:
    """One input as a select. options: (uuid, row, chosen), newest first."""

    need: Need
    options: list[tuple[str, Input, bool]]
    error: str = ""


@require_http_methods(["GET", "POST"])
def launch_run(request: Request, project: UUID, stage: str) -> HttpResponse:
    """GET shows the form, filled by `?preset=`; POST queues the run, or shows the form again with what is wrong."""
    found = project_for(request.user, project, role=Role.ADMIN)
    if stage not in Run.Stage.values:
        raise Http404
    if request.method == "POST" and "fill" not in request.POST:
        return _queue(request, found, stage)
    return _form(request, found, stage, errors={})


def _queue(request: Request, project: Project, stage: str) -> HttpResponse:
    preset = request.POST.get("preset", FIRST_PRESET)
    try:
        run = launch(
            project=project,
            stage=stage,
            preset=preset,
            config=forms.typed(stage, _known(preset), request.POST),
            inputs=_inputs(project, stage, request.POST),
            by=request.user,
            key=request.POST.get("key", ""),
        )
    except LaunchError as refusal:
        errors = refusal.fields or {"": refusal.sentence}
        return _form(request, project, stage, errors=errors)
    return redirect("run", run=run.uuid)


def _form(request: Request, project: Project, stage: str, *, errors: Mapping[str, str]) -> HttpResponse:
    data = request.POST or request.GET
    preset = _known(data.get("preset", FIRST_PRESET))
    number = next_number(project.runs.all())
    filled = {} if "fill" in data else data.dict()
    main, advanced = forms.asked(stage, preset, filled, seed=number, errors=errors)
    choices = [_choice(project, need, data, errors) for need in needs(stage)]
    named = {one.field.name for one in [*main, *advanced]} | {choice.need.name for choice in choices}
    context = {
        "stage": stage,
        "number": number,
        "key": request.POST.get("key") or uuid4().hex,
        "preset": preset,
        "presets": PRESETS,
        "values": forms.presets(stage),
        "choices": choices,
        "main": main,
        "advanced": advanced,
        "changed": sum(one.changed for one in advanced),
        "opened": any(one.error for one in advanced),
        "checks": readiness(project=project, stage=stage),
        "errors": errors,
        "elsewhere": [sentence for name, sentence in errors.items() if name not in named],
    }
    return render(request, "rlhf/launch.html", context, status=422 if errors else 200)


def _known(preset: str) -> str:
    return preset if preset in PRESETS else FIRST_PRESET


def _choice(project: Project, need: Need, data: Mapping[str, str], errors: Mapping[str, str]) -> Choice:
    """What may be chosen for a need. One query. The newest of the usual kind is chosen where nothing was."""
    rows = list(_fitting(project, need)[:MOST_OPTIONS])
    likely = next((row for row in rows if row.kind == need.what[0]), None)
    first = str(likely.uuid) if likely and not need.optional else ""
    chosen = data.get(PREFIX + need.name, first)
    options = [(str(row.uuid), row, str(row.uuid) == chosen) for row in rows]
    return Choice(need, options, errors.get(need.name, ""))


def _fitting(project: Project, need: Need) -> QuerySet[Any]:  # Any: snapshots or models
    if need.kind == "snapshot":
        return Snapshot.objects.frozen().filter(project=project, kind__in=need.what).order_by("-number")
    return Model.objects.filter(project=project, kind__in=need.what).order_by("-number")


def _inputs(project: Project, stage: str, data: Mapping[str, str]) -> dict[str, Input]:
    """The rows that were chosen. What is not there, or is no uuid, counts as not chosen. One query an input."""
    found: dict[str, Input] = {}
    for need in needs(stage):
        try:
            uuid = UUID(data.get(PREFIX + need.name, ""))
        except ValueError:
            continue
        row = _fitting(project, need).filter(uuid=uuid).first()
        if row is not None:
            found[need.name] = row
    return found
