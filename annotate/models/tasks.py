"""Tasks and who has them. A slot is one wanted answer; its life is open → leased → done, or void."""

from __future__ import annotations

import secrets
import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.timezone import now

from annotate.models.people import Project, User, projects_of
from annotate.models.texts import Text


class QueueQuerySet(models.QuerySet["Queue"]):
    def visible_to(self, user: User) -> QueueQuerySet:
        return self.filter(project__in=projects_of(user))

    def to_answer(self, project_id: int) -> Queue | None:
        """Where prompts of a project are answered: the first queue to write that asks for no instructions, if any."""
        writing = self.filter(project=project_id, kind=Queue.Kind.WRITE_ANSWER)
        return writing.order_by("instruction", "pk").first()


class Queue(models.Model):
    """A kind of work and its rules.

    overlap: answers wanted a task; overlap_max: up to how many where they disagree, null: no more. intake_cap: most
    unfinished tasks at a time; null: twice the people active in the last hour, at least 20. axes: Likert axes asked
    beside a ranking; required_axes: those that must be answered. flags: keys that are asked for each answer.
    critique_least: characters that a critique needs beside a low overall rating; null: no critique is asked. better:
    whether people may write a better answer. partial: whether a ranking may leave answers without a place.
    line_required: whether a ranking must say where acceptable ends. instruction: whether people write the instruction
    too, in tasks that are built without a prompt; a task stays as it was built.
    """

    class Kind(models.TextChoices):
        CLEAN = "clean"
        WRITE_ANSWER = "write_answer"
        REVIEW_ANSWER = "review_answer"
        RANK = "rank"
        PAIR = "pair"
        RATE = "rate"
        REPAIR = "repair"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="queues")
    kind = models.CharField(max_length=13, choices=Kind.choices)
    name = models.CharField(max_length=80)
    overlap = models.PositiveSmallIntegerField(default=1)
    overlap_max = models.PositiveSmallIntegerField(null=True)
    lease_minutes = models.PositiveSmallIntegerField(default=20)
    intake_cap = models.PositiveIntegerField(null=True)
    priority = models.SmallIntegerField(default=0)
    axes = models.JSONField(default=list)
    required_axes = models.JSONField(default=list)
    flags = models.JSONField(default=list)
    critique_least = models.PositiveSmallIntegerField(null=True)
    better = models.BooleanField(default=False)
    partial = models.BooleanField(default=False)
    line_required = models.BooleanField(default=False)
    instruction = models.BooleanField(default=False)
    settings_version = models.PositiveIntegerField(default=1)
    next_admit_seq = models.BigIntegerField(default=1)
    closed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    objects = QueueQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="one_queue_per_project_and_name"),
            models.CheckConstraint(condition=Q(overlap__gte=1, overlap__lte=9), name="queue_overlap_is_1_to_9"),
            models.CheckConstraint(
                condition=Q(overlap_max=None) | Q(overlap_max__gte=models.F("overlap"), overlap_max__lte=9),
                name="queue_overlap_max_is_overlap_to_9",
            ),
            models.CheckConstraint(condition=Q(lease_minutes__gte=5, lease_minutes__lte=60), name="lease_is_5_to_60"),
            models.CheckConstraint(
                condition=Q(instruction=False) | Q(kind="write_answer"), name="only_who_writes_writes_instructions"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def grows(self) -> bool:
        """Whether its tasks ask for more answers where those given disagree."""
        return self.overlap_max is not None and self.overlap_max > self.overlap


class QueuePause(models.Model):
    """A reviewer keeps a person from taking tasks of a queue, until somebody ends it. What they gave stays."""

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    queue = models.ForeignKey(Queue, models.CASCADE, related_name="pauses")
    user = models.ForeignKey(User, models.CASCADE, related_name="pauses")
    by = models.ForeignKey(User, models.PROTECT, related_name="+")
    note = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    ended_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["queue", "user"], condition=Q(ended_at=None), name="one_pause_per_queue_and_person"
            )
        ]

    def __str__(self) -> str:
        return f"{self.user_id} paused in queue {self.queue_id}"


def random_key() -> int:
    return secrets.randbelow(2**63)


class TaskQuerySet(models.QuerySet["Task"]):
    def visible_to(self, user: User) -> TaskQuerySet:
        return self.filter(queue__project__in=projects_of(user))


