"""What a project's home shows live: texts, work that waits, and what machines do."""

from __future__ import annotations

import json
from hashlib import sha256
from uuid import UUID

from django.db.models import Count, Q
from rest_framework.response import Response

from annotate.access import project_for
from annotate.api.inputs import LiveQuery
from annotate.api.operations import Json, Operation, Request, conditional, operation, tagged
from annotate.models import Batch, Import, Project, Queue, Role, Task, Text
from rlhf.api import outputs
from rlhf.models import Run, Snapshot

READERS = {Role.REVIEWER, Role.ADMIN}
SHOWN = 10


class ProjectLive(Operation):
    @operation("How a project stands", query=LiveQuery, returns=outputs.ProjectLiveOut)
    def get(self, request: Request, id: UUID) -> Response:
        project = project_for(request.user, id)
        content = _content(project, reads_runs=bool(request.user.roles(project) & READERS))
        cursor = sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
        return conditional(request, cursor) or tagged({"cursor": cursor, **content}, cursor)


def _content(project: Project, *, reads_runs: bool) -> Json:
    """Six queries, four for assessors."""
    importing = Import.objects.filter(source__project=project, state=Import.State.READING).count()
    flagging = _flagging(project)
    runs = list(Run.objects.filter(project=project).order_by("-number")[:SHOWN]) if reads_runs else []
    snapshots = list(Snapshot.objects.filter(project=project).order_by("-number")[:SHOWN]) if reads_runs else []
    active = any(run.state in Run.ACTIVE for run in runs)
    freezing = any(one.state == Snapshot.State.FREEZING for one in snapshots)
    busy = importing or active or freezing or flagging["done"] < flagging["total"]
    return {
        "state": "running" if busy else "waiting",
        "texts": dict(
            Text.objects.filter(project=project).values_list("kind").annotate(n=Count("pk")).order_by("kind")
        ),
        "importing": importing,
        "flagging": flagging,
        "queues": _queues(project),
        "runs": [_state(run, kind=run.stage) | {"progress": run.progress} for run in runs],
        "snapshots": [_state(one, kind=one.kind) for one in snapshots],
    }


def _flagging(project: Project) -> Json:
    batches = Batch.objects.filter(imported__source__project=project)
    seen = batches.aggregate(done=Count("pk", filter=Q(flagged_at__isnull=False)), total=Count("pk"))
    return {"done": seen["done"], "total": seen["total"], "unit": "batches", "eta_s": None}


def _queues(project: Project) -> list[Json]:
    waiting = Count("tasks", filter=Q(tasks__state__in=[Task.State.HELD, Task.State.ADMITTED]))
    rows = Queue.objects.filter(project=project).annotate(waiting=waiting).order_by("pk")
    return [
        {"id": str(uuid), "kind": kind, "waiting": n} for uuid, kind, n in rows.values_list("uuid", "kind", "waiting")
    ]


def _state(row: Run | Snapshot, *, kind: str) -> Json:
    return {"id": str(row.uuid), "number": row.number, "kind": kind, "state": row.state}
