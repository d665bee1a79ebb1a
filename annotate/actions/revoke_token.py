"""Revoke a personal key to the API, take that back, and let go of keys that were revoked for good."""

from __future__ import annotations

from datetime import timedelta

from annotate.errors import AnnotateError
from annotate.models import Token
from annotate.queue import clock

KEPT = timedelta(days=7)


def revoke_token(*, token: Token) -> None:
    """It opens nothing from now on."""
    Token.objects.standing().filter(pk=token.pk).update(revoked_at=clock())


def restore_token(*, token: Token) -> None:
    """The same key opens again, until the end that it had. Raises AnnotateError 409 with code revoked after a week."""
    if not Token.objects.filter(pk=token.pk, revoked_at__gt=clock() - KEPT).update(revoked_at=None):
        raise AnnotateError("revoked", "A token comes back within 7 days only; make a new one.", status=409)


def forget_tokens() -> int:
    """Remove those that were revoked over a week ago; how many."""
    return Token.objects.filter(revoked_at__lt=clock() - KEPT).delete()[0]
