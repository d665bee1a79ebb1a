"""What the operations of annotate take: shape only. What is true of the values, actions decide."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from typing import Any

from rest_framework import serializers

from annotate import flags
from annotate.actions import add_queue, create_project
from annotate.actions.fill_queue import MOST as MOST_FILLED
from annotate.api.operations import Strict
from annotate.api.paging import OfProject
from annotate.cleaning.thresholds import Thresholds
from annotate.learning.quiz import DRAWN
from annotate.models import Card, CardReview, Exclusion, Import, Presentation, Queue, Role, Source, Text, Token, User
from annotate.qualification import FEWEST_RIGHT, MARK
from annotate.qualification import SETTING as ASK_QUIZ

THRESHOLDS = {item.name: item for item in fields(Thresholds)}
LONGEST_MS = 86_400_000 * 7
LEAST_DAYS, MOST_DAYS = 1, 366
MOST_PREVIEW = 20_000
SUBMITTED, TIMED = {"token", "body", "times"}, {"active_ms", "hidden_ms", "by"}
LEASE_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,43}")
POINTERS = (None, *Presentation.Pointer.values)


class MeChangeIn(Strict):
    theme = serializers.ChoiceField(User.Theme.choices, required=False)
    text_size = serializers.ChoiceField(User.Size.choices, required=False, help_text="In percent.")
    keys_on = serializers.BooleanField(required=False)
    choice_sends = serializers.BooleanField(required=False, help_text="Between two answers the choice is sent at once.")
    explain_depth = serializers.ChoiceField(User.Depth.choices, required=False)


class ProjectIn(Strict):
    name = serializers.CharField(max_length=80)


class ProjectSettings(serializers.DictField):
    """Settings of a project: limits of the detectors, by their names; ask_quiz: true asks assessors to pass the quiz;
    quiz_pass: of its 8 answers so many must be right.
    """

    child = serializers.FloatField(min_value=0, max_value=1_000_000)

    def to_internal_value(self, data: Any) -> dict[str, float]:  # Any: whatever came
        found: dict[str, float] = super().to_internal_value(data)
        unknown = sorted(set(found) - {*THRESHOLDS, ASK_QUIZ, MARK})
        if unknown:
            sentence = f"Not known here; allowed: {', '.join([*THRESHOLDS, ASK_QUIZ, MARK])}."
            raise serializers.ValidationError({unknown[0]: [sentence]}, code="unknown_field")
        return {name: self._number(name, value) for name, value in found.items()}

    def _number(self, name: str, value: float) -> float:
        if name == ASK_QUIZ:
            if value not in (0, 1):
                raise serializers.ValidationError({name: ["It must be true or false."]})
            return bool(value)
        if name == MARK:
            if value not in range(FEWEST_RIGHT, DRAWN + 1):
                sentence = f"It must be a whole number, {FEWEST_RIGHT} to {DRAWN}."
                raise serializers.ValidationError({name: [sentence]})
            return int(value)
        whole = isinstance(THRESHOLDS[name].default, int)
        if not whole and value > 1:
            raise serializers.ValidationError({name: ["It must be from 0 to 1."]})
        return int(value) if whole else value


class ProjectChangeIn(Strict):
    name = serializers.CharField(max_length=80, required=False)
    settings = ProjectSettings(required=False)


class MemberIn(Strict):
    project = serializers.UUIDField()
    name = serializers.CharField(max_length=40, help_text="The person's log-in name.")
    role = serializers.ChoiceField(Role.choices)


class GuidelineIn(Strict):
    project = serializers.UUIDField()
    body = serializers.CharField(max_length=Text.MAX_BYTES, help_text="Markdown.")
    major = serializers.BooleanField(
        required=False, default=False, help_text="Each person accepts it before their next task."
    )


class AcceptIn(Strict):
    project = serializers.UUIDField()
    version = serializers.IntegerField(min_value=1, max_value=1_000_000)


class TokenIn(Strict):
    name = serializers.CharField(max_length=80)
    scopes = serializers.ListField(child=serializers.ChoiceField(Token.Scope.choices), min_length=1, max_length=4)
    days = serializers.IntegerField(min_value=LEAST_DAYS, max_value=MOST_DAYS)


def _axes() -> serializers.ListField:
    axis = serializers.ChoiceField(create_project.ALL_AXES)
    return serializers.ListField(child=axis, max_length=len(create_project.ALL_AXES), required=False)


def _flags() -> serializers.ListField:
    sentence = f"Asked for each answer: {', '.join(flags.DEFAULT)}, or your own, as x_name."
    return serializers.ListField(
        child=serializers.CharField(max_length=40), max_length=flags.MOST, required=False, help_text=sentence
    )


class QueueIn(Strict):
    project = serializers.UUIDField()
    kind = serializers.ChoiceField(list(add_queue.ASKS))
    name = serializers.CharField(max_length=80)


class QueueChangeIn(Strict):
    name = serializers.CharField(max_length=80, required=False)
    overlap = serializers.IntegerField(min_value=1, max_value=9, required=False)
    overlap_max = serializers.IntegerField(
        min_value=1, max_value=9, required=False, allow_null=True, help_text="Answers wanted where people disagree."
    )
    lease_minutes = serializers.IntegerField(min_value=5, max_value=60, required=False)
    intake_cap = serializers.IntegerField(min_value=1, max_value=1_000_000, required=False, allow_null=True)
    priority = serializers.IntegerField(min_value=-100, max_value=100, required=False)
    axes = _axes()
    required_axes = _axes()
    flags = _flags()
    critique_least = serializers.IntegerField(
        min_value=0,
        max_value=1_000,
        required=False,
        allow_null=True,
        help_text="Own characters of a critique beside an overall rating of 3 or less; null asks for no critique.",
    )
    better = serializers.BooleanField(required=False, help_text="Whether people may write a better answer.")
    partial = serializers.BooleanField(  # type: ignore[assignment]  # the API's name
        required=False, help_text="Whether a ranking may leave answers unplaced."
    )
    line_required = serializers.BooleanField(required=False, help_text="Whether a ranking must say what is acceptable.")
    instruction = serializers.BooleanField(
        required=False, help_text="Of a queue to write: whether people write the instruction too."
    )
    closed = serializers.BooleanField(required=False, help_text="A closed queue gives no tasks.")


class FillIn(Strict):
    most = serializers.IntegerField(
        min_value=1,
        max_value=MOST_FILLED,
        required=False,
        help_text="Tasks; where the queue asks for instructions, as many, and it must be said.",
    )


class HeartbeatIn(Strict):
    token = serializers.CharField(max_length=43)
    active = serializers.BooleanField(help_text="Whether there was input in the last 5 minutes.")


class ReleaseIn(Strict):
    token = serializers.CharField(max_length=43)


class SkipIn(Strict):
    token = serializers.CharField(max_length=43)
    reason = serializers.ChoiceField(Exclusion.Skip.choices)
    note = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")
    hide = serializers.ListField(
        child=serializers.CharField(max_length=40),
        max_length=20,
        required=False,
        default=list,
        help_text="With upsetting: categories of the task's evidence `unsafe`, not given to me until my day ends.",
    )
    hide_until = serializers.DateTimeField(
        required=False, allow_null=True, default=None, help_text="When my day ends; null is midnight UTC."
    )


class HideIn(Strict):
    project = serializers.UUIDField()
    category = serializers.CharField(max_length=40)
    until = serializers.DateTimeField(allow_null=True, help_text="When my day ends; null is midnight UTC.")


class TimesIn(Strict):
    active_ms = serializers.IntegerField(min_value=0, max_value=LONGEST_MS, allow_null=True)
    hidden_ms = serializers.IntegerField(min_value=0, max_value=LONGEST_MS, allow_null=True)
    by = serializers.ChoiceField(Presentation.Pointer.choices, allow_null=True)


class SubmitIn(Strict):
    token = serializers.CharField(max_length=43)
    body = serializers.JSONField(help_text="The answer, in letters; its form follows from the kind of task.")
    times = TimesIn()


def ordinary_submit(data: object) -> dict[str, Any] | None:
    """What SubmitIn makes of the data, where that is the data itself; None where SubmitIn itself must look."""
    if not isinstance(data, dict) or data.keys() != SUBMITTED or data["body"] is None:
        return None
    token, times = data["token"], data["times"]
    if not isinstance(token, str) or not LEASE_TOKEN.fullmatch(token):
        return None
    if not isinstance(times, dict) or times.keys() != TIMED or times["by"] not in POINTERS:
        return None
    spent = (times["active_ms"], times["hidden_ms"])
    whole = all(ms is None or (type(ms) is int and 0 <= ms <= LONGEST_MS) for ms in spent)
    return data if whole else None


class EditIn(Strict):
    body = serializers.JSONField(help_text="The whole answer, in the letters that I saw.")
    times = TimesIn(required=False, default={"active_ms": None, "hidden_ms": None, "by": "api"})


class DraftIn(Strict):
    body = serializers.DictField(help_text="Whatever the screen needs to come back as it was.")


class SourceIn(Strict):
    project = serializers.UUIDField()
    name = serializers.CharField(max_length=200)
    kind = serializers.ChoiceField(Source.Kind.choices, required=False, default=Source.Kind.API)
    address = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")
    licence = serializers.CharField(max_length=200, required=False, default="unknown")
    note = serializers.CharField(max_length=2_000, required=False, allow_blank=True, default="")


class ColumnsField(serializers.CharField):
    """A small JSON object in a form's field."""

    def __init__(self, **options: Any) -> None:  # Any: DRF's own options
        super().__init__(max_length=500, **options)

    def to_internal_value(self, data: Any) -> dict[str, object]:  # type: ignore[override]  # an object, from text
        try:
            found = json.loads(super().to_internal_value(data))
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise serializers.ValidationError("It must be a JSON object.")
        return found


