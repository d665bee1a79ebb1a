"""When a card comes again: FSRS, as the package `fsrs` computes it from the ratings in their order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import version

from fsrs import Card, Rating, Scheduler, State

RATINGS = (1, 2, 3, 4)  # again, hard, good, easy
LEARNING = (State.Learning.value, State.Relearning.value)


@dataclass(frozen=True)
class Memory:
    """What is known of one card in one head. state: of fsrs. stability_days: until recall falls to 90 %."""

    state: int
    step: int | None
    stability_days: float
    difficulty: float
    due_at: datetime
    last_at: datetime


def reviewed(before: Memory | None, *, rating: int, at: datetime) -> Memory:
    """The memory after one more rating; before is None at a card's first. at is in UTC."""
    card, _ = _scheduler().review_card(_card(before, at), Rating(rating), at)
    assert card.stability is not None  # every review sets them
    assert card.difficulty is not None
    return Memory(card.state.value, card.step, card.stability, card.difficulty, card.due, at)


def replayed(reviews: Iterable[tuple[int, datetime]]) -> Memory | None:
    """The memory after these (rating, at), first one first; None where there are none."""
    memory: Memory | None = None
    for rating, at in reviews:
        memory = reviewed(memory, rating=rating, at=at)
    return memory


@cache
def library() -> str:
    """What computed it, for the record."""
    return f"fsrs {version('fsrs')}"


@cache
def _scheduler() -> Scheduler:
    return Scheduler(desired_retention=0.9, enable_fuzzing=False)


def _card(memory: Memory | None, at: datetime) -> Card:
    if memory is None:
        return Card(card_id=0, due=at)
    return Card(
        card_id=0,
        state=State(memory.state),
        step=memory.step,
        stability=memory.stability_days,
        difficulty=memory.difficulty,
        due=memory.due_at,
        last_review=memory.last_at,
    )
