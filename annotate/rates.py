"""How often a person may ask, a minute; pages and API count together, by process of the web server."""

from __future__ import annotations

import time

from django.conf import settings
from django.core.cache import cache

from annotate.errors import AnnotateError
from annotate.models import User

MINUTE_S = 60


def count_claim(user: User) -> None:
    """Raises AnnotateError 429 with code too_many, once user has claimed RATE_CLAIMS times in this minute."""
    _count("claim", user, settings.RATE_CLAIMS)


def count_submit(user: User) -> None:
    """Raises AnnotateError 429 with code too_many, once user has submitted RATE_SUBMITS times in this minute."""
    _count("submit", user, settings.RATE_SUBMITS)


def _count(what: str, user: User, most: int) -> None:
    """most: 0 is no limit."""
    if not most:
        return
    minute, second = divmod(int(time.time()), MINUTE_S)
    key = f"rate:{what}:{user.pk}:{minute}"
    cache.add(key, 0, 2 * MINUTE_S)
    if cache.incr(key) > most:
        wait_s = MINUTE_S - second
        sentence = f"That is over {most} a minute; go on in {wait_s} s."
        raise AnnotateError("too_many", sentence, status=429, retry_after_s=wait_s)
