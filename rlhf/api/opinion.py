"""The second opinion of the game: what a larger model stored about a blank."""

from __future__ import annotations

from uuid import UUID

from rest_framework import serializers
from rest_framework.response import Response

from annotate.access import project_for
from annotate.api.operations import Operation, Request, Strict, operation
from annotate.api.outputs import Out
from annotate.models import GameRound
from rlhf.opinions import opinion


class OpinionQuery(Strict):
    item = serializers.IntegerField(min_value=1, help_text="`id` of an item, as the paragraph names it.")
    mode = serializers.ChoiceField(GameRound.Mode.choices)


class OpinionOut(Out):
    state = serializers.ChoiceField(["scored", "not_scored", "no_model"], help_text="Why there may be no numbers.")
    with_context = serializers.DictField(child=serializers.FloatField(), help_text="Word → p among the four.")
    without_context = serializers.DictField(child=serializers.FloatField(), help_text="The same of the sentence alone.")


class GameOpinion(Operation):
    @operation(
        "What the project's newest base says of a blank; read it after the answer",
        query=OpinionQuery,
        returns=OpinionOut,
    )
    def get(self, request: Request, id: UUID) -> Response:
        project = project_for(request.user, id)
        return Response(opinion(project=project, item=self.query["item"], mode=self.query["mode"]))
