"""What the operations of annotate answer with: allow-lists. A column that is not named here leaves by no answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rest_framework import serializers

from annotate.actions.notices import OF_ANSWER, OF_INSTRUCTION
from annotate.models import Import, Objection, Queue, QueuePause, Revision, Role, Source, Task, Text, Token, User


class Out(serializers.Serializer):  # type: ignore[type-arg]  # of rows and dataclasses alike
    """What is named here, and nothing else."""

    @classmethod
    def all_of(cls, found: Iterable[Any]) -> list[dict[str, Any]]:  # Any: rows of any model, as JSON
        return list(cls(list(found), many=True).data)


class RowOut(Out):
    """A row: its `id` here is its uuid."""

    id = serializers.UUIDField(source="uuid")


class MembershipOut(Out):
    project = serializers.UUIDField(source="project.uuid")
    name = serializers.CharField(source="project.name")
    role = serializers.ChoiceField(Role.choices)


class MeOut(RowOut):
    name = serializers.CharField()
    scripted = serializers.BooleanField()
    theme = serializers.ChoiceField(User.Theme.choices)
    text_size = serializers.ChoiceField(User.Size.choices, help_text="In percent.")
    keys_on = serializers.BooleanField()
    choice_sends = serializers.BooleanField()
    explain_depth = serializers.ChoiceField(User.Depth.choices)
    memberships = serializers.SerializerMethodField()

    def get_memberships(self, user: User) -> list[dict[str, Any]]:  # Any: JSON values
        rows = user.memberships.select_related("project").order_by("pk")
        return MembershipOut.all_of(rows)


class ProjectOut(RowOut):
    name = serializers.CharField()
    settings = serializers.DictField(child=serializers.FloatField())
    created_at = serializers.DateTimeField()


class MemberOut(RowOut):
    name = serializers.CharField(source="user.name")
    scripted = serializers.BooleanField(source="user.scripted")
    role = serializers.ChoiceField(Role.choices)
    created_at = serializers.DateTimeField()


class GuidelineOut(Out):
    version = serializers.IntegerField()
    major = serializers.BooleanField(help_text="Whether each person accepts it before their next task.")
    body = serializers.CharField()
    created_at = serializers.DateTimeField()


class AcceptedOut(Out):
    version = serializers.IntegerField(source="guideline.version")
    created_at = serializers.DateTimeField()


class PauseOut(RowOut):
    queue = serializers.UUIDField(source="queue.uuid")
    person = serializers.SerializerMethodField(help_text="A pseudonym.")
    note = serializers.CharField()
    created_at = serializers.DateTimeField()

    def get_person(self, pause: QueuePause) -> str:
        return pause.user.pseudonym(pause.queue.project)


class ObjectionOut(RowOut):
    queue = serializers.UUIDField(source="task.queue.uuid")
    person = serializers.SerializerMethodField(help_text="The author's pseudonym.")
    reason = serializers.CharField()
    stands = serializers.BooleanField(allow_null=True, help_text="Whether the return does; null: not decided.")
    note = serializers.CharField()
    created_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)

    def get_person(self, objection: Objection) -> str:
        return objection.user.pseudonym(objection.task.queue.project)


class SkippedOut(Out):
    reason = serializers.CharField()
    people = serializers.IntegerField()


class ContestedOut(Out):
    id = serializers.UUIDField()
    queue = serializers.UUIDField()
    kind = serializers.ChoiceField(Queue.Kind.choices)
    state = serializers.ChoiceField(Task.State.choices)
    disputed = serializers.BooleanField()
    about = serializers.CharField(help_text="The beginning of its document or prompt.")
    skips = SkippedOut(many=True)
    notes = serializers.ListField(child=serializers.CharField(), help_text="Of those who skipped it.")
    answers = serializers.IntegerField(help_text="That stand and count.")


class TokenOut(RowOut):
    name = serializers.CharField()
    prefix = serializers.CharField()
    scopes = serializers.ListField(child=serializers.ChoiceField(Token.Scope.choices))
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True)


class NewTokenOut(TokenOut):
    key = serializers.CharField(help_text="Shown this once.")


class QueueOut(RowOut):
    kind = serializers.ChoiceField(Queue.Kind.choices)
    name = serializers.CharField()
    overlap = serializers.IntegerField()
    overlap_max = serializers.IntegerField(allow_null=True, help_text="Answers wanted where people disagree.")
    lease_minutes = serializers.IntegerField()
    intake_cap = serializers.IntegerField(allow_null=True)
    priority = serializers.IntegerField()
    axes = serializers.ListField(child=serializers.CharField())
    required_axes = serializers.ListField(child=serializers.CharField())
    flags = serializers.ListField(child=serializers.CharField())
    critique_least = serializers.IntegerField(allow_null=True, help_text="Null: no critique is asked.")
    better = serializers.BooleanField()
    partial = serializers.BooleanField()  # type: ignore[assignment]  # the API's name
    line_required = serializers.BooleanField(help_text="Whether acceptable_groups may not be null.")
    instruction = serializers.BooleanField(help_text="Of a queue to write: whether people write the instruction too.")
    settings_version = serializers.IntegerField()
    closed_at = serializers.DateTimeField(allow_null=True)
    waiting = serializers.IntegerField(help_text="Tasks that still want answers.")
    complete = serializers.IntegerField()
    parked = serializers.IntegerField(help_text="Tasks that three people skipped.")
    disputed = serializers.IntegerField(help_text="Tasks with all answers that are wanted, which disagree.")


class FilledOut(Out):
    made = serializers.IntegerField(help_text="Tasks; 1,000 are the most at a time.")


class RevisionOut(Out):
    number = serializers.IntegerField()
    kind = serializers.ChoiceField(Revision.Kind.choices)
    body = serializers.JSONField(allow_null=True, help_text="In the letters that the person saw.")
    guideline_version = serializers.IntegerField(allow_null=True)
    note = serializers.CharField(allow_null=True, help_text="Why an answer was withdrawn.")
    created_at = serializers.DateTimeField()


class JudgementOut(Out):
    id = serializers.UUIDField()
    queue = serializers.UUIDField()
    kind = serializers.ChoiceField(Queue.Kind.choices)
    by = serializers.CharField(help_text="A pseudonym; `me` for one's own.")
    counted = serializers.BooleanField()
    frozen_at = serializers.DateTimeField(allow_null=True, help_text="When a snapshot last took an answer of it.")
    created_at = serializers.DateTimeField()
    current = RevisionOut(allow_null=True, help_text="The answer that stands; null where it was taken back.")


class SourceOut(RowOut):
    name = serializers.CharField()
    kind = serializers.ChoiceField(Source.Kind.choices)
    address = serializers.CharField()
    licence = serializers.CharField()
    note = serializers.CharField()
    created_at = serializers.DateTimeField()


class ImportOut(RowOut):
    label = serializers.CharField(help_text="The file's name, as a label only.")  # type: ignore[assignment]  # the API's name
    source = serializers.UUIDField(source="source.uuid")  # type: ignore[assignment]  # the API's name
    what = serializers.ChoiceField(Import.What.choices)
    format = serializers.ChoiceField(Import.Format.choices)
    options = serializers.DictField()
    sha256 = serializers.CharField()
    size_bytes = serializers.IntegerField()
    state = serializers.ChoiceField(Import.State.choices)
    new = serializers.IntegerField()
    repeated = serializers.IntegerField()
    refused = serializers.IntegerField()
    failure = serializers.CharField()
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class DoneOut(Out):
    done = serializers.FloatField()
    total = serializers.FloatField()
    unit = serializers.CharField()
    eta_s = serializers.FloatField(allow_null=True)


class ImportLiveOut(Out):
    cursor = serializers.CharField()
    state = serializers.ChoiceField(Import.State.choices)
    progress = DoneOut()
    new = serializers.IntegerField()
    repeated = serializers.IntegerField()
    refused = serializers.IntegerField()
    failure = serializers.CharField()


class RefusalOut(Out):
    place = serializers.CharField()
    code = serializers.CharField()
    sentence = serializers.CharField()
    start = serializers.CharField()


class FlagOut(Out):
    detector = serializers.CharField()
    category = serializers.CharField()
    score = serializers.FloatField()
    start = serializers.IntegerField()
    end = serializers.IntegerField()
    reason = serializers.CharField()


class TextOut(RowOut):
    kind = serializers.ChoiceField(Text.Kind.choices)
    origin = serializers.ChoiceField(Text.Origin.choices)
    body = serializers.CharField()
    sha256 = serializers.CharField()
    parent = serializers.UUIDField(source="parent.uuid", allow_null=True, default=None)  # type: ignore[assignment]  # the API's name
    edited_from = serializers.UUIDField(source="edited_from.uuid", allow_null=True, default=None)
    split = serializers.CharField(source="group.split")
    source = serializers.CharField(source="source.name", allow_null=True, default=None)  # type: ignore[assignment]  # the API's name
    licence = serializers.CharField()
    address = serializers.CharField()
    language = serializers.CharField()
    created_at = serializers.DateTimeField()
    flags = FlagOut(many=True, source="live_flags")


class LinkedTermOut(Out):
    slug = serializers.CharField()
    term = serializers.CharField()
    definition = serializers.CharField()
    example = serializers.CharField()


class TextPreviewOut(Out):
    blocks = serializers.ListField(child=serializers.DictField(), help_text="As everybody else will see it.")
    notices = serializers.ListField(
        child=serializers.ChoiceField([*OF_ANSWER, *OF_INSTRUCTION]),
        help_text="Worth a look before it is sent, and no reason to refuse it: its length, another language than the "
        "prompt's, that an answer much like it exists, and, as `asked`, an instruction. Without `slot` none.",
    )


class TermOut(LinkedTermOut):
    aliases = serializers.ListField(child=serializers.CharField())
    aid = serializers.CharField(help_text="What helps to remember it.")
    stage = serializers.CharField()
    see = serializers.ListField(child=serializers.CharField())


class ExplainedOut(Out):
    stage = serializers.CharField()
    title = serializers.CharField()
    version = serializers.IntegerField()
    depth = serializers.ChoiceField(User.Depth.choices)
    blocks = serializers.ListField(child=serializers.DictField())
    terms = LinkedTermOut(many=True, help_text="Those that the text links to.")


class FaceOut(Out):
    key = serializers.CharField()
    front = serializers.CharField()
    back = serializers.CharField()
    example = serializers.CharField()
    aid = serializers.CharField()
    term = serializers.CharField(help_text="Its slug in the glossary, or empty.")


class HandOut(Out):
    card = FaceOut(source="face", allow_null=True, help_text="Null where nothing is due.")
    number = serializers.IntegerField(help_text="Goes back with the rating.")
    changed = serializers.BooleanField(help_text="Whether it says something else than when I last saw it.")
    due = serializers.IntegerField(help_text="Cards left for today.")
    new = serializers.IntegerField(help_text="Of these, those that I never saw.")
    next_at = serializers.DateTimeField(allow_null=True)


class CardOut(RowOut):
    front = serializers.CharField()
    back = serializers.CharField()
    example = serializers.CharField()
    created_at = serializers.DateTimeField()


class QuizQuestionOut(Out):
    number = serializers.IntegerField()
    ask = serializers.CharField()
    options = serializers.ListField(child=serializers.CharField())
    chosen = serializers.IntegerField(allow_null=True)
    right = serializers.IntegerField(allow_null=True, help_text="The place of the right one; null until answered.")
    why = serializers.ListField(child=serializers.CharField(), help_text="One for each option; empty until answered.")
    term = serializers.CharField(allow_null=True)


class QuizOut(Out):
    id = serializers.UUIDField()
    version = serializers.CharField()
    right = serializers.IntegerField(allow_null=True, help_text="How many were right; null until all are answered.")
    questions = QuizQuestionOut(many=True)