class Task(models.Model):
    """One question about some texts. Held tasks have no slots and wait in the order of random_key.

    selection: how the task came to be, for those who read the data later; assessors never see it. follows: the answer
    that asked for it: a review follows what somebody wrote, writing again a return, a repair a low rating. disputed: as
    many answers as its queue asks for at most, and they disagree. unparked_at: skips before it count no more.
    """

    class State(models.TextChoices):
        HELD = "held"
        ADMITTED = "admitted"
        PARKED = "parked"
        COMPLETE = "complete"
        VOID = "void"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    queue = models.ForeignKey(Queue, models.CASCADE, related_name="tasks")
    state = models.CharField(max_length=8, choices=State.choices, default=State.HELD)
    random_key = models.BigIntegerField(default=random_key)
    selection = models.JSONField(default=dict)
    follows = models.ForeignKey("annotate.Judgement", models.PROTECT, null=True, related_name="asked")
    disputed = models.BooleanField(default=False, db_default=False)
    unparked_at = models.DateTimeField(null=True)
    texts: models.ManyToManyField[Text, TaskText] = models.ManyToManyField(
        Text, through="TaskText", related_name="tasks"
    )
    created_at = models.DateTimeField(db_default=Now())

    objects = TaskQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["queue", "random_key"], condition=Q(state="held"), name="task_next_held"),
            models.Index(fields=["queue", "state"], name="task_count_by_state"),
            models.Index(fields=["queue"], condition=Q(disputed=True), name="task_disputed"),
        ]

    def __str__(self) -> str:
        return f"task {self.pk} of {self.queue_id}"

    def text_ids(self) -> list[int]:
        """Texts in neutral order. One query."""
        return list(self.task_texts.values_list("text_id", flat=True))


class TaskText(models.Model):
    """position: a neutral order; what a person sees is drawn for them (`Presentation`)."""

    class Part(models.TextChoices):
        DOCUMENT = "document"
        PROMPT = "prompt"
        ANSWER = "answer"

    task = models.ForeignKey(Task, models.CASCADE, related_name="task_texts")
    text = models.ForeignKey(Text, models.PROTECT, related_name="task_texts")
    part = models.CharField(max_length=8, choices=Part.choices)
    position = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["task", "position"], name="one_text_per_task_and_position"),
            models.UniqueConstraint(fields=["task", "text"], name="a_text_stands_once_in_a_task"),
        ]

    def __str__(self) -> str:
        return f"{self.part} {self.position} of task {self.task_id}"


class Exclusion(models.Model):
    """Why a person does not get a task; until: only up to then. skip: the reason that a skipping person gave.

    A task that was put off and is then hidden keeps its skip: that it was put off holds again where it is shown again.
    """

    class Reason(models.TextChoices):
        AUTHOR = "author"
        EDITOR = "editor"
        UPSTREAM = "upstream"
        SKIPPED = "skipped"
        LATER = "later"
        HIDDEN = "hidden"
        SURPLUS = "surplus"
        CONFLICT = "conflict"
        WITHDREW = "withdrew"

    class Skip(models.TextChoices):
        UNCLEAR_PROMPT = "unclear_prompt"
        NEEDS_EXPERTISE = "needs_expertise"
        UPSETTING = "upsetting"
        BROKEN_TEXT = "broken_text"
        WRONG_LANGUAGE = "wrong_language"
        OWN_TEXT = "own_text"
        OTHER = "other"
        LATER = "later"

    OWN = ["author", "editor", "upstream"]
    PASSING = ["later", "hidden"]
    LATER_MINUTES = 30

    task = models.ForeignKey(Task, models.CASCADE, related_name="exclusions")
    user = models.ForeignKey(User, models.CASCADE, related_name="exclusions")
    reason = models.CharField(max_length=8, choices=Reason.choices)
    skip = models.CharField(max_length=16, choices=Skip.choices, blank=True)
    note = models.CharField(max_length=500, blank=True)
    until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["task", "user"], name="one_exclusion_per_task_and_user")]
        indexes = [models.Index(fields=["task", "user"], condition=Q(reason="skipped"), name="exclusion_count_skips")]

    def __str__(self) -> str:
        return f"{self.user_id} kept from task {self.task_id}: {self.reason}"


