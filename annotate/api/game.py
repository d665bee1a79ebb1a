"""The learning game: paragraphs to play, rounds that are kept, starts as files, one's own record, consent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any  # payloads are JSON
from uuid import UUID

from django.http import Http404, HttpResponse
from drf_spectacular.types import OpenApiTypes
from rest_framework import serializers
from rest_framework.response import Response

from annotate import game
from annotate.access import project_for, round_for
from annotate.actions.doubt import suggest_fix, take_fix_back
from annotate.actions.play import erase_play, finish_round, open_round, record_attempts, record_consent
from annotate.actions.train_start import ask_for_start, start_of
from annotate.api.operations import Operation, Request, Strict, operation
from annotate.api.outputs import Out
from annotate.models import Consent, GameAttempt, GameDoubt, GameRound, GameStart, Project, Role, Token
from annotate.tasks import send_training

Json = dict[str, Any]
IMMUTABLE = "private, max-age=31536000, immutable"


class DealIn(Strict):
    mode = serializers.ChoiceField(GameRound.Mode.choices, required=False, default=GameRound.Mode.MISSING)
    start = serializers.ChoiceField(["trained", "newborn"], required=False, default="trained")
    step = serializers.ChoiceField(["gentle", "bold", ""], required=False, default="")
    seed = serializers.IntegerField(min_value=0, max_value=game.SEEDS - 1, required=False)


class AttemptIn(Strict):
    number = serializers.IntegerField(min_value=1)
    kind = serializers.ChoiceField(GameAttempt.Kind.choices)
    item = serializers.IntegerField(min_value=0, required=False, allow_null=True)
    mode = serializers.ChoiceField(GameRound.Mode.choices, required=False)
    shown = serializers.ListField(child=serializers.IntegerField(min_value=0), max_length=4, required=False)
    choice = serializers.IntegerField(min_value=0, max_value=1_199, required=False, allow_null=True)
    free = serializers.CharField(max_length=80, required=False, allow_blank=True)
    picked = serializers.IntegerField(min_value=0, max_value=1_000, required=False, allow_null=True)
    right = serializers.BooleanField(required=False, help_text="The server finds it out by itself.")
    active_ms = serializers.IntegerField(min_value=0, max_value=2**31 - 1, required=False, allow_null=True)
    context_on = serializers.BooleanField(required=False, default=True)
    eta = serializers.FloatField(min_value=1e-6, max_value=1, required=False, default=0.02)
    p_with = serializers.FloatField(min_value=0, max_value=1, required=False)
    p_without = serializers.FloatField(min_value=0, max_value=1, required=False)
    loss_before = serializers.FloatField(min_value=0, required=False)
    loss_after = serializers.FloatField(min_value=0, required=False)
    p_after = serializers.FloatField(min_value=0, max_value=1, required=False)
    stream = serializers.IntegerField(min_value=0, required=False)
    count = serializers.IntegerField(min_value=1, max_value=100_000, required=False)


class AttemptsIn(Strict):
    rows = serializers.ListField(child=AttemptIn(), max_length=2_000)


class FinishIn(Strict):
    digest = serializers.ListField(child=serializers.FloatField(), min_length=7, max_length=7)


class DoubtIn(Strict):
    item = serializers.IntegerField(min_value=0, help_text="The place of the blank in the round, from 0.")
    note = serializers.CharField(max_length=GameDoubt.MOST, required=False, allow_blank=True, default="")


class DoubtOut(Out):
    item = serializers.IntegerField()
    note = serializers.CharField()


class ConsentIn(Strict):
    project = serializers.UUIDField()
    scopes = serializers.ListField(child=serializers.ChoiceField(Consent.Scope.choices), max_length=3)


class ConsentOut(Out):
    version = serializers.IntegerField()
    scopes = serializers.ListField(child=serializers.ChoiceField(Consent.Scope.choices))
    created_at = serializers.DateTimeField()


class OfProjectQuery(Strict):
    project = serializers.UUIDField()


class StartOut(Out):
    version = serializers.CharField()
    kind = serializers.ChoiceField(["trained", "bundled", "newborn"])
    lmt = serializers.CharField(help_text="Address of the network's file.")
    size_bytes = serializers.IntegerField(help_text="Of the network's file, as it is sent.")
    practice = serializers.CharField(help_text="Address of the practice stream.")
    newborn = serializers.IntegerField(allow_null=True, help_text="The seed of a network that has read nothing.")
    eta = serializers.FloatField(help_text="The step size to begin with.")


class DealOut(Out):
    round = serializers.UUIDField(allow_null=True, help_text="Null where nothing is kept.")
    mode = serializers.ChoiceField(GameRound.Mode.choices)
    seed = serializers.IntegerField()
    start = StartOut()
    attempts = serializers.CharField(allow_null=True)
    finish = serializers.CharField(allow_null=True)
    doubts = serializers.CharField(allow_null=True)
    repeat = serializers.BooleanField(help_text="Whether I have met every blank of it: then nothing is kept.")
    paragraph = serializers.DictField()
    items = serializers.ListField(child=serializers.DictField())
    words = serializers.DictField(child=serializers.CharField(), help_text="The items' words by id.")
    exam = serializers.ListField(child=serializers.DictField())


class StoredOut(Out):
    stored = serializers.IntegerField(help_text="Rows that the round has now.")


class ReplayOut(Out):
    replay = serializers.ChoiceField(GameRound.Replay.choices)
    largest = serializers.FloatField(allow_null=True, help_text="The largest difference in any p, loss or sum.")


class TableOut(Out):
    start = serializers.CharField(allow_null=True)
    held_out = serializers.DictField()


class MineOut(Out):
    rounds = serializers.IntegerField()
    votes = serializers.IntegerField(help_text="On which of three words is the odd one, those taken back too.")
    answers = serializers.IntegerField()
    right = serializers.IntegerField()


class TrainingOut(Out):
    state = serializers.CharField()
    sentence = serializers.CharField()


def dealt(request: Request, project: Project, given: Json, *, keep: bool) -> Json:
    """A paragraph to play as JSON. keep: begin a round that stores what is answered."""
    start, kind = start_of(project)
    newborn = given["start"] == "newborn"
    found = game.deal(
        start=start,
        user=request.user,
        project=project,
        mode=given["mode"],
        seed=given.get("seed"),
        newborn=newborn,
    )
    round_ = None
    if keep and not found.repeat:
        round_, found = open_round(dealt=found, project=project, by=request.user)
    return game.payload(found, round_, kind="newborn" if newborn else kind, step=given["step"])


class Paragraph(Operation):
    @operation("A paragraph to play; nothing is kept", query=DealIn, returns=DealOut, errors=(403, 404, 409))
    def get(self, request: Request, id: UUID) -> Response:
        return Response(dealt(request, project_for(request.user, id), self.query, keep=False))


class Rounds(Operation):
    scope = Token.Scope.ANNOTATE

    @operation("Begin a round that is kept", body=DealIn, returns=DealOut, errors=(403, 404, 409))
    def post(self, request: Request, id: UUID) -> Response:
        return Response(dealt(request, project_for(request.user, id), self.body, keep=True))


class Attempts(Operation):
    scope = Token.Scope.ANNOTATE
    largest_body = 2_000_000

    @operation(
        "Store rows of a round; rows sent twice are harmless",
        body=AttemptsIn,
        returns=StoredOut,
        errors=(403, 404, 409, 413, 422),
    )
    def post(self, request: Request, id: UUID) -> Response:
        return Response({"stored": record_attempts(round_=round_for(request.user, id), rows=self.body["rows"])})


class Finish(Operation):
    scope = Token.Scope.ANNOTATE

    @operation("Finish a round; the server plays it again", body=FinishIn, returns=ReplayOut)
    def post(self, request: Request, id: UUID) -> Response:
        done = finish_round(round_=round_for(request.user, id), digest=self.body["digest"])
        return Response({"replay": done.replay, "largest": done.largest})


class Doubts(Operation):
    scope = Token.Scope.ANNOTATE

    @operation(
        "Suggest a fix of a sentence that I answered; twice the same is kept once",
        body=DoubtIn,
        returns=DoubtOut,
        status=201,
        errors=(403, 404, 422),
    )
    def post(self, request: Request, id: UUID) -> Response:
        body = self.body
        made = suggest_fix(round_=round_for(request.user, id), item=body["item"], note=body["note"], by=request.user)
        return Response({"item": body["item"], "note": made.note}, status=201)


class OneDoubt(Operation):
    scope = Token.Scope.ANNOTATE

    @operation("Take a suggestion back", returns=None, status=204, errors=(403, 404, 422))
    def delete(self, request: Request, id: UUID, item: int) -> Response:
        take_fix_back(round_=round_for(request.user, id), item=item, by=request.user)
        return Response(status=204)


class Start(Operation):
    @operation(
        "A network, or its practice stream", returns=OpenApiTypes.BINARY, content_type="application/octet-stream"
    )
    def get(self, request: Request, version: str, what: str) -> HttpResponse:
        found = GameStart.objects.visible_to(request.user).filter(version=version).order_by("pk").first()
        if found is None or what not in ("lmt", "lmp"):
            raise Http404
        content = bytes(found.file if what == "lmt" else found.practice)
        headers = {"Content-Encoding": "gzip", "Cache-Control": IMMUTABLE, "ETag": f'"{version}-{what}"'}
        return HttpResponse(content, content_type="application/octet-stream", headers=headers)


class Table(Operation):
    @operation(
        "What the project's start is worth on paragraphs that it has not read", returns=TableOut, errors=(403, 404, 409)
    )
    def get(self, request: Request, id: UUID) -> Response:
        start, _ = start_of(project_for(request.user, id))
        return Response({"start": start.version, "held_out": start.header["held_out"]})


class Train(Operation):
    scope = Token.Scope.MANAGE

    @operation("Train a start of the game on the project's corpus", returns=TrainingOut, status=202)
    def post(self, request: Request, id: UUID) -> Response:
        project = project_for(request.user, id, role=Role.ADMIN)
        _ = self.body
        training = ask_for_start(project=project, by=request.user)
        send_training(training)
        return Response({"state": training.state, "sentence": training.sentence}, status=202)


class Mine(Operation):
    scope = Token.Scope.ANNOTATE

    @operation("What I played in a project", returns=MineOut)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(game.record_of(request.user, project_for(request.user, id)))

    @operation("Erase what I played in a project, and my votes on words", returns=None, status=204)
    def delete(self, request: Request, id: UUID) -> Response:
        erase_play(project=project_for(request.user, id), by=request.user)
        return Response(status=204)


class Consents(Operation):
    scope = Token.Scope.ANNOTATE

    @operation("What I allowed, newest first", query=OfProjectQuery, returns=ConsentOut, many=True)
    def get(self, request: Request) -> Response:
        project = project_for(request.user, self.query["project"])
        rows: Iterable[Consent] = request.user.consents.filter(project=project).order_by("-pk")[:100]
        return Response(ConsentOut.all_of(rows))

    @operation(
        "Allow, or with no scope withdraw: what I played is then erased", body=ConsentIn, returns=ConsentOut, status=201
    )
    def post(self, request: Request) -> Response:
        project = project_for(request.user, self.body["project"])
        made = record_consent(project=project, by=request.user, scopes=self.body["scopes"])
        made.refresh_from_db()
        return Response(ConsentOut(made).data, status=201)
