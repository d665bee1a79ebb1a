"""Models: the table, and one with its card and what formed it."""

from __future__ import annotations

import json
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from annotate.access import project_for
from annotate.models import Role
from annotate.pages.paging import page_of
from annotate.pages.request import Request
from rlhf import registry
from rlhf.access import model_for
from rlhf.models import Model, RunInput
from rlhf.pages import charts
from rlhf.pages.lineage import picture

READERS = (Role.REVIEWER, Role.ADMIN)


@require_GET
def models(request: Request, project: UUID) -> HttpResponse:
    found = project_for(request.user, project, role=READERS)
    made = Model.objects.filter(project=found).select_related("run", "base")
    page = page_of(request, made.prefetch_related("run__inputs__snapshot", "run__inputs__model"))
    context = {
        "listed": [_listed(model) for model in page.rows],
        "page": page,
        "admin": request.user.holds(Role.ADMIN, found),
    }
    return render(request, "rlhf/models.html", context)


@require_GET
def model(request: Request, model: UUID) -> HttpResponse:
    found = model_for(request.user, model, role=READERS)
    lineage = registry.lineage(found)
    run = found.run
    inputs = RunInput.objects.filter(run=run).select_related("snapshot", "model").order_by("pk") if run else []
    decided = registry.decisions(found)
    context = {
        "model": found,
        "model_id": str(found.uuid),
        "run": run,
        "inputs": list(inputs),
        "key": charts.key_metric(run.stage, found.metrics) if run else None,
        "final": sorted(found.metrics.items()),
        "picture": picture(lineage) if run else None,
        "decisions": decided,
        "corrections": registry.corrections_read(found),
        "total": sum(one["decisions"] for one in decided),
        "runs": sum(node["type"] == "run" for node in lineage["nodes"]),
        "adapters": found.adapters.order_by("number")[:20],
        "answers": found.kind in (Model.Kind.BASE, Model.Kind.SFT, Model.Kind.POLICY),
        "config": json.dumps(run.config, indent=1, sort_keys=True, ensure_ascii=False) if run else "",
    }
    return render(request, "rlhf/model.html", context)


def _listed(model: Model) -> dict[str, object]:
    """A row of the table, from what was fetched with it."""
    inputs = list(model.run.inputs.all()) if model.run else []
    adapters = [one.model for one in inputs if one.name in ("parent", "sft")]
    return {
        "model": model,
        "parent": adapters[0] if adapters else model.base,
        "snapshot": next((one.snapshot for one in inputs if one.snapshot), None),
        "key": charts.key_metric(model.run.stage, model.metrics) if model.run else None,
    }