class ImportIn(Strict):
    project = serializers.UUIDField()
    source = serializers.CharField(max_length=200, help_text="The source's name; it is made where it is new.")  # type: ignore[assignment]  # the API's name
    licence = serializers.CharField(max_length=200, required=False, help_text="Of a new source.")
    what = serializers.ChoiceField(Import.What.choices, required=False, default=Import.What.DOCUMENTS)
    format = serializers.ChoiceField(
        Import.Format.choices, required=False, default="", help_text="Left out: by the ending of the file's name."
    )
    ask = serializers.BooleanField(required=False, default=False, help_text="Prompts only: ask people to answer them.")
    go_on = serializers.BooleanField(required=False, default=False, help_text="However many rows are refused.")
    encoding = serializers.CharField(max_length=40, required=False)
    fields = ColumnsField(required=False, help_text='Columns by role, as JSON: {"instruction": "question"}.')  # type: ignore[assignment]  # the API's name
    file = serializers.FileField(allow_empty_file=True, max_length=500, help_text="At most 1 GB.")


class TextsQuery(OfProject):
    kind = serializers.ChoiceField(Text.Kind.choices, required=False)
    source = serializers.UUIDField(required=False)  # type: ignore[assignment]  # the API's name


class PreviewIn(Strict):
    text = serializers.CharField(
        max_length=MOST_PREVIEW, trim_whitespace=False, allow_blank=True, help_text="Markdown."
    )
    slot = serializers.UUIDField(required=False, help_text="Of the task that it is written for: asks for notices.")
    instruction = serializers.CharField(
        max_length=MOST_PREVIEW,
        required=False,
        default="",
        trim_whitespace=False,
        allow_blank=True,
        help_text="What I type above it, where the task asks for an instruction.",
    )


