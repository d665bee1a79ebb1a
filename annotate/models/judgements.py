"""What people answered. Revisions and presentations only append; "current" is a queryset, never a column."""

from __future__ import annotations

import uuid
from typing import Any  # bodies are JSON

from django.db import models
from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Now

from annotate.models.people import User, projects_of
from annotate.models.tasks import Slot, Task
from annotate.models.texts import Import


class JudgementQuerySet(models.QuerySet["Judgement"]):
    def with_current(self) -> JudgementQuerySet:
        """Adds current_id: the last revision's key."""
        newest = Revision.objects.filter(judgement=OuterRef("pk")).order_by("-number")
        return self.annotate(current_id=Subquery(newest.values("pk")[:1]))

    def visible_to(self, user: User) -> JudgementQuerySet:
        return self.filter(task__queue__project__in=projects_of(user))


class Judgement(models.Model):
    """One person's answer to one task. counted is false for surplus: kept and shown, outside targets and training.

    counted_by: the reviewer who let a surplus answer count. frozen_at: when a snapshot last took an answer of it.
    """

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    task = models.ForeignKey(Task, models.PROTECT, related_name="judgements")
    user = models.ForeignKey(User, models.PROTECT, null=True, related_name="judgements")
    imported = models.ForeignKey(Import, models.PROTECT, null=True, related_name="judgements")
    slot = models.ForeignKey(Slot, models.PROTECT, null=True, related_name="judgements")
    counted = models.BooleanField(default=True)
    counted_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    frozen_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())

    objects = JudgementQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["task", "user"], condition=Q(user__isnull=False), name="one_judgement_per_task_and_user"
            ),
            models.CheckConstraint(
                condition=Q(user__isnull=False) | Q(imported__isnull=False),
                name="a_judgement_has_a_person_or_an_import",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "-created_at"], name="judgement_newest_of_user"),
            models.Index(fields=["id"], condition=Q(slot=None, user__isnull=False), name="judgement_surplus"),
            models.Index(fields=["task"], condition=Q(counted=False), name="judgement_count_surplus"),
        ]

    def __str__(self) -> str:
        return f"judgement of task {self.task_id} by {self.user_id}"


class RevisionQuerySet(models.QuerySet["Revision"]):
    def current(self) -> RevisionQuerySet:
        """The last revision of each judgement, where that is an answer and not a taking back."""
        newest = Revision.objects.filter(judgement=OuterRef("judgement")).order_by("-number").values("pk")[:1]
        return self.filter(pk=Subquery(newest), kind__in=Revision.ANSWERS)

    def counted(self) -> RevisionQuerySet:
        return self.current().filter(judgement__counted=True)


class Revision(models.Model):
    """One saved version of an answer. body is in server form: text ids, never letters; null is "not answered".

    by: who made this version, where that is not the judge; note: why it was withdrawn.
    """

    class Kind(models.TextChoices):
        SUBMIT = "submit"
        EDIT = "edit"
        UNDO = "undo"
        WITHDRAW = "withdraw"

    ANSWERS = ["submit", "edit"]

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    judgement = models.ForeignKey(Judgement, models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField()
    kind = models.CharField(max_length=8, choices=Kind.choices)
    body = models.JSONField(null=True)
    sha256 = models.CharField(max_length=64)
    guideline_version = models.PositiveIntegerField(null=True)
    queue_settings_version = models.PositiveIntegerField()
    app_version = models.CharField(max_length=40)
    by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    note = models.CharField(max_length=500, null=True)  # noqa: DJ001 null is "nothing to say": most rows
    created_at = models.DateTimeField(db_default=Now())

    objects = RevisionQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["judgement", "number"], name="one_revision_per_number")]
        indexes = [models.Index(fields=["judgement"], condition=Q(kind="undo"), name="revision_count_undos")]

    def __str__(self) -> str:
        return f"{self.kind} {self.number} of judgement {self.judgement_id}"

    @property
    def answer(self) -> dict[str, Any]:
        """The body of a revision that is an answer."""
        assert self.body is not None  # only a taking back has none
        return dict(self.body)


class Presentation(models.Model):
    """How the task looked to the person who answered, written at submit.

    order: text ids as shown; letters A, B … follow it. active_ms: visible tab, input within 60 s.
    """

    class Pointer(models.TextChoices):
        KEYBOARD = "keyboard"
        POINTER = "pointer"
        API = "api"

    revision = models.OneToOneField(Revision, models.PROTECT, related_name="presentation")
    order = models.JSONField()
    seed = models.CharField(max_length=64)
    payload_sha256 = models.CharField(max_length=64)
    shown_at = models.DateTimeField(null=True)
    first_input_at = models.DateTimeField(null=True)
    submitted_at = models.DateTimeField(db_default=Now())
    active_ms = models.PositiveBigIntegerField(null=True)
    hidden_ms = models.PositiveBigIntegerField(null=True)
    by = models.CharField(max_length=8, choices=Pointer.choices, null=True)  # noqa: DJ001 null is "not known"

    def __str__(self) -> str:
        return f"presentation of revision {self.revision_id}"


class ObjectionQuerySet(models.QuerySet["Objection"]):
    def waiting(self) -> ObjectionQuerySet:
        return self.filter(decided_at=None)


class Objection(models.Model):
    """The author of a returned answer says why it should stand as it is; a reviewer who did not return it decides.

    task: to write the answer again, put aside until then; it follows the return. stands: what was decided, that the
    return does. decision: the acceptance that takes its place, where it does not. note: of the reviewer, to the author.
    """

    MOST = 2_000

    uuid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    task = models.OneToOneField(Task, models.PROTECT, related_name="objection")
    user = models.ForeignKey(User, models.PROTECT, related_name="objections")
    reason = models.CharField(max_length=MOST)
    created_at = models.DateTimeField(db_default=Now())
    stands = models.BooleanField(null=True)
    decided_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    decided_at = models.DateTimeField(null=True)
    decision = models.OneToOneField(Judgement, models.PROTECT, null=True, related_name="+")
    note = models.CharField(max_length=MOST, blank=True)

    objects = ObjectionQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["id"], condition=Q(decided_at=None), name="objection_waiting")]

    def __str__(self) -> str:
        return f"{self.user_id} objects to the return behind task {self.task_id}"


class Draft(models.Model):
    """What a person has typed and not sent; goes at submit. version answers If-Match."""

    slot = models.ForeignKey(Slot, models.CASCADE, related_name="drafts")
    user = models.ForeignKey(User, models.CASCADE, related_name="drafts")
    body = models.JSONField()
    version = models.PositiveIntegerField(default=1)
    saved_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["slot", "user"], name="one_draft_per_slot_and_user")]

    def __str__(self) -> str:
        return f"draft {self.version} for slot {self.slot_id}"


class SubmitKey(models.Model):
    """An Idempotency-Key and the reply that it got; lives 7 days."""

    user = models.ForeignKey(User, models.CASCADE, related_name="submit_keys")
    key = models.CharField(max_length=80)
    body_sha256 = models.CharField(max_length=64)
    reply = models.JSONField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "key"], name="one_reply_per_user_and_key")]
        indexes = [models.Index(F("created_at"), name="submit_key_oldest")]

    def __str__(self) -> str:
        return self.key


class ErasureOpen(models.Model):
    """While this table holds a row the append-only triggers let changes pass, inside that row's transaction."""

    opened_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "erasure_open"

    def __str__(self) -> str:
        return str(self.opened_at)
