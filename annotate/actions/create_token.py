"""Make a personal key to the API."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta

from django.utils.timezone import now

from annotate.errors import AnnotateError
from annotate.models import Token, User

MOST_DAYS = 366
MOST_NAME = 80
SHOWN = 10


def create_token(*, user: User, name: str, scopes: Sequence[str], days: int) -> tuple[Token, str]:
    """The token and its key, which is `ts_` and 43 characters, and stored nowhere.

    Raises AnnotateError with code bad_token, and the field at fault.
    """
    if not 0 < len(name.strip()) <= MOST_NAME:
        raise AnnotateError("bad_token", f"A token's name has 1 to {MOST_NAME} characters.", field="name")
    if not scopes or any(scope not in Token.Scope.values for scope in scopes):
        raise AnnotateError("bad_token", f"scopes are some of {', '.join(Token.Scope.values)}.", field="scopes")
    if not 0 < days <= MOST_DAYS:
        raise AnnotateError("bad_token", f"A token lives 1 to {MOST_DAYS} days.", field="days")
    key = "ts_" + secrets.token_urlsafe(32)
    token = Token.objects.create(
        user=user,
        name=name.strip(),
        sha256=Token.digest(key),
        prefix=key[:SHOWN],
        scopes=[scope for scope in Token.Scope.values if scope in scopes],
        expires_at=now() + timedelta(days=days),
    )
    return token, key
