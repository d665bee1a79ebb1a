"""Texts, where they came from, and what detectors found in them. A body never changes: an edit is a new Text."""

from __future__ import annotations

import uuid
from hashlib import sha256

from django.db import models
from django.db.models.functions import Now

from annotate.models.people import Project, User, projects_of


class SourceQuerySet(models.QuerySet["Source"]):
    def visible_to(self, user: User) -> SourceQuerySet:
        return self.filter(project__in=projects_of(user))


class Source(models.Model):
    class Kind(models.TextChoices):
        UPLOAD = "upload"
        FOLDER = "folder"
        API = "api"
        DEMO = "demo"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="sources")
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    address = models.CharField(max_length=500, blank=True)
    licence = models.CharField(max_length=200, default="unknown")
    note = models.TextField(blank=True)
    added_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    objects = SourceQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="one_source_per_project_and_name")]

    def __str__(self) -> str:
        return self.name


class GroupQuerySet(models.QuerySet["Group"]):
    def heldout(self) -> GroupQuerySet:
        return self.filter(split=Group.Split.HELDOUT)


class Group(models.Model):
    """Near-duplicate texts that must stay on one side of the split.

    label: the `group` value of an import that put texts together; empty for a group of one text and its relatives.
    joined_into: the group that took over the texts of this one; what is imported under this label goes there.
    """

    class Split(models.TextChoices):
        TRAIN = "train"
        HELDOUT = "heldout"

    HELDOUT_SHARE = 0.10

    project = models.ForeignKey(Project, models.CASCADE, related_name="groups")
    first_sha256 = models.CharField(max_length=64)
    label = models.CharField(max_length=200, blank=True)
    split = models.CharField(max_length=7, choices=Split.choices)
    frozen_at = models.DateTimeField(null=True)
    joined_into = models.ForeignKey("self", models.PROTECT, null=True, related_name="+")

    objects = GroupQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "label"], condition=~models.Q(label=""), name="one_group_per_project_and_label"
            )
        ]

    def __str__(self) -> str:
        return f"{self.split} {self.first_sha256[:8]}"

    @classmethod
    def split_of(cls, *, project: Project, first_sha256: str) -> str:
        """held out if the first 8 bytes of SHA-256("seed:first_sha256"), over 2^64, lie below 0.10."""
        digest = sha256(f"{project.split_seed}:{first_sha256}".encode()).digest()
        share = int.from_bytes(digest[:8], "big") / 2**64
        return cls.Split.HELDOUT if share < cls.HELDOUT_SHARE else cls.Split.TRAIN


class ImportQuerySet(models.QuerySet["Import"]):
    def visible_to(self, user: User) -> ImportQuerySet:
        return self.filter(source__project__in=projects_of(user))


class Import(models.Model):
    """One file taken in. Position and batch commit in one transaction, so a kill loses and doubles nothing."""

    class Format(models.TextChoices):
        TEXT = "text"
        MARKDOWN = "markdown"
        HTML = "html"
        JSONL = "jsonl"

    class State(models.TextChoices):
        READING = "reading"
        PAUSED = "paused"
        FINISHED = "finished"
        FAILED = "failed"
        CANCELLED = "cancelled"

    class What(models.TextChoices):
        DOCUMENTS = "documents"
        PROMPTS = "prompts"
        PAIRS = "pairs"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    source = models.ForeignKey(Source, models.PROTECT, related_name="imports")
    label = models.CharField(max_length=200)
    what = models.CharField(max_length=9, choices=What.choices, default=What.DOCUMENTS)
    format = models.CharField(max_length=8, choices=Format.choices)
    options = models.JSONField(default=dict)
    sha256 = models.CharField(max_length=64)
    file = models.CharField(max_length=200)
    size_bytes = models.BigIntegerField()
    state = models.CharField(max_length=9, choices=State.choices, default=State.READING)
    position = models.BigIntegerField(default=0)
    new = models.PositiveIntegerField(default=0)
    repeated = models.PositiveIntegerField(default=0)
    refused = models.PositiveIntegerField(default=0)
    failure = models.TextField(blank=True)
    by = models.ForeignKey(User, models.PROTECT, related_name="imports")
    created_at = models.DateTimeField(db_default=Now())
    heartbeat_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = ImportQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["source", "-created_at"], name="import_newest_of_source")]

    def __str__(self) -> str:
        return self.label


class Batch(models.Model):
    """Up to 1,000 texts: the unit of commit, of flagging and of a Celery message."""

    imported = models.ForeignKey(Import, models.CASCADE, related_name="batches")
    number = models.PositiveIntegerField()
    texts_count = models.PositiveIntegerField()
    flagged_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["imported", "number"], name="one_batch_per_import_and_number")]

    def __str__(self) -> str:
        return f"batch {self.number} of {self.imported_id}"


class Refusal(models.Model):
    """A row of a file that was not taken, with the reason. The first 10,000 are kept, all are counted."""

    imported = models.ForeignKey(Import, models.CASCADE, related_name="refusals")
    place = models.CharField(max_length=80)
    code = models.CharField(max_length=40)
    sentence = models.CharField(max_length=300)
    start = models.CharField(max_length=80)

    def __str__(self) -> str:
        return f"{self.place}: {self.code}"


