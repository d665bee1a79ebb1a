"""What the task loop answers with: a task as its one person sees it, and what comes of an answer. Allow-lists too."""

from __future__ import annotations

from rest_framework import serializers

from annotate.api.outputs import Out, RowOut
from annotate.models import Queue


class SpokenOut(Out):
    text = serializers.CharField()
    blocks = serializers.ListField(child=serializers.DictField())


class TurnOut(SpokenOut):
    role = serializers.ChoiceField(["user", "assistant"])


class LetteredOut(SpokenOut):
    letter = serializers.CharField()


class DocumentOut(Out):
    text = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]  # the API's name
    licence = serializers.CharField()
    language = serializers.CharField()
    words = serializers.IntegerField()
    address = serializers.CharField()


class DuplicateOut(Out):
    text = serializers.CharField()
    similarity = serializers.FloatField()
    lost = serializers.JSONField(allow_null=True)


class EvidenceOut(Out):
    id = serializers.CharField(help_text="Its place, from 1.")
    detector = serializers.CharField()
    category = serializers.CharField()
    score = serializers.FloatField()
    threshold = serializers.FloatField()
    reason = serializers.CharField()
    start = serializers.IntegerField(help_text="In code points.")
    end = serializers.IntegerField()
    covered = serializers.BooleanField(help_text="Whether a screen hides the span at first.")
    duplicate = DuplicateOut(allow_null=True)


class ReturnedOut(Out):
    reasons = serializers.ListField(child=serializers.CharField())
    comment = serializers.CharField()
    instruction = serializers.CharField(allow_null=True, help_text="Mine, to be changed too; null where it is not.")
    text = serializers.CharField()
    upheld = serializers.CharField(
        allow_null=True, help_text="What another reviewer says who lets it stand; null: its author has not objected."
    )


class WrongOut(Out):
    flags = serializers.ListField(child=serializers.CharField())
    axes = serializers.ListField(child=serializers.CharField(), help_text="Those that were rated low.")
    critique = serializers.CharField()


class TaskQueueOut(Out):
    id = serializers.UUIDField()
    name = serializers.CharField()


class ProgressOut(Out):
    done_today = serializers.IntegerField()
    left = serializers.IntegerField(help_text="1,000 stands for that many or more.")
    median_s = serializers.FloatField(allow_null=True)


class TaskOut(Out):
    """A task as its one person sees it: blind, in letters. Parts that its kind does not have are null or empty."""

    slot = serializers.UUIDField()
    token = serializers.CharField(allow_null=True, help_text="Sent back with the answer; null once it is given.")
    lease_until = serializers.DateTimeField(allow_null=True)
    why = serializers.CharField()
    queue = TaskQueueOut()
    guideline_version = serializers.IntegerField(allow_null=True)
    progress = ProgressOut()
    kind = serializers.ChoiceField(Queue.Kind.choices)
    prompt = TurnOut(many=True)
    document = DocumentOut(allow_null=True)
    evidence = EvidenceOut(many=True)
    answer = SpokenOut(allow_null=True)
    answers = LetteredOut(many=True)
    axes = serializers.ListField(child=serializers.CharField())
    required_axes = serializers.ListField(child=serializers.CharField())
    flags = serializers.ListField(child=serializers.CharField())
    critique_least = serializers.IntegerField(allow_null=True, help_text="Null: no critique is asked.")
    better = serializers.BooleanField()
    partial = serializers.BooleanField()  # type: ignore[assignment]  # the API's name
    line_required = serializers.BooleanField(help_text="Whether acceptable_groups may not be null.")
    instruction = serializers.BooleanField(help_text="Whether I write the prompt too; then `prompt` is empty.")
    pasted = serializers.CharField(
        allow_null=True, help_text="Where the writer of an answer under review says that they pasted from."
    )
    returned = ReturnedOut(allow_null=True)
    wrong = WrongOut(allow_null=True, help_text="Why an answer is to be repaired.")


class ClaimOut(Out):
    task = TaskOut(allow_null=True)
    cause = serializers.CharField(
        help_text="Why not: closed, paused, guideline, quiz, finished, leased, later, hidden, own_texts or others."
    )
    until = serializers.DateTimeField(allow_null=True)


class SubmitOut(Out):
    outcome = serializers.ChoiceField(["counted", "other_slot", "surplus"])
    judgement = serializers.UUIDField()
    sentence = serializers.CharField()
    next = ClaimOut()


class HiddenOut(RowOut):
    category = serializers.CharField()
    until = serializers.DateTimeField()


class NextOut(Out):
    next = ClaimOut()
    hidden = HiddenOut(many=True, help_text="What this skip hides from me.")


class UndoneOut(Out):
    task = TaskOut(allow_null=True, help_text="The task, leased again; null for surplus, for a change, or if lost.")


class LeaseOut(Out):
    lease_until = serializers.DateTimeField()


class DraftOut(Out):
    body = serializers.JSONField()
    version = serializers.IntegerField(help_text="Goes into If-Match.")
    saved_at = serializers.DateTimeField()
