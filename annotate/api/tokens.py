"""Sign-in of programs: `Authorization: Bearer ts_…`. DRF loads this before its views, so no view is imported here."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from django.db.models import Q
from django.utils.timezone import now
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from annotate.models import Token, User
from annotate.rows import Columns, run

SCHEME = "Bearer"
SEEN_S = 60  # last_used_at is written at most this often
TOKEN, USER = Columns(Token, "id", "user_id", "scopes", "last_used_at"), Columns(User)
LIVE = f"""
SELECT {TOKEN.of("t")}, {USER.of("u")} FROM annotate_token t JOIN annotate_user u ON u.id = t.user_id
WHERE t.sha256 = %s AND t.expires_at > %s AND t.revoked_at IS NULL AND u.is_active
"""


class TokenAuthentication(BaseAuthentication):
    """Who holds the key. An unknown, expired or revoked one, or one of a closed account, is refused with 401."""

    def authenticate(self, request: Request) -> tuple[User, Token] | None:
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != SCHEME.lower():
            return None
        token = _live(key.strip())
        if token is None:
            raise AuthenticationFailed("This token is unknown, expired or revoked.")
        _note_use(token)
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return SCHEME


def _live(key: str) -> Token | None:
    """The token of a key, with its user. One statement, as each request begins with it."""
    row = run(LIVE, [Token.digest(key), connection.ops.adapt_datetimefield_value(now())]).fetchone()
    if row is None:
        return None
    token = TOKEN.row(row[: len(TOKEN)])
    token.user = USER.row(row[len(TOKEN) :])
    return token


def _note_use(token: Token) -> None:
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now() - timedelta(seconds=SEEN_S))
    if token.last_used_at is None or token.last_used_at < now() - timedelta(seconds=SEEN_S):
        Token.objects.filter(stale, pk=token.pk).update(last_used_at=now())
