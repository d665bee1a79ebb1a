"""What people said of single answers, for the card of a snapshot that holds these. No stage learns from a rating."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

from annotate.models import Queue, Revision, TaskText


class Rated(TypedDict):
    """overall: the mean of the ratings that said it, 1 to 7; None where none did."""

    ratings: int
    overall: float | None


def of_answers(text_ids: Iterable[int]) -> Rated:
    """The counted ratings of these answers. One query a thousand texts."""
    ordered = sorted(text_ids)
    count, said = 0, []
    for start in range(0, len(ordered), 1_000):
        tasks = TaskText.objects.filter(part=TaskText.Part.ANSWER, text__in=ordered[start : start + 1_000])
        found = Revision.objects.counted().filter(
            judgement__task__queue__kind=Queue.Kind.RATE, judgement__task__in=tasks.values("task")
        )
        bodies = [revision.answer for revision in found]
        count += len(bodies)
        said += [body["overall"] for body in bodies if body["overall"] is not None]
    return {"ratings": count, "overall": round(sum(said) / len(said), 3) if said else None}
