"""Forget what a person has typed and not sent."""

from __future__ import annotations

from annotate.models import Draft, Slot, User


def discard_draft(*, slot: Slot, by: User) -> None:
    """Nothing where there is no draft."""
    Draft.objects.filter(slot=slot, user=by).delete()
