"""The playground's answers, streamed as JSON lines, a bounded number at once in a process."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator
from functools import cache, partial
from time import monotonic

from django.conf import settings
from django.http import HttpResponseBase, StreamingHttpResponse

from annotate.api.operations import Json, Operation, Request, operation
from annotate.api.problems import Problem
from annotate.models import Project, Role, Token, User
from annotate.rendering import blocks
from rlhf.access import model_for
from rlhf.api import inputs, outputs
from rlhf.errors import LaunchError
from rlhf.models import Model
from rlhf.playground import ask

LINES = "application/x-ndjson"
READERS = (Role.REVIEWER, Role.ADMIN)
ROLE_READ_S = 5.0  # a stream ends within twice this after its reader lost the role
ANSWER_S = 20  # what one answer takes, roughly: for those who wait
LEAVES_S = 30.0  # who has not asked again for so long has left the line


class Chat(Operation):
    scope = Token.Scope.TRAIN

    @operation(
        "Ask one model, or two side by side; the answer comes as JSON lines",
        body=inputs.ChatIn,
        returns=outputs.PieceOut,
        content_type=LINES,
        errors=(403, 404, 503),
    )
    def post(self, request: Request) -> HttpResponseBase:
        body = self.body
        models = [model_for(request.user, uuid, role=READERS) for uuid in body["models"]]
        place = line().enter(request.user.pk)
        if place:
            wait_s = place * ANSWER_S
            sentence = f"Others are asking; you are number {place} in line, about {wait_s} s. Ask again."
            raise Problem("busy", sentence, status=503, place=place, retry_after_s=min(wait_s, int(LEAVES_S) // 2))
        question = partial(_asked, user=request.user, messages=body["messages"], settings=body.get("settings", {}))
        try:
            first = question(models[0])
        except BaseException:
            line().leave()
            raise
        stream = _Lines(first, models[1:], question)
        return StreamingHttpResponse(stream, content_type=LINES, headers={"Cache-Control": "no-store"})


class Line:
    """Who streams and who waits. Safe for threads."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: OrderedDict[int, float] = OrderedDict()  # person → when they asked last
        self._lock = threading.Lock()

    def enter(self, person: int) -> int:
        """0 where the person may stream now and has taken a place; else their place in line, from 1."""
        with self._lock:
            at = monotonic()
            for gone in [one for one, asked in self._waiting.items() if at - asked > LEAVES_S]:
                del self._waiting[gone]
            self._waiting[person] = at
            place = list(self._waiting).index(person)
            if place >= self._free:
                return place - self._free + 1
            del self._waiting[person]
            self._free -= 1
            return 0

    def leave(self) -> None:
        with self._lock:
            self._free += 1


@cache
def line() -> Line:
    """The line of this process."""
    return Line(settings.CHAT_STREAMS)


class _Lines:
    """The body of a stream: the sides one after another. close, which the server always calls, frees the place."""

    def __init__(self, first: Iterator[Json], others: list[Model], question: Callable[[Model], Iterator[Json]]) -> None:
        self._asking = first
        self._others = others
        self._question = question
        self._lines = self._all()
        self._open = True

    def __iter__(self) -> Iterator[bytes]:
        return self._lines

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        try:
            self._lines.close()
            getattr(self._asking, "close", lambda: None)()
        finally:
            line().leave()

    def _all(self) -> Generator[bytes, None, None]:
        yield from self._side("a")
        for name, model in zip("b", self._others, strict=False):
            try:
                self._asking = self._question(model)
            except LaunchError as refusal:
                yield _line(name, {"error": {"code": refusal.code, "sentence": refusal.sentence}})
                return
            yield from self._side(name)

    def _side(self, name: str) -> Iterator[bytes]:
        text = ""
        for piece in self._asking:
            text += piece.get("text", "")
            yield _line(name, _shown(piece, text))


def _line(side: str, shown: Json) -> bytes:
    return json.dumps({"side": side, **shown}, ensure_ascii=False).encode() + b"\n"


def _asked(model: Model, *, user: User, messages: list[Json], settings: Json) -> Iterator[Json]:
    return ask(model=model, messages=messages, settings=settings, stop=_lost_role(user, model.project))


def _shown(piece: Json, text: str) -> Json:
    """A piece as the API names it; the last one carries the whole answer as blocks."""
    if "done" not in piece:
        return {key: piece[key] for key in ("text", "error") if key in piece}
    shown: Json = {key: piece[key] for key in ("text", "tokens", "seconds") if key in piece}
    return {**shown, "done": True, "stop": piece.get("reason", ""), "blocks": blocks(text)}


def _lost_role(user: User, project: Project) -> Callable[[], bool]:
    """Whether user may no longer read the answer; the roles are read anew every few seconds."""
    read_at = monotonic()
    lost = False

    def stop() -> bool:
        nonlocal read_at, lost
        if not lost and monotonic() - read_at > ROLE_READ_S:
            read_at = monotonic()
            lost = not User.objects.get(pk=user.pk).roles(project) & set(READERS)
        return lost

    return stop