class ImportsQuery(OfProject):
    state = serializers.ChoiceField(Import.State.choices, required=False)


class QueuesQuery(OfProject):
    kind = serializers.ChoiceField(Queue.Kind.choices, required=False)


class JudgementsQuery(OfProject):
    queue = serializers.UUIDField(required=False)
    counted = serializers.BooleanField(required=False, help_text="false: surplus answers only.")


class TasksQuery(OfProject):
    which = serializers.ChoiceField(["parked", "disputed"])


class PauseIn(Strict):
    queue = serializers.UUIDField()
    person = serializers.CharField(max_length=40, help_text="A pseudonym.")
    note = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")


class ObjectIn(Strict):
    token = serializers.CharField(max_length=43)
    reason = serializers.CharField(max_length=2_000)


class DecideIn(Strict):
    stands = serializers.BooleanField(help_text="False accepts the answer as it is.")
    note = serializers.CharField(
        max_length=2_000, required=False, allow_blank=True, default="", help_text="Needed where the return stands."
    )


class WithdrawIn(Strict):
    note = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")


class LiveQuery(Strict):
    after = serializers.CharField(required=False, max_length=200, help_text="The cursor of the answer before.")


class DeckQuery(Strict):
    project = serializers.UUIDField()


class LearnTextQuery(DeckQuery):
    depth = serializers.ChoiceField(User.Depth.choices)


class CardReviewIn(Strict):
    project = serializers.UUIDField()
    card = serializers.CharField(max_length=80, help_text="`key` of the card.")
    number = serializers.IntegerField(min_value=1, max_value=1_000_000, help_text="As the card came with it.")
    rating = serializers.ChoiceField(CardReview.Rating.choices, help_text="1 again, 2 hard, 3 good, 4 easy.")
    ms = serializers.IntegerField(
        min_value=0, max_value=LONGEST_MS, required=False, allow_null=True, default=None, help_text="From showing on."
    )


class CardIn(Strict):
    project = serializers.UUIDField()
    front = serializers.CharField(max_length=Card.MOST)
    back = serializers.CharField(max_length=Card.MOST)
    example = serializers.CharField(max_length=Card.MOST, required=False, allow_blank=True, default="")


class QuizAnswerIn(Strict):
    number = serializers.IntegerField(min_value=1, max_value=100, help_text="Of the question, from 1.")
    option = serializers.IntegerField(min_value=0, max_value=100, help_text="Its place, from 0.")
