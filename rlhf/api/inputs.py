"""What the operations of rlhf take: shape only. What a config may hold, the trainer's contract decides."""

from __future__ import annotations

from rest_framework import serializers

from annotate.api.operations import Strict
from annotate.api.paging import OfProject, Paged
from rlhf.models import Model, Run, Snapshot
from trainer.contract.configs import PRESETS

MOST_MESSAGES, MOST_STOPS = 64, 8
LONGEST_MESSAGE = 100_000


ONCE = {"Idempotency-Key": "Up to 80 characters: the same wish sent again with the same key is carried out once."}


class SnapshotIn(Strict):
    project = serializers.UUIDField()
    kind = serializers.ChoiceField(Snapshot.Kind.choices)
    settings = serializers.DictField(required=False, default=dict)


class RunIn(Strict):
    project = serializers.UUIDField()
    stage = serializers.ChoiceField(Run.Stage.choices)
    preset = serializers.ChoiceField(list(PRESETS))
    inputs = serializers.DictField(child=serializers.UUIDField(), help_text="Name → snapshot or model.")
    config = serializers.DictField(help_text="The fields that differ from the preset; `seed` is always one.")


class ResumeIn(Strict):
    monitors_off = serializers.ListField(
        child=serializers.CharField(max_length=40),
        max_length=20,
        required=False,
        help_text="Monitors to ignore from there on; `failure.monitors` names those that paused the run.",
    )


class MessageIn(Strict):
    role = serializers.ChoiceField(["user", "assistant"])
    content = serializers.CharField(max_length=LONGEST_MESSAGE, trim_whitespace=False)


class SamplingIn(Strict):
    max_new_tokens = serializers.IntegerField(min_value=1, max_value=4_096, required=False)
    temperature = serializers.FloatField(min_value=0, max_value=2, required=False)
    top_p = serializers.FloatField(min_value=0.01, max_value=1, required=False)
    seed = serializers.IntegerField(min_value=0, max_value=2**63 - 1, required=False)
    stop = serializers.ListField(
        child=serializers.CharField(max_length=100, trim_whitespace=False), max_length=MOST_STOPS, required=False
    )


class ChatIn(Strict):
    models = serializers.ListField(
        child=serializers.UUIDField(), min_length=1, max_length=2, help_text="Side a, and side b of a comparison."
    )
    messages = serializers.ListField(child=MessageIn(), min_length=1, max_length=MOST_MESSAGES)
    settings = SamplingIn(required=False)


class EncodeIn(Strict):
    text = serializers.CharField(allow_blank=True, trim_whitespace=False, help_text="At most 2,000 characters.")


class PointsQuery(Strict):
    step = serializers.IntegerField(min_value=0, help_text="One of the map's steps.")
    layout = serializers.ChoiceField(["tsne", "pca"], required=False, default="tsne")


class VoteIn(Strict):
    words = serializers.ListField(child=serializers.CharField(max_length=80), min_length=3, max_length=3)
    odd = serializers.CharField(
        max_length=80, allow_blank=True, help_text="One of the words; empty takes the vote back."
    )


class SnapshotsQuery(OfProject):
    kind = serializers.ChoiceField(Snapshot.Kind.choices, required=False)


class RunsQuery(OfProject):
    stage = serializers.ChoiceField(Run.Stage.choices, required=False)
    state = serializers.ChoiceField(Run.State.choices, required=False)


class FieldsQuery(Strict):
    stage = serializers.ChoiceField(Run.Stage.choices)
    preset = serializers.ChoiceField(list(PRESETS), required=False)


class SeriesQuery(Strict):
    keys = serializers.CharField(max_length=2_000, help_text="Names of series with commas, as `live` gives them.")


class ModelsQuery(OfProject):
    kind = serializers.ChoiceField(Model.Kind.choices, required=False)


class GenerationsQuery(Paged):
    run = serializers.UUIDField()


class WorkersQuery(Strict):
    project = serializers.UUIDField()
