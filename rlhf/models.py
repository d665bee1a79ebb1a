"""Snapshots, runs, models and the lines between them. Lineage lives once: on Run and its RunInput rows."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.timezone import now

from annotate.models import Project, Text, User
from annotate.models.people import projects_of


class SnapshotQuerySet(models.QuerySet["Snapshot"]):
    def visible_to(self, user: User) -> SnapshotQuerySet:
        return self.filter(project__in=projects_of(user))

    def frozen(self) -> SnapshotQuerySet:
        return self.filter(state=Snapshot.State.FROZEN)


class Snapshot(models.Model):
    """A moment of what people decided: JSON Lines that never change again.

    sha256: of manifest.json, which holds each file's hash, counts, settings and versions, and no times.
    files: [{name, type, rows, sha256, bytes}]; the bytes lie in `storage` under their hash.
    counts: {split: rows} and what was left out, by reason.
    """

    class Kind(models.TextChoices):
        CORPUS = "corpus"
        SFT = "sft"
        RANKING = "ranking"
        PROMPT = "prompt"
        CLOZE = "cloze"

    # as people call what is in it: an sft-2 is a model
    NAMES = {
        Kind.CORPUS: "corpus",
        Kind.SFT: "answers",
        Kind.RANKING: "rankings",
        Kind.PROMPT: "prompts",
        Kind.CLOZE: "cloze",
    }

    class State(models.TextChoices):
        FREEZING = "freezing"
        FROZEN = "frozen"
        FAILED = "failed"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="snapshots")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=7, choices=Kind.choices)
    state = models.CharField(max_length=8, choices=State.choices, default=State.FREEZING)
    settings = models.JSONField(default=dict)
    counts = models.JSONField(default=dict)
    files = models.JSONField(default=list)
    card = models.JSONField(default=dict)
    sha256 = models.CharField(max_length=64, blank=True)
    failure = models.TextField(blank=True)
    sent_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    frozen_at = models.DateTimeField(null=True)

    objects = SnapshotQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="one_snapshot_per_number")]

    def __str__(self) -> str:
        return f"{self.NAMES[self.Kind(self.kind)]}-{self.number}"


class ModelQuerySet(models.QuerySet["Model"]):
    def visible_to(self, user: User) -> ModelQuerySet:
        return self.filter(project__in=projects_of(user))


class Model(models.Model):
    """What a run trained, or a base that an operator imported (run is null).

    files: [{path, sha256, bytes}], the bytes in `storage`; sha256: of the folder (`trainer.contract.rundir`).
    base: the base that an adapter belongs to; null for a base. metrics: `final` of the run's result.
    """

    class Kind(models.TextChoices):
        BASE = "base"
        SFT = "sft"
        REWARD = "reward"
        POLICY = "policy"
        VALUE = "value"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="models")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=6, choices=Kind.choices)
    name = models.CharField(max_length=80)
    sha256 = models.CharField(max_length=64)
    files = models.JSONField()
    size_bytes = models.BigIntegerField()
    run = models.ForeignKey("Run", models.PROTECT, null=True, related_name="outputs")
    base = models.ForeignKey("self", models.PROTECT, null=True, related_name="adapters")
    licence = models.CharField(max_length=200, blank=True)
    metrics = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())

    objects = ModelQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="one_model_per_number"),
            models.CheckConstraint(
                condition=Q(kind="base", base=None) | Q(base__isnull=False), name="adapters_name_a_base"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class RunQuerySet(models.QuerySet["Run"]):
    def visible_to(self, user: User) -> RunQuerySet:
        return self.filter(project__in=projects_of(user))

    def active(self) -> RunQuerySet:
        return self.filter(state__in=Run.ACTIVE)


class Run(models.Model):
    """A job of the trainer; its life is this row.

    queued → running → finished | failed | cancelled | paused; running → lost → queued by the sweep;
    failed | cancelled | paused → queued by a resume. Every write of a worker is filtered by attempt.
    progress: {done, total, unit, rate, eta_s, note, estimate}.
    checkpoint: {name, files: [{path, sha256, bytes}]} of the newest.
    """

    class Stage(models.TextChoices):
        PRETRAIN = "pretrain"
        SFT = "sft"
        REWARD = "reward"
        PPO = "ppo"
        DPO = "dpo"
        GENERATE = "generate"
        EVALUATE = "evaluate"
        MAP = "map"

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        FINISHED = "finished"
        FAILED = "failed"
        CANCELLED = "cancelled"
        PAUSED = "paused"
        LOST = "lost"

    ACTIVE = ["queued", "running", "lost"]
    RESUMABLE = ["failed", "cancelled", "paused"]

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="runs")
    number = models.PositiveIntegerField()
    stage = models.CharField(max_length=8, choices=Stage.choices)
    state = models.CharField(max_length=9, choices=State.choices, default=State.QUEUED)
    config = models.JSONField()
    config_sha256 = models.CharField(max_length=64)
    seed = models.BigIntegerField()
    code_version = models.CharField(max_length=40)
    attempt = models.PositiveIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)
    not_before = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    worker = models.CharField(max_length=120, blank=True)
    progress = models.JSONField(default=dict)
    checkpoint = models.JSONField(null=True)
    result = models.JSONField(null=True)
    failure = models.JSONField(null=True)
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "number"], name="one_run_per_number")]
        indexes = [models.Index(fields=["state", "heartbeat_at"], name="run_stale")]

    def __str__(self) -> str:
        return f"run {self.number}"


class RunInput(models.Model):
    """What a run reads: name is that of the file in data/ or the folder in parents/."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="inputs")
    name = models.CharField(max_length=80)
    snapshot = models.ForeignKey(Snapshot, models.PROTECT, null=True, related_name="run_inputs")
    model = models.ForeignKey(Model, models.PROTECT, null=True, related_name="run_inputs")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "name"], name="one_input_per_run_and_name"),
            models.CheckConstraint(
                condition=Q(snapshot__isnull=False, model=None) | Q(snapshot=None, model__isnull=False),
                name="an_input_is_a_snapshot_or_a_model",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} of run {self.run_id}"

    @property
    def used(self) -> Snapshot | Model:
        """Whichever of the two it is; select both with the row."""
        used = self.snapshot or self.model
        assert used is not None  # an_input_is_a_snapshot_or_a_model
        return used