class TextQuerySet(models.QuerySet["Text"]):
    def documents(self) -> TextQuerySet:
        return self.filter(kind=Text.Kind.DOCUMENT)

    def prompts(self) -> TextQuerySet:
        return self.filter(kind=Text.Kind.PROMPT)

    def visible_to(self, user: User) -> TextQuerySet:
        return self.filter(project__in=projects_of(user))


class Text(models.Model):
    """Any prompt, answer or document.

    parent: the turn that this one answers. edited_from: the text that it replaces, with the same parent.
    cluster: the representative that it nearly repeats, or null where it represents itself (`cleaning.md` 4.2).
    """

    class Kind(models.TextChoices):
        PROMPT = "prompt"
        ANSWER = "answer"
        DOCUMENT = "document"

    class Origin(models.TextChoices):
        HUMAN = "human"
        MODEL = "model"
        IMPORT = "import"
        GAME = "game"  # a sentence to correct, and how a player corrected it

    MAX_BYTES = 200_000

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="texts")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    body = models.TextField()
    sha256 = models.CharField(max_length=64)
    origin = models.CharField(max_length=6, choices=Origin.choices)
    author = models.ForeignKey(User, models.PROTECT, null=True, related_name="texts")
    parent = models.ForeignKey("self", models.PROTECT, null=True, related_name="children")
    edited_from = models.ForeignKey("self", models.PROTECT, null=True, related_name="edits")
    group = models.ForeignKey(Group, models.PROTECT, related_name="texts")
    source = models.ForeignKey(Source, models.PROTECT, null=True, related_name="texts")
    batch = models.ForeignKey(Batch, models.PROTECT, null=True, related_name="texts")
    cluster = models.ForeignKey("self", models.PROTECT, null=True, related_name="members")
    address = models.CharField(max_length=500, blank=True)
    licence = models.CharField(max_length=200, blank=True)
    language = models.CharField(max_length=12, blank=True)
    collected_at = models.DateTimeField(null=True)
    part = models.PositiveIntegerField(default=1)
    parts = models.PositiveIntegerField(default=1)
    meta = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())

    objects = TextQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "sha256"],
                condition=models.Q(kind="document", edited_from=None),
                name="one_document_per_project_and_sha",
            ),
            models.UniqueConstraint(
                fields=["project", "sha256"],
                condition=models.Q(kind="prompt", parent=None),
                name="one_first_prompt_per_sha",
            ),
        ]
        indexes = [
            models.Index(fields=["project", "kind", "id"], name="text_export_order"),
            models.Index(fields=["project", "kind", "sha256"], name="text_exact_repeat"),
            models.Index(
                fields=["project", "kind", "origin"],
                condition=models.Q(edited_from=None),
                name="text_count_first_versions",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.sha256[:8]}"

    def turns(self) -> list[Text]:
        """This text and those that it goes back to, first turn first. One query a turn."""
        turns = [self]
        while turns[0].parent is not None:
            turns.insert(0, turns[0].parent)
        return turns


class Sighting(models.Model):
    """Where an exact duplicate was seen that was not stored again."""

    text = models.ForeignKey(Text, models.CASCADE, related_name="sightings")
    source = models.ForeignKey(Source, models.PROTECT, related_name="+")
    imported = models.ForeignKey(Import, models.CASCADE, related_name="sightings")
    address = models.CharField(max_length=500, blank=True)
    collected_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.text_id} again in {self.imported_id}"


class Scan(models.Model):
    """What was run on a batch, so that nothing runs twice."""

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="scans")
    detector = models.CharField(max_length=40)
    version = models.PositiveIntegerField()
    findings = models.PositiveIntegerField()
    seconds = models.FloatField()
    failure = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["batch", "detector", "version"], name="one_scan_per_batch_detector_and_version"
            )
        ]

    def __str__(self) -> str:
        return f"{self.detector} {self.version} on {self.batch_id}"


class FlagQuerySet(models.QuerySet["Flag"]):
    def live(self) -> FlagQuerySet:
        return self.filter(retired_at=None)


class Flag(models.Model):
    """A finding of a detector. It is evidence, never a verdict. start and end are code points of the body."""

    text = models.ForeignKey(Text, models.CASCADE, related_name="flags")
    detector = models.CharField(max_length=40)
    version = models.PositiveIntegerField()
    category = models.CharField(max_length=40)
    start = models.PositiveIntegerField()
    end = models.PositiveIntegerField()
    score = models.FloatField()
    reason = models.CharField(max_length=300)
    evidence = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now())
    retired_at = models.DateTimeField(null=True)

    objects = FlagQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["text", "detector", "version", "category", "start", "end"], name="one_flag_per_finding"
            ),
            models.CheckConstraint(condition=models.Q(score__gte=0, score__lte=1), name="flag_score_is_0_to_1"),
        ]

    def __str__(self) -> str:
        return f"{self.detector}/{self.category} on {self.text_id}"


class Band(models.Model):
    """The index of near duplicates: band key to representative (`cleaning.md` 4.2)."""

    pk = models.CompositePrimaryKey("key", "text_id")
    key = models.BigIntegerField()
    text = models.ForeignKey(Text, models.CASCADE, related_name="+", db_index=False)

    def __str__(self) -> str:
        return f"{self.key} → {self.text_id}"


class Hot(models.Model):
    """How many texts beyond the 64th share a key. project: keys are mixed with it, so a key has one project."""

    key = models.BigIntegerField(primary_key=True)
    count = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.key}: {self.count}"
