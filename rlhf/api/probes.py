"""Probes: ask models what they believe, watch what arrives, take it as a table."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.response import Response

from annotate.access import project_for
from annotate.api.inputs import LiveQuery
from annotate.api.operations import Operation, Request, Strict, conditional, operation, tagged
from annotate.api.outputs import Out
from annotate.models import Project, Role, Token, User
from annotate.tables import csv_file
from rlhf.access import probe_for, refuse_without
from rlhf.api import inputs
from rlhf.errors import LaunchError
from rlhf.models import Model, Probe
from rlhf.probes import READERS, ask, earlier_of, newest_lineage, refuse_open
from rlhf.readings import cursor_of, lines, progress_of, shown

MOST_NAMED = 16


class ProbeIn(Strict):
    project = serializers.UUIDField()
    prompt = serializers.CharField(trim_whitespace=False, help_text="At most 2,000 characters.")
    as_question = serializers.BooleanField(
        required=False, default=False, help_text="A user's question, not the beginning of a text."
    )
    answers = serializers.ListField(
        child=serializers.CharField(trim_whitespace=False), max_length=4, required=False, default=list
    )
    models = serializers.ListField(
        child=serializers.CharField(max_length=60),
        max_length=MOST_NAMED,
        help_text="Models by id, or base, sft, policy, reward: the newest base and the newest adapters on it.",
    )
    checkpoints = serializers.ListField(
        child=serializers.CharField(max_length=80),
        max_length=MOST_NAMED,
        required=False,
        default=list,
        help_text="As in models; all that its run left. A single one with its step: base.step-00000014.",
    )
    standing = serializers.BooleanField(
        required=False, default=False, help_text="Ask each new base too; for reviewers and admins."
    )


class ProbeOut(Out):
    id = serializers.UUIDField(source="uuid")
    prompt = serializers.CharField()
    as_question = serializers.BooleanField()
    answers = serializers.ListField(child=serializers.CharField())
    standing = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class ColumnOut(Out):
    label = serializers.CharField(  # type: ignore[assignment]  # the name is the API's
        help_text="The model's name for reviewers and admins; for others its role."
    )
    kind = serializers.ChoiceField(Model.Kind.choices)
    step = serializers.IntegerField(allow_null=True, help_text="Of an earlier state.")
    state = serializers.ChoiceField(["here", "waiting", "failed"])
    sentence = serializers.CharField(help_text="Why there is no answer.")
    entropy = serializers.FloatField(allow_null=True, help_text="Nats.")
    other = serializers.FloatField(allow_null=True, help_text="Probability of all tokens that `next` leaves out.")
    next = serializers.ListField(help_text="The likeliest next tokens: [[text, p], …].")
    answers = serializers.ListField(help_text="[{sum, mean, tokens: [[text, log p], …]}, …], in nats.")
    rewards = serializers.ListField(help_text="[{value, spread}, …], an answer each.")


class ProbeLiveOut(Out):
    cursor = serializers.CharField()
    state = serializers.ChoiceField(["running", "finished"])
    progress = serializers.DictField(help_text="{done, total, unit, eta_s, …} of the run at work.")
    note = serializers.CharField(help_text="Why nothing moves; empty where it does.")
    columns = ColumnOut(many=True)
    ranking = serializers.DictField(allow_null=True, help_text="{places: mean place by answer, people}, once complete.")


class Probes(Operation):
    scope = Token.Scope.TRAIN

    @operation(
        "Ask models what they believe of a text",
        body=ProbeIn,
        returns=ProbeOut,
        status=201,
        headers=inputs.ONCE,
        errors=(403, 404, 409),
    )
    def post(self, request: Request) -> Response:
        body = self.body
        project = project_for(request.user, body["project"])
        if body["standing"]:
            refuse_without(request.user, project, role=tuple(READERS))
        probe = ask(
            project=project,
            prompt=body["prompt"],
            as_question=body["as_question"],
            answers=body["answers"],
            models=[_named(request.user, project, name) for name in body["models"]],
            checkpoints=[one for name in body["checkpoints"] for one in _states(request.user, project, name)],
            standing=body["standing"],
            by=request.user,
            key=request.headers.get("Idempotency-Key", ""),
        )
        return Response(ProbeOut(probe).data, status=201)


class ProbeLive(Operation):
    @operation("What has arrived of a probe", query=LiveQuery, returns=ProbeLiveOut, errors=(403, 404, 409))
    def get(self, request: Request, id: UUID) -> Response:
        probe = _readable(request.user, id)
        progress = progress_of(probe)
        cursor = cursor_of(probe, progress["note"])
        seen = conditional(request, cursor)
        if seen is not None:
            return seen
        return tagged({"cursor": cursor, **progress, **shown(probe, request.user)}, cursor)


class ProbeCsv(Operation):
    @operation(
        "A probe's numbers as a table",
        returns=OpenApiTypes.STR,
        content_type="text/csv",
        errors=(403, 404, 409),
    )
    def get(self, request: Request, id: UUID) -> HttpResponse:
        probe = _readable(request.user, id)
        head = ["what", "model", "step", "answer", "place", "token", "value"]
        return csv_file(f"probe-{probe.pk}.csv", head, lines(probe, request.user))


def _readable(user: User, uuid: UUID) -> Probe:
    """The probe, if user may read what models make of its texts. Raises LaunchError with code open_task."""
    probe = probe_for(user, uuid)
    refuse_open(user, probe.project, [probe.prompt, *probe.answers])
    return probe


def _named(user: User, project: Project, name: str) -> Model:
    """A model by its role; by its id for who may read names."""
    lineage = newest_lineage(project)
    if name in lineage:
        return lineage[name]
    if user.roles(project) & {Role.REVIEWER, Role.ADMIN}:
        try:
            found = project.models.select_related("run", "base").filter(uuid=UUID(name)).first()
        except ValueError:
            found = None
        if found is not None:
            return found
    sentence = f"{name[:60]} is no model here; there are: {', '.join(lineage) or 'none'}."
    raise LaunchError("bad_probe", sentence, fields={"models": sentence})


def _states(user: User, project: Project, name: str) -> list[tuple[Model, str]]:
    model, _dot, step = name.partition(".")
    states = earlier_of(_named(user, project, model))
    wanted = [one for one in states if step in ("", one[1])]
    if not wanted:
        sentence = f"{name[:80]} names no earlier state; its run left none of that name."
        raise LaunchError("bad_probe", sentence, fields={"checkpoints": sentence})
    return wanted
