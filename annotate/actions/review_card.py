"""Record how well a person remembered a card, and when it comes again."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from annotate.deck import faces
from annotate.errors import AnnotateError
from annotate.learning import schedule
from annotate.learning.schedule import Memory
from annotate.models import CardReview, CardState, Project, User


@transaction.atomic
def review_card(
    *, user: User, project: Project, card: str, number: int, rating: int, at: datetime, ms: int | None
) -> CardState:
    """The state after the rating. number: of this review of this card, so that a form sent twice counts once.

    Raises AnnotateError with code
        unknown_card      it is not, or no longer, in the project's deck
        bad_rating        not 1 to 4
        already_reviewed  the person's last review of the card has another number than number − 1
    """
    face = faces(project).get(card)
    if face is None:
        raise AnnotateError("unknown_card", "This card is not in the deck any more.", status=404)
    if rating not in CardReview.Rating.values:
        raise AnnotateError("bad_rating", f"{rating} was found; allowed: 1 to 4.", field="rating")
    before = CardState.objects.select_for_update().filter(user=user, card=card).first()
    if number != (before.reviews + 1 if before else 1):
        raise AnnotateError("already_reviewed", "This card was rated meanwhile.", status=409)
    memory = schedule.reviewed(memory_of(before) if before else None, rating=rating, at=at)
    review = CardReview.objects.create(
        user=user, card=card, number=number, rating=rating, at=at, ms=ms, shown=face.shown, library=schedule.library()
    )
    return keep(review, memory, first_at=before.first_at if before else at)


def memory_of(state: CardState) -> Memory:
    return Memory(state.state, state.step, state.stability_days, state.difficulty, state.due_at, state.last_at)


def keep(review: CardReview, memory: Memory, *, first_at: datetime) -> CardState:
    """The cached row says what replaying the reviews up to this one gives."""
    values = {
        "reviews": review.number,
        "state": memory.state,
        "step": memory.step,
        "stability_days": memory.stability_days,
        "difficulty": memory.difficulty,
        "due_at": memory.due_at,
        "first_at": first_at,
        "last_at": memory.last_at,
        "shown": review.shown,
    }
    state, _ = CardState.objects.update_or_create(user_id=review.user_id, card=review.card, defaults=values)
    return state
