"""Put a card into a project's deck, or take one out of it and back."""

from __future__ import annotations

from django.utils.timezone import now

from annotate.errors import AnnotateError
from annotate.models import Card, Project, User


def add_card(*, project: Project, front: str, back: str, example: str, by: User) -> Card:
    """The card. Raises AnnotateError with code bad_card and the field at fault."""
    given = {"front": front.strip(), "back": back.strip(), "example": example.strip()}
    for name, text in given.items():
        if len(text) > Card.MOST or (not text and name != "example"):
            low = 0 if name == "example" else 1
            sentence = f"{len(text):,} characters were found; allowed: {low} to {Card.MOST}."
            raise AnnotateError("bad_card", sentence, field=name)
    return Card.objects.create(project=project, added_by=by, **given)


def retire_card(*, card: Card) -> None:
    """Nobody gets it any more; what people reviewed stays."""
    Card.objects.filter(pk=card.pk, retired_at=None).update(retired_at=now())


def restore_card(*, card: Card) -> None:
    Card.objects.filter(pk=card.pk).update(retired_at=None)
