"""A project's deck of cards and what of it one person gets now: what is due, then what is new, within a day's measure.

The deck holds each term of the glossary in both directions, then the cards that reviewers of the project added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from annotate.explaining import language
from annotate.learning import glossary
from annotate.learning.schedule import LEARNING
from annotate.learning.texts import STAGES
from annotate.models import Card, CardState, Project, User

NEW_A_DAY = 10
DUE_A_DAY = 50
AHEAD = timedelta(minutes=20)  # a card that one is learning may come this early, rather than leave one waiting


@dataclass(frozen=True)
class Face:
    """What stands on a card. key: `term/<slug>/means`, `term/<slug>/is` or `own/<uuid>`. term: its slug, or empty."""

    key: str
    front: str
    back: str
    example: str
    aid: str
    term: str

    @property
    def shown(self) -> str:
        """A hash of what the person learns: another one marks the card as changed."""
        return sha256(f"{self.front}\n{self.back}\n{self.example}".encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Hand:
    """What a person gets now. face: the next card, None where there is nothing to do until next_at.

    due: cards left for today, the new ones among them counted in new. number: of the review that comes next.
    changed: the card says something else than when it was last reviewed.
    """

    face: Face | None
    due: int
    new: int
    number: int
    changed: bool
    next_at: datetime | None
    size: int


def faces(project: Project) -> Mapping[str, Face]:
    """The deck by key, in the order in which new cards come: as the stages follow each other. One query."""
    terms = sorted(glossary.terms(language()).values(), key=lambda one: STAGES.index(one.stage))
    found = [Face(f"term/{one.slug}/means", one.term, one.definition, one.example, one.aid, one.slug) for one in terms]
    found += [Face(f"term/{one.slug}/is", one.definition, one.term, one.example, one.aid, one.slug) for one in terms]
    own = Card.objects.filter(project=project, retired_at=None).order_by("pk")
    found += [Face(f"own/{one.uuid}", one.front, one.back, one.example, "", "") for one in own]
    return {face.key: face for face in found}


def hand(user: User, project: Project, *, at: datetime) -> Hand:
    """Two queries. A day begins at midnight UTC."""
    deck = faces(project)
    states = [one for one in CardState.objects.filter(user=user) if one.card in deck]
    today = at.replace(hour=0, minute=0, second=0, microsecond=0)
    due, later = _due(states, at=at, today=today)
    known = {one.card for one in states}
    unseen = [key for key in deck if key not in known]
    new = unseen[: max(0, NEW_A_DAY - sum(one.first_at >= today for one in states))]
    soon = [one for one in states if one.state in LEARNING and at < one.due_at <= at + AHEAD]
    key = next(iter([*(one.card for one in due), *new, *(one.card for one in _in_order(soon))]), None)
    state = next((one for one in states if one.card == key), None)
    return Hand(
        face=deck[key] if key else None,
        due=len(due) + len(new),
        new=len(new),
        number=state.reviews + 1 if state else 1,
        changed=bool(key and state and state.shown != deck[key].shown),
        next_at=_next_at(states, later=later or len(unseen) > len(new), at=at, today=today),
        size=len(deck),
    )


def _due(states: Iterable[CardState], *, at: datetime, today: datetime) -> tuple[list[CardState], bool]:
    """(the cards due now, those being learned first; whether the day's measure left some out)."""
    due = _in_order(one for one in states if one.due_at <= at)
    old = [one for one in due if one.last_at < today]
    seen = sum(one.first_at < today <= one.last_at for one in states)
    kept = {one.card for one in old[: max(0, DUE_A_DAY - seen)]}
    return [one for one in due if one.last_at >= today or one.card in kept], len(kept) < len(old)


def _in_order(states: Iterable[CardState]) -> list[CardState]:
    return sorted(states, key=lambda one: (one.state not in LEARNING, one.due_at, one.card))


def _next_at(states: Iterable[CardState], *, later: bool, at: datetime, today: datetime) -> datetime | None:
    """When the next card is due, after all that are due now; None where none will be."""
    tomorrow = [today + timedelta(days=1)] if later else []
    return min([*(one.due_at for one in states if one.due_at > at), *tomorrow], default=None)