class HidingQuerySet(models.QuerySet["Hiding"]):
    def holding(self) -> HidingQuerySet:
        return self.filter(until__gt=now())


class Hiding(models.Model):
    """A category of harm that a person does not want to meet in a project until an instant; then it holds no more.

    Tasks about texts that a detector flagged so exclude the person for that long. task: the one whose skip began it.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name="hidings")
    user = models.ForeignKey(User, models.CASCADE, related_name="hidings")
    category = models.CharField(max_length=40)
    task = models.ForeignKey(Task, models.CASCADE, null=True, related_name="hidings")
    until = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now())

    objects = HidingQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "user", "category"], name="one_hiding_per_person_and_category")
        ]

    def __str__(self) -> str:
        return f"{self.category} hidden from {self.user_id} until {self.until}"


class SlotQuerySet(models.QuerySet["Slot"]):
    def visible_to(self, user: User) -> SlotQuerySet:
        return self.filter(queue__project__in=projects_of(user))


class Slot(models.Model):
    """One wanted answer. token is bound to the person who leases it and useless without their log-in.

    reserved_for: the only person who may claim it, where an answer was returned to its author. extra: one that opened
    as answers disagreed; numbers of agreement leave it out, since only contested tasks have it.
    """

    class Status(models.TextChoices):
        OPEN = "open"
        LEASED = "leased"
        DONE = "done"
        VOID = "void"

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    task = models.ForeignKey(Task, models.CASCADE, related_name="slots")
    queue = models.ForeignKey(Queue, models.CASCADE, related_name="slots")
    ordinal = models.PositiveSmallIntegerField()
    extra = models.BooleanField(default=False, db_default=False)
    status = models.CharField(max_length=6, choices=Status.choices, default=Status.OPEN)
    user = models.ForeignKey(User, models.PROTECT, null=True, related_name="slots")
    reserved_for = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    token = models.CharField(max_length=43, null=True)  # noqa: DJ001 null is "not leased"
    leased_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    shown_at = models.DateTimeField(null=True)
    first_input_at = models.DateTimeField(null=True)
    priority = models.SmallIntegerField(default=0)
    admit_seq = models.BigIntegerField()

    objects = SlotQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task", "ordinal"], name="one_slot_per_task_and_ordinal"),
            models.UniqueConstraint(
                fields=["task", "user"],
                condition=Q(status__in=["leased", "done"]),
                name="one_person_holds_one_slot_a_task",
            ),
            models.UniqueConstraint(
                fields=["queue", "user"], condition=Q(status="leased"), name="one_lease_per_queue_and_person"
            ),
            models.CheckConstraint(
                condition=~Q(status="leased") | Q(user__isnull=False, token__isnull=False, lease_until__isnull=False),
                name="a_lease_has_person_token_and_end",
            ),
            models.CheckConstraint(
                condition=~Q(status="done") | Q(user__isnull=False), name="a_done_slot_has_a_person"
            ),
        ]
        indexes = [
            models.Index(
                "queue",
                models.F("priority").desc(),
                "admit_seq",
                "ordinal",
                condition=Q(status="open"),
                name="slot_next_open",
            ),
            models.Index(fields=["queue", "-leased_at"], name="slot_recently_leased"),
            models.Index(fields=["queue", "lease_until"], condition=Q(status="leased"), name="slot_next_expired"),
        ]

    def __str__(self) -> str:
        return f"slot {self.ordinal} of task {self.task_id}: {self.status}"


class LeaseEvent(models.Model):
    """Who held a slot, from when to when, and how it ended. Append-only: one row, written at the end of a lease."""

    class Ending(models.TextChoices):
        SUBMITTED = "submitted"
        RELEASED = "released"
        SKIPPED = "skipped"
        EXPIRED = "expired"
        TAKEN = "taken"

    slot = models.ForeignKey(Slot, models.PROTECT, related_name="lease_events")
    user = models.ForeignKey(User, models.PROTECT, related_name="+")
    token_sha256 = models.CharField(max_length=64)
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField()
    ending = models.CharField(max_length=9, choices=Ending.choices)

    def __str__(self) -> str:
        return f"{self.user_id} held slot {self.slot_id}: {self.ending}"