class RunChunk(models.Model):
    """New whole lines of one stream of a run directory. offset: of the first byte, in that file."""

    class Stream(models.TextChoices):
        METRICS = "metrics"
        SAMPLES = "samples"
        EVENTS = "events"
        LOG = "log"

    run = models.ForeignKey(Run, models.CASCADE, related_name="chunks")
    attempt = models.PositiveIntegerField()
    stream = models.CharField(max_length=7, choices=Stream.choices)
    offset = models.BigIntegerField()
    lines = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "stream", "attempt", "offset"], name="one_chunk_per_offset")
        ]

    def __str__(self) -> str:
        return f"{self.stream}@{self.offset} of run {self.run_id}"


class Generation(models.Model):
    """How a model came to write a text. It points down at the text, so that a text cannot name a model.

    model: None where the run itself wrote it, on the way to the model that it makes.
    """

    run = models.ForeignKey(Run, models.PROTECT, related_name="generations")
    model = models.ForeignKey(Model, models.PROTECT, null=True, related_name="generations")
    text = models.OneToOneField(Text, models.PROTECT, related_name="+")
    prompt = models.ForeignKey(Text, models.PROTECT, related_name="+")
    sample_index = models.PositiveIntegerField()
    temperature = models.FloatField()
    seed = models.BigIntegerField()
    logprob = models.FloatField(null=True)
    finished = models.BooleanField()
    tokens = models.PositiveIntegerField()
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"answer {self.sample_index} of {self.model_id or self.run_id} to {self.prompt_id}"


class ProbeQuerySet(models.QuerySet["Probe"]):
    def visible_to(self, user: User) -> ProbeQuerySet:
        return self.filter(project__in=projects_of(user))

    def same_words(self, probe: Probe) -> ProbeQuerySet:
        """Whoever asked: what one run answered is asked of no model again."""
        return self.filter(project=probe.project_id, words_sha256=probe.words_sha256)


class Probe(models.Model):
    """A text or a question, with up to four answers, and what is to be looked into with it.

    asked: [{key, kind, name, base, step}] in order of columns; key is a model's uuid, of an earlier state of it
    "uuid.step-00000014". Both name a folder whose hash never changes, so what was answered of it stays true.
    words_sha256: of prompt, as_question and answers. standing: each new base of the project is asked too.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="probes")
    prompt = models.TextField()
    as_question = models.BooleanField(default=False)
    answers = models.JSONField(default=list)
    words_sha256 = models.CharField(max_length=64)
    asked = models.JSONField()
    standing = models.BooleanField(default=False)
    runs: models.ManyToManyField[Run, models.Model] = models.ManyToManyField(Run, related_name="probes")
    created_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    objects = ProbeQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["project", "words_sha256"], name="probe_same_words")]

    def __str__(self) -> str:
        return self.prompt[:40]


class WorkerQuerySet(models.QuerySet["Worker"]):
    def alive(self) -> WorkerQuerySet:
        return self.filter(heartbeat_at__gte=now() - timedelta(seconds=Worker.STALE_S))


class Worker(models.Model):
    """A process that takes runs or tasks, as it last reported itself."""

    STALE_S = 30

    name = models.CharField(max_length=120, unique=True)
    queues = models.CharField(max_length=120)
    device = models.CharField(max_length=120, blank=True)
    heartbeat_at = models.DateTimeField()
    started_at = models.DateTimeField(db_default=Now())

    objects = WorkerQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name


def asked_for(project: Project, by: User, key: str, wish: object) -> uuid.UUID:
    """The uuid of what by asks for under this Idempotency-Key: the same wish sent again names the same row.

    wish: what JSON holds. Without a key each wish is another.
    """
    if not key:
        return uuid.uuid4()
    return uuid.uuid5(project.uuid, json.dumps([by.pk, key, wish], sort_keys=True))


def next_number(rows: models.QuerySet[Snapshot] | models.QuerySet[Run] | models.QuerySet[Model]) -> int:
    """The number after the greatest of these rows, for people. The unique constraint settles a race."""
    newest = rows.order_by("-number").values_list("number", flat=True).first()
    return (newest or 0) + 1
