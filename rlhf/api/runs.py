"""Runs: launch, watch, cancel, resume."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from django.db.models import QuerySet
from rest_framework.response import Response

from annotate.access import project_for
from annotate.api.inputs import LiveQuery
from annotate.api.operations import Operation, Request, conditional, operation, tagged
from annotate.api.paging import page
from annotate.models import Project, Role, Token
from rlhf import metrics
from rlhf.access import run_for
from rlhf.api import inputs, outputs
from rlhf.errors import LaunchError
from rlhf.launching import Input, cancel, launch, needs, resume
from rlhf.models import Model, Run, Snapshot, Worker
from trainer.contract import configs

READERS = (Role.REVIEWER, Role.ADMIN)
MOST_KEYS = 50


class Runs(Operation):
    scope = Token.Scope.TRAIN

    @operation("The runs of a project", query=inputs.RunsQuery, returns=outputs.RunOut, paged=True)
    def get(self, request: Request) -> Response:
        rows = _runs().filter(project=project_for(request.user, self.query["project"], role=READERS))
        for name in ("stage", "state"):
            if name in self.query:
                rows = rows.filter(**{name: self.query[name]})
        return page(self, rows, outputs.RunOut.all_of, newest_first=True)

    @operation("Launch a run", body=inputs.RunIn, returns=outputs.RunOut, status=201, headers=inputs.ONCE)
    def post(self, request: Request) -> Response:
        body = self.body
        project = project_for(request.user, body["project"], role=Role.ADMIN)
        run = launch(
            project=project,
            stage=body["stage"],
            preset=body["preset"],
            config=body["config"],
            inputs=_inputs(project, body["stage"], body["inputs"]),
            by=request.user,
            key=request.headers.get("Idempotency-Key", ""),
        )
        return _shown(run, status=201)


class Fields(Operation):
    @operation("What a stage reads and can be told", query=inputs.FieldsQuery, returns=outputs.FieldsOut, errors=(403,))
    def get(self, request: Request) -> Response:
        stage, preset = self.query["stage"], self.query.get("preset")
        content = {
            "needs": outputs.NeedOut.all_of(needs(stage)),
            "fields": outputs.FieldOut.all_of(configs.fields_for_form(stage)),
            "preset": configs.preset(stage, preset) if preset else {},
        }
        return Response(content)


class OneRun(Operation):
    @operation("A run, with its inputs and what it left", returns=outputs.RunOut)
    def get(self, request: Request, id: UUID) -> Response:
        return _shown(run_for(request.user, id, role=READERS))


class RunLive(Operation):
    @operation("What is new of a run", query=LiveQuery, returns=outputs.RunLiveOut)
    def get(self, request: Request, id: UUID) -> Response:
        run = run_for(request.user, id, role=READERS)
        seen = conditional(request, metrics.cursor(run))
        if seen is not None:
            return seen
        content = metrics.live(run, self.query.get("after"))
        return tagged(content, content["cursor"])


class RunSeries(Operation):
    @operation("Whole series of a run's metrics", query=inputs.SeriesQuery, returns=outputs.SeriesOut)
    def get(self, request: Request, id: UUID) -> Response:
        run = run_for(request.user, id, role=READERS)
        keys = [key for key in self.query["keys"].split(",") if key][:MOST_KEYS]
        return Response({"series": metrics.series(run, keys)})


class RunCancel(Operation):
    scope = Token.Scope.TRAIN

    @operation("Stop a run after its next checkpoint", returns=outputs.RunOut, errors=(403, 404, 409))
    def post(self, request: Request, id: UUID) -> Response:
        run = run_for(request.user, id, role=Role.ADMIN)
        _ = self.body
        cancel(run=run, by=request.user)
        return _shown(run)


class RunResume(Operation):
    scope = Token.Scope.TRAIN

    @operation("Go on from the last checkpoint", body=inputs.ResumeIn, returns=outputs.RunOut, errors=(403, 404, 409))
    def post(self, request: Request, id: UUID) -> Response:
        run = run_for(request.user, id, role=Role.ADMIN)
        resume(run=run, by=request.user, monitors_off=self.body.get("monitors_off", []))
        return _shown(run)


class Workers(Operation):
    @operation("The processes that take work", query=inputs.WorkersQuery, returns=outputs.WorkerOut, many=True)
    def get(self, request: Request) -> Response:
        project_for(request.user, self.query["project"], role=READERS)
        alive = set(Worker.objects.alive().values_list("pk", flat=True))
        rows = list(Worker.objects.order_by("-heartbeat_at", "pk")[:100])
        for row in rows:
            row.alive = row.pk in alive  # type: ignore[attr-defined]  # for WorkerOut
        return Response(outputs.WorkerOut.all_of(rows))


def _runs() -> QuerySet[Run]:
    """Runs with all that RunOut shows of them."""
    return Run.objects.prefetch_related("inputs__snapshot", "inputs__model", "outputs__run", "outputs__base")


def _shown(run: Run, *, status: int = 200) -> Response:
    return Response(outputs.RunOut(_runs().get(pk=run.pk)).data, status=status)


def _inputs(project: Project, stage: str, named: Mapping[str, UUID]) -> dict[str, Input]:
    """The rows that the ids name; only those of this project exist here. Raises LaunchError with wrong_input."""
    known = {need.name: need for need in needs(stage)}
    found: dict[str, Input] = {}
    for name, uuid in named.items():
        if name not in known:
            sentence = f"{name[:40]} is no input of {stage}; allowed: {', '.join(known)}."
            raise LaunchError("wrong_input", sentence, fields={name[:40]: sentence})
        kind = known[name].kind
        row: Input | None
        if kind == "snapshot":
            row = Snapshot.objects.filter(project=project, uuid=uuid).first()
        else:
            row = Model.objects.filter(project=project, uuid=uuid).first()
        if row is None:
            sentence = f"{name} must be a {kind} of this project."
            raise LaunchError("wrong_input", sentence, status=404, fields={name: sentence})
        found[name] = row
    return found
