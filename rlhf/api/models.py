"""Models, what formed them, and what they wrote."""

from __future__ import annotations

from uuid import UUID

from rest_framework.response import Response

from annotate.access import project_for, text_for
from annotate.api.operations import Operation, Request, operation
from annotate.api.paging import page
from annotate.models import Role
from rlhf import registry
from rlhf.access import model_for, run_for
from rlhf.api import inputs, outputs
from rlhf.models import Generation, Model

READERS = (Role.REVIEWER, Role.ADMIN)


class Models(Operation):
    @operation("The models of a project", query=inputs.ModelsQuery, returns=outputs.ModelOut, paged=True)
    def get(self, request: Request) -> Response:
        project = project_for(request.user, self.query["project"], role=READERS)
        rows = Model.objects.filter(project=project).select_related("run", "base")
        if "kind" in self.query:
            rows = rows.filter(kind=self.query["kind"])
        return page(self, rows, outputs.ModelOut.all_of, newest_first=True)


class OneModel(Operation):
    @operation("A model", returns=outputs.ModelOut)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(outputs.ModelOut(model_for(request.user, id, role=READERS)).data)


class ModelLineage(Operation):
    @operation("What formed a model, down to people's decisions", returns=outputs.LineageOut)
    def get(self, request: Request, id: UUID) -> Response:
        model = model_for(request.user, id, role=READERS)
        return Response({**registry.lineage(model), "decisions": registry.decisions(model)})


class TextLineage(Operation):
    @operation("Which snapshots and models a text reached", returns=outputs.ReachedOut)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(registry.affected_by(text_for(request.user, id, role=READERS)))


class Generations(Operation):
    @operation("What a run's models wrote", query=inputs.GenerationsQuery, returns=outputs.GenerationOut, paged=True)
    def get(self, request: Request) -> Response:
        run = run_for(request.user, self.query["run"], role=READERS)
        rows = Generation.objects.filter(run=run).select_related("text", "prompt__group", "model")
        return page(self, rows, outputs.GenerationOut.all_of, newest_first=False)
