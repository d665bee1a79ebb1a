"""The learning game: what it starts from, what is played, and what people answered. Rows of play only append."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from annotate.models.people import Project, User, projects_of
from annotate.models.texts import Text


class ClozeDocument(models.Model):
    """A document that is played, and so never trained on: nobody can untrain it. The mark sticks."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="cloze_documents")
    text = models.OneToOneField(Text, models.CASCADE, related_name="cloze")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"cloze {self.text_id}"


class GameStartQuerySet(models.QuerySet["GameStart"]):
    def visible_to(self, user: User) -> GameStartQuerySet:
        """Of the person's projects, and the bundled one, which belongs to none."""
        return self.filter(models.Q(project__in=projects_of(user)) | models.Q(project=None))

    def standing(self) -> GameStartQuerySet:
        return self.filter(retired_at=None)


class GameStart(models.Model):
    """A trained network. version: SHA-256 of the file; file, practice: gzip, as stored and sent.

    project: empty for the one that read the bundled paragraphs. header: what the file says of itself, with its
    held-out table. retired_at: when something that it had read was withdrawn; it is dealt no more, its rounds stay.
    """

    project = models.ForeignKey(Project, models.CASCADE, null=True, related_name="game_starts")
    version = models.CharField(max_length=64)
    file = models.BinaryField()
    practice = models.BinaryField()
    header = models.JSONField()
    published_at = models.DateTimeField(db_default=Now())
    retired_at = models.DateTimeField(null=True)

    objects = GameStartQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "version"], name="one_game_start_per_version"),
            models.UniqueConstraint(
                fields=["version"], condition=models.Q(project=None), name="one_bundled_game_start_per_version"
            ),
        ]

    def __str__(self) -> str:
        return f"start {self.version[:8]}"


class GameTraining(models.Model):
    """One wish to train a start, and what became of it. A worker that is killed leaves it to be done again.

    sent_at: when a worker was last asked; empty until the next sweep does.
    """

    class State(models.TextChoices):
        RUNNING = "running"
        FINISHED = "finished"
        FAILED = "failed"

    project = models.ForeignKey(Project, models.CASCADE, related_name="game_trainings")
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    sentence = models.CharField(max_length=300, blank=True)
    start = models.ForeignKey(GameStart, models.PROTECT, null=True, related_name="+")
    asked_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True, db_default=Now())
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project"], condition=models.Q(state="running"), name="one_game_training_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"{self.state} since {self.asked_at}"


class GameParagraph(models.Model):
    """Eight sentences to play, as one start's vocabulary reads them.

    key: the SHA-256 of the text; shown: `tinynet.items.payload`; text: of a corpus document, empty where bundled.
    reserved: kept for the exam and never played. retired_at: when a reviewer rejected or edited the document.
    """

    start = models.ForeignKey(GameStart, models.CASCADE, related_name="paragraphs")
    key = models.CharField(max_length=64)
    theme = models.CharField(max_length=200)
    body = models.TextField()
    shown = models.JSONField()
    text = models.ForeignKey(Text, models.CASCADE, null=True, related_name="+")
    reserved = models.BooleanField(default=False)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["start", "key"], name="one_paragraph_per_start_and_text")]

    def __str__(self) -> str:
        return f"{self.theme} of {self.start_id}"


class GameItem(models.Model):
    """One blank. sentence and position count from 0; gold and distractors are ids of the start's vocabulary."""

    paragraph = models.ForeignKey(GameParagraph, models.CASCADE, related_name="items")
    sentence = models.PositiveSmallIntegerField()
    position = models.PositiveSmallIntegerField()
    gold = models.PositiveSmallIntegerField()
    distractors = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["paragraph", "sentence", "position"], name="one_item_per_place")]

    def __str__(self) -> str:
        return f"item {self.sentence}:{self.position} of {self.paragraph_id}"


class GameRoundQuerySet(models.QuerySet["GameRound"]):
    def visible_to(self, user: User) -> GameRoundQuerySet:
        return self.filter(user=user, project__in=projects_of(user))


