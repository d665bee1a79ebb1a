"""What the operations of rlhf answer with: allow-lists, as in annotate."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from annotate.api.outputs import DoneOut, Out, RowOut
from annotate.models import Queue
from rlhf.models import Model, Run, RunInput, Snapshot


class FileOut(Out):
    name = serializers.CharField()
    type = serializers.CharField(help_text="The rows' type; empty for what is no list of rows.")
    rows = serializers.IntegerField()
    sha256 = serializers.CharField()
    bytes = serializers.IntegerField()


class SnapshotOut(RowOut):
    number = serializers.IntegerField()
    kind = serializers.ChoiceField(Snapshot.Kind.choices)
    state = serializers.ChoiceField(Snapshot.State.choices)
    settings = serializers.DictField()
    counts = serializers.DictField()
    card = serializers.DictField()
    files = FileOut(many=True)
    sha256 = serializers.CharField()
    failure = serializers.CharField()
    created_at = serializers.DateTimeField()
    frozen_at = serializers.DateTimeField(allow_null=True)


class SnapshotLiveOut(Out):
    cursor = serializers.CharField()
    state = serializers.ChoiceField(Snapshot.State.choices)
    counts = serializers.DictField()
    sha256 = serializers.CharField()
    failure = serializers.CharField()


class PreviewOut(Out):
    train = serializers.IntegerField()
    heldout = serializers.IntegerField()
    left_out = serializers.DictField(child=serializers.IntegerField(), help_text="Reason → rows.")


class InputOut(Out):
    name = serializers.CharField()
    type = serializers.SerializerMethodField()
    id = serializers.UUIDField(source="used.uuid")
    label = serializers.CharField(source="used")  # type: ignore[assignment]  # the API's name

    def get_type(self, row: RunInput) -> str:
        return "snapshot" if row.snapshot_id else "model"


class ModelOut(RowOut):
    number = serializers.IntegerField()
    kind = serializers.ChoiceField(Model.Kind.choices)
    name = serializers.CharField()
    sha256 = serializers.CharField()
    size_bytes = serializers.IntegerField()
    licence = serializers.CharField()
    metrics = serializers.DictField()
    run = serializers.UUIDField(source="run.uuid", allow_null=True, default=None)
    base = serializers.UUIDField(source="base.uuid", allow_null=True, default=None)
    created_at = serializers.DateTimeField()


class RunOut(RowOut):
    number = serializers.IntegerField()
    stage = serializers.ChoiceField(Run.Stage.choices)
    state = serializers.ChoiceField(Run.State.choices)
    config = serializers.DictField()
    config_sha256 = serializers.CharField()
    seed = serializers.IntegerField()
    code_version = serializers.CharField()
    attempt = serializers.IntegerField()
    progress = serializers.DictField()
    metrics = serializers.SerializerMethodField(help_text="The final figures of a finished run.")
    failure = serializers.DictField(allow_null=True)
    inputs = InputOut(many=True)
    outputs = ModelOut(many=True)
    cancel_requested_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)

    def get_metrics(self, run: Run) -> dict[str, Any]:  # Any: JSON numbers
        final: dict[str, Any] = (run.result or {}).get("final", {})
        return final


class RunLiveOut(Out):
    cursor = serializers.CharField()
    state = serializers.ChoiceField(Run.State.choices)
    attempt = serializers.IntegerField()
    progress = serializers.DictField()
    note = serializers.CharField(help_text="Why the run does not move; empty where it does.")
    points = serializers.DictField(help_text="Series → [[step, value or null, seconds], …].")
    samples = serializers.ListField(child=serializers.DictField())
    events = serializers.ListField(child=serializers.DictField())
    log = serializers.ListField(child=serializers.CharField())
    failure = serializers.DictField(allow_null=True)
    reset = serializers.BooleanField(help_text="Whether this is the whole state, not only what is new.")
    cancelling = serializers.BooleanField()


class SeriesOut(Out):
    series = serializers.DictField(help_text="Name → [[step, value or null, seconds], …], at most 1,500 points.")


class NeedOut(Out):
    name = serializers.CharField()
    kind = serializers.ChoiceField(["snapshot", "model"])
    what = serializers.ListField(child=serializers.CharField())
    optional = serializers.BooleanField()


class FieldOut(Out):
    name = serializers.CharField()
    kind = serializers.CharField()
    required = serializers.BooleanField()  # type: ignore[assignment]  # the API's name
    default = serializers.JSONField(allow_null=True)
    unit = serializers.CharField()
    choices = serializers.ListField(child=serializers.CharField())
    limits = serializers.CharField()
    help = serializers.CharField()
    advanced = serializers.BooleanField()


class FieldsOut(Out):
    needs = NeedOut(many=True)
    fields = FieldOut(many=True)  # type: ignore[assignment]  # the name is the API's
    preset = serializers.DictField()


class WorkerOut(Out):
    name = serializers.CharField()
    queues = serializers.CharField()
    device = serializers.CharField()
    alive = serializers.BooleanField()
    heartbeat_at = serializers.DateTimeField()


class NodeOut(Out):
    id = serializers.CharField()
    type = serializers.ChoiceField(["model", "run", "snapshot"])
    kind = serializers.CharField()
    number = serializers.IntegerField()
    name = serializers.CharField()
    uuid = serializers.UUIDField()
    depth = serializers.IntegerField()
    rows = serializers.IntegerField(required=False)
    decisions = serializers.IntegerField(required=False)
    people = serializers.IntegerField(required=False)


class DecisionsOut(Out):
    kind = serializers.ChoiceField(Snapshot.Kind.choices)
    rows = serializers.IntegerField()
    decisions = serializers.IntegerField()
    scripted = serializers.IntegerField()
    people = serializers.IntegerField()


class LineageOut(Out):
    nodes = NodeOut(many=True)
    edges = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    decisions = DecisionsOut(many=True)


class ReachedOut(Out):
    snapshots = NodeOut(many=True)
    models = NodeOut(many=True)


class GenerationOut(Out):
    text_id = serializers.UUIDField(source="text.uuid")
    prompt = serializers.CharField(source="prompt.body")
    text = serializers.CharField(source="text.body")
    split = serializers.CharField(source="prompt.group.split")
    model = serializers.UUIDField(
        source="model.uuid", allow_null=True, help_text="null: the run itself, on the way to the model that it makes."
    )
    sample_index = serializers.IntegerField()
    temperature = serializers.FloatField()
    finished = serializers.BooleanField(help_text="Whether the answer came to its own end.")
    tokens = serializers.IntegerField()


class QueueCountOut(Out):
    id = serializers.UUIDField()
    kind = serializers.ChoiceField(Queue.Kind.choices)
    waiting = serializers.IntegerField()


class StateOut(Out):
    id = serializers.UUIDField()
    number = serializers.IntegerField()
    kind = serializers.CharField()
    state = serializers.CharField()


class RunStateOut(StateOut):
    progress = serializers.DictField()


class ProjectLiveOut(Out):
    cursor = serializers.CharField()
    state = serializers.ChoiceField(["running", "waiting"], help_text="Running while machines work.")
    texts = serializers.DictField(child=serializers.IntegerField(), help_text="Kind → texts.")
    importing = serializers.IntegerField(help_text="Imports that are being read.")
    flagging = DoneOut(help_text="Batches whose texts the detectors have seen.")
    queues = QueueCountOut(many=True)
    runs = RunStateOut(many=True, help_text="The last ten; none for assessors.")
    snapshots = StateOut(many=True, help_text="The last ten; none for assessors.")


class PieceOut(Out):
    side = serializers.ChoiceField(["a", "b"])
    text = serializers.CharField(required=False, help_text="What comes next in the answer.")
    done = serializers.BooleanField(required=False, help_text="True on a side's last line.")
    stop = serializers.CharField(required=False, help_text="Why the answer ended.")
    tokens = serializers.IntegerField(required=False)
    seconds = serializers.FloatField(required=False)
    blocks = serializers.ListField(child=serializers.DictField(), required=False)
    error = serializers.DictField(required=False)


class TextTokenOut(Out):
    id = serializers.IntegerField()
    start = serializers.IntegerField(help_text="The first character it comes from.")
    end = serializers.IntegerField(help_text="The character after its last.")
    bytes = serializers.CharField(help_text="Hexadecimal.")


class EncodedOut(Out):
    tokens = TextTokenOut(many=True)
    first = serializers.ListField(
        child=serializers.ListField(), help_text="The pieces before any merge: [id, bytes in hexadecimal]."
    )
    steps = serializers.ListField(
        child=serializers.ListField(child=serializers.IntegerField(), min_length=3, max_length=3),
        help_text="Merges in order: [rank from 1, place among `first` of the left piece, id of what it makes].",
    )
    why = serializers.CharField(help_text="Code of why `first` and `steps` are empty; empty where they are not.")
    reason = serializers.CharField(help_text="The same as a sentence.")
    counts = serializers.DictField(
        child=serializers.IntegerField(), help_text="tokens, and the text's characters, bytes and words."
    )


class PointOut(Out):
    text = serializers.CharField()
    count = serializers.IntegerField(help_text="How often a word stands in the corpus; how many tokens a document has.")
    source = serializers.CharField()  # type: ignore[assignment]  # the API's name
    language = serializers.CharField()


class CurveOut(Out):
    step = serializers.IntegerField()
    gap = serializers.FloatField(help_text="Mean cosine of 200 true pairs, less that of 200 random ones.")
    kept_tsne = serializers.FloatField()


class MapOut(Out):
    kind = serializers.ChoiceField(["words", "documents"])
    points = serializers.IntegerField()
    steps = serializers.ListField(child=serializers.IntegerField(), help_text="In order; the last is the base itself.")
    labels = PointOut(many=True)
    kept = serializers.DictField(
        child=serializers.DictField(child=serializers.FloatField()),
        help_text="Step → the share of true neighbours that each picture keeps, and n, its points.",
    )
    curve = CurveOut(many=True)


class ThreeOut(Out):
    words = serializers.ListField(child=serializers.CharField(), help_text="Three; none where the map has none to ask.")
    votes = serializers.IntegerField()
    told = serializers.IntegerField(help_text="Votes on words whose odd one this map's cosines tell.")
    agreed = serializers.IntegerField(help_text="Of these, those that leave the same word over.")


class OddOut(Out):
    model = serializers.CharField(allow_null=True, help_text="What the model leaves over, where the map can tell.")


class NearOut(Out):
    place = serializers.IntegerField(help_text="Of the point among the labels.")
    text = serializers.CharField()
    cosine = serializers.FloatField()


class NeighboursOut(PointOut):
    place = serializers.IntegerField()
    neighbours = NearOut(many=True)
