"""A connection to the Redis that carries messages and chat."""

from __future__ import annotations

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

SOCKET = "redis+socket://"


def connect() -> redis.Redis:
    """A client of the broker, whose answers are text; it connects when it is first used."""
    url = settings.CELERY_BROKER_URL
    if url.startswith(SOCKET):
        return redis.Redis(
            unix_socket_path=url.removeprefix(SOCKET), decode_responses=True, retry=Retry(NoBackoff(), 1)
        )
    return redis.Redis.from_url(url, decode_responses=True, retry=Retry(NoBackoff(), 1))
