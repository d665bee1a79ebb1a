"""How far a project's work is, by stage and by person: numbers with what they rest on."""

from __future__ import annotations

import json
from hashlib import sha256

from rest_framework import serializers
from rest_framework.response import Response

from annotate.access import project_for
from annotate.api.inputs import LiveQuery
from annotate.api.operations import Operation, Request, Strict, conditional, operation, tagged
from annotate.api.outputs import Out
from annotate.models import Project, Queue, Role, User
from annotate.progress import Person, Stage, people, stages, standing

READERS = {Role.REVIEWER, Role.ADMIN}


class ProgressQuery(Strict):
    project = serializers.UUIDField()


class ProgressLiveQuery(LiveQuery):
    project = serializers.UUIDField()


class FigureOut(Out):
    value = serializers.FloatField(allow_null=True)
    n = serializers.IntegerField(help_text="Answers that it rests on.")
    why = serializers.CharField(help_text="Why there is no value: too_few; else empty.")


class StageOut(Out):
    queue = serializers.UUIDField(source="queue.uuid")
    kind = serializers.ChoiceField(Queue.Kind.choices, source="queue.kind")
    name = serializers.CharField(source="queue.name")
    wanted = serializers.IntegerField(help_text="Tasks in all.")
    done = serializers.IntegerField(help_text="Tasks with all their answers.")
    begun = serializers.IntegerField(help_text="Tasks with some of them, or somebody at work.")
    parked = serializers.IntegerField(help_text="Tasks that three people skipped.")
    left = serializers.IntegerField(help_text="Answers still wanted.")
    skipped = serializers.IntegerField(help_text="Skips with a reason, `later` apart.")
    surplus = serializers.IntegerField(allow_null=True, help_text="Answers beyond those wanted; null for assessors.")
    per_day = FigureOut(help_text="Answers a day, of the last seven.")
    days_left = FigureOut(help_text="At that rate.")


class PersonOut(Out):
    person = serializers.CharField(help_text="A pseudonym: the same each time, another in each project.")
    is_me = serializers.BooleanField()
    scripted = serializers.BooleanField()
    counted = serializers.IntegerField(help_text="Answers that count now.")
    today = serializers.IntegerField()
    week = serializers.IntegerField(help_text="Of the last seven days.")
    median_s = FigureOut(help_text="Active seconds an answer, of the newest answers; pauses taken off.")
    skips = serializers.IntegerField()
    undos = serializers.IntegerField()


class HowFarOut(Out):
    stages = StageOut(many=True)
    people = PersonOut(many=True, help_text="Everybody for reviewers and admins; for assessors themselves.")


class ProgressLiveOut(Out):
    cursor = serializers.CharField()
    state = serializers.CharField()


class Progress(Operation):
    @operation("How far the work is, by stage and by person", query=ProgressQuery, returns=HowFarOut)
    def get(self, request: Request) -> Response:
        project = project_for(request.user, self.query["project"])
        reads = bool(request.user.roles(project) & READERS)
        found = people(project, only=None if reads else request.user)
        shown = {
            "stages": [_stage(one, reads=reads) for one in stages(project)],
            "people": sorted(
                (_person(one, project, request.user) for one in found), key=lambda one: str(one["person"])
            ),
        }
        return Response(HowFarOut(shown).data)


class ProgressLive(Operation):
    @operation("Whether the progress has changed", query=ProgressLiveQuery, returns=ProgressLiveOut)
    def get(self, request: Request) -> Response:
        project = project_for(request.user, self.query["project"])
        content = json.dumps(standing(project), default=str)
        cursor = sha256(content.encode()).hexdigest()[:16]
        return conditional(request, cursor) or tagged({"cursor": cursor, "state": "open"}, cursor)


def _stage(one: Stage, *, reads: bool) -> dict[str, object]:
    names = ("queue", "wanted", "done", "begun", "parked", "left", "skipped", "per_day", "days_left")
    return {name: getattr(one, name) for name in names} | {"surplus": one.surplus if reads else None}


def _person(one: Person, project: Project, user: User) -> dict[str, object]:
    names = ("counted", "today", "week", "median_s", "skips", "undos")
    who = {"person": one.user.pseudonym(project), "is_me": one.user.pk == user.pk, "scripted": one.user.scripted}
    return who | {name: getattr(one, name) for name in names}