class GameRound(models.Model):
    """One person's way through one paragraph. items: their keys, in order of play.

    newborn: the seed of the network, where it began knowing nothing. digest: the sums of the browser's weights.
    """

    class Mode(models.TextChoices):
        MISSING = "missing"
        NEXT = "next"
        CORRECTION = "correction"

    class Replay(models.TextChoices):
        NONE = "none"
        SAME = "same"
        DIFFERS = "differs"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="game_rounds")
    user = models.ForeignKey(User, models.CASCADE, related_name="game_rounds")
    paragraph = models.ForeignKey(GameParagraph, models.PROTECT, related_name="rounds")
    newborn = models.PositiveIntegerField(null=True)
    seed = models.PositiveIntegerField()
    items = models.JSONField()
    mode = models.CharField(max_length=10, choices=Mode.choices)
    begun_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    digest = models.JSONField(null=True)
    replay = models.CharField(max_length=7, choices=Replay.choices, default=Replay.NONE)
    largest = models.FloatField(null=True)

    objects = GameRoundQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["user", "project", "-begun_at"], name="round_newest_of_person")]

    def __str__(self) -> str:
        return f"round {self.pk}"


class GameAttempt(models.Model):
    """One row of a round, as `round.js` writes it. auto: the network answered; undo: the last one is taken back.

    shown: the ids in their order; choice: the id taken; free: what was typed; picked: the place suspected. p and loss
    are the gold's, as the browser computed them. Fast auto-play has `stream` and `count` in place of an item.
    """

    class Kind(models.TextChoices):
        ANSWER = "answer"
        UNDO = "undo"
        AUTO = "auto"

    round = models.ForeignKey(GameRound, models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=6, choices=Kind.choices)
    item = models.ForeignKey(GameItem, models.PROTECT, null=True, related_name="attempts")
    shown = models.JSONField(null=True)
    choice = models.PositiveSmallIntegerField(null=True)
    free = models.CharField(max_length=80, blank=True)
    picked = models.PositiveSmallIntegerField(null=True)
    right = models.BooleanField(null=True)
    active_ms = models.PositiveIntegerField(null=True)
    context_on = models.BooleanField(default=True)
    eta = models.FloatField(null=True)
    p_with = models.FloatField(null=True)
    p_without = models.FloatField(null=True)
    loss_before = models.FloatField(null=True)
    loss_after = models.FloatField(null=True)
    p_after = models.FloatField(null=True)
    stream = models.PositiveIntegerField(null=True)
    count = models.PositiveIntegerField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["round", "number"], name="one_attempt_per_round_and_number"),
            models.CheckConstraint(
                condition=models.Q(kind="undo")
                | models.Q(item__isnull=False, shown__isnull=False)
                | models.Q(kind="auto", stream__isnull=False, count__isnull=False),
                name="an_answer_names_its_item_or_stream",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.number} of {self.round_id}"


class GameWord(models.Model):
    """What a reviewer said of a word that several people typed at a blank; the newest row of a word holds.

    accepted: as a second gold; null takes the decision back.
    """

    project = models.ForeignKey(Project, models.CASCADE, related_name="game_words")
    item = models.ForeignKey(GameItem, models.PROTECT, related_name="words")
    mode = models.CharField(max_length=10, choices=GameRound.Mode.choices)
    word = models.CharField(max_length=80)
    accepted = models.BooleanField(null=True)
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        indexes = [models.Index(fields=["project", "item", "mode"], name="gameword_of_blank")]

    def __str__(self) -> str:
        return f"{self.word} at {self.item_id}"


class GameDoubtQuerySet(models.QuerySet["GameDoubt"]):
    def standing(self) -> GameDoubtQuerySet:
        """The newest of each person at each blank, where that takes nothing back."""
        later = GameDoubt.objects.filter(
            project=OuterRef("project"), item=OuterRef("item"), by=OuterRef("by"), pk__gt=OuterRef("pk")
        )
        return self.filter(~Exists(later), withdrawn=False)


class GameDoubt(models.Model):
    """A player's wish that somebody look at the sentence of a blank; the newest row of a person and blank holds.

    withdrawn: it takes the wish back.
    """

    MOST = 300

    project = models.ForeignKey(Project, models.CASCADE, related_name="game_doubts")
    round = models.ForeignKey(GameRound, models.CASCADE, related_name="doubts")
    item = models.ForeignKey(GameItem, models.PROTECT, related_name="doubts")
    by = models.ForeignKey(User, models.CASCADE, related_name="game_doubts")
    note = models.CharField(max_length=MOST, blank=True)
    withdrawn = models.BooleanField(default=False)
    at = models.DateTimeField(db_default=Now())

    objects = GameDoubtQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["project", "item", "by"], name="gamedoubt_newest_of_person")]

    def __str__(self) -> str:
        return f"doubt of {self.item_id}"
