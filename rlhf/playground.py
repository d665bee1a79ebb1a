"""Ask a model: requests and answers travel by Redis streams to the generator, a process of its own.

A request goes to `chat:in`, its answer comes on `chat:<id>`, which is gone after ten minutes. The generator says by the
key `chat:alive` that it lives.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Any

import redis

from rlhf.broker import connect
from rlhf.errors import LaunchError
from rlhf.models import Model

REQUESTS, ALIVE = "chat:in", "chat:alive"
ALIVE_S, KEEP_S = 15, 600
POLL_MS = 500
ANSWERING = (Model.Kind.BASE, Model.Kind.SFT, Model.Kind.POLICY)
SETTINGS = ("max_new_tokens", "temperature", "top_p", "seed", "stop")
Json = dict[str, Any]  # Any: a JSON object


def ask(
    *, model: Model, messages: Sequence[Mapping[str, str]], settings: Json, stop: Callable[[], bool]
) -> Iterator[Json]:
    """The answer as it is written: {text} pieces, then {done, reason, tokens, seconds} or {error: {code, sentence}}.

    settings: max_new_tokens, temperature, top_p, seed, stop (strings); what is left out is the trainer's default.
    stop: asked twice a second; true ends the answer. So does closing the iterator.

    Raises LaunchError, before the first piece is asked for, with code
        bad_settings   a setting that does not exist
        not_answering  a reward or value model writes no text
        no_generator   the generator process is not running
        no_broker      Redis cannot be reached
    """
    unknown = [name for name in settings if name not in SETTINGS]
    if unknown:
        raise LaunchError("bad_settings", f"{unknown[0]} is no setting; allowed: {', '.join(SETTINGS)}.")
    if model.kind not in ANSWERING:
        raise LaunchError(
            "not_answering", f"{model} scores answers and writes none; choose a base, SFT or policy model."
        )
    client = connect()
    request = {**settings, "messages": [dict(message) for message in messages], "model": str(model.uuid)}
    try:
        if not client.exists(ALIVE):
            raise LaunchError("no_generator", "The generator is not running; an operator can start it.", status=503)
        name = secrets.token_urlsafe(12)
        _send(client, request | {"id": name})
    except redis.RedisError:
        raise LaunchError(
            "no_broker", "The message queue cannot be reached; try again in a moment.", status=503
        ) from None
    return _pieces(client, name, stop)


def _send(client: redis.Redis, request: Json) -> None:
    client.xadd(REQUESTS, {"json": json.dumps(request)}, maxlen=1_000)


def _pieces(client: redis.Redis, name: str, stop: Callable[[], bool]) -> Iterator[Json]:
    key, last, until, ended = f"chat:{name}", "0", monotonic() + KEEP_S, False
    try:
        while not ended:
            for place, line in _read(client, key, last):
                last = place
                ended = "done" in line or "error" in line
                yield line
            if ended:
                return
            if stop() or monotonic() > until:
                yield {"done": True, "reason": "cancelled", "tokens": 0, "seconds": 0.0}
                return
            if not client.exists(ALIVE):
                yield _error("lost", "The generator stopped in mid-answer; ask again.")
                return
    except redis.RedisError:
        yield _error("lost", "The message queue was lost in mid-answer; ask again.")
    finally:
        if not ended:
            _cancel(client, name)


def _read(client: redis.Redis, key: str, last: str) -> list[tuple[str, Json]]:
    found: Any = client.xread({key: last}, block=POLL_MS)  # Any: redis-py types its answers loosely
    return [(place, json.loads(fields["json"])) for _, entries in found for place, fields in entries]


def _cancel(client: redis.Redis, name: str) -> None:
    try:
        _send(client, {"cancel": name})
    except redis.RedisError:
        return  # with the queue gone nobody is listening


def _error(code: str, sentence: str) -> Json:
    return {"error": {"code": code, "sentence": sentence}}
