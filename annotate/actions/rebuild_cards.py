"""Replay all card reviews and write the states that they give."""

from __future__ import annotations

from itertools import groupby

from django.db import transaction

from annotate.actions.review_card import keep
from annotate.learning import schedule
from annotate.models import CardReview, CardState


@transaction.atomic
def rebuild_cards() -> int:
    """How many states there are now. One query for all reviews, two or three for each card of a person."""
    CardState.objects.all().delete()  # copies: what was reviewed stands in CardReview
    rows = CardReview.objects.order_by("user", "card", "number").iterator(chunk_size=2_000)
    count = 0
    for _, group in groupby(rows, key=lambda row: (row.user_id, row.card)):
        reviews = list(group)
        memory = schedule.replayed((row.rating, row.at) for row in reviews)
        assert memory is not None  # a group has a review
        keep(reviews[-1], memory, first_at=reviews[0].at)
        count += 1
    return count
