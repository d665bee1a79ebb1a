"""The server that the playground asks (A10): JSON lines in, JSON lines out, one base, adapters on demand.

Requests of one adapter are written together: a new one joins between two steps of those before it. Adapters take turns.
"""

import json
import re
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TextIO

import torch

from trainer import adapters, base, tokenizer
from trainer.contract.configs import GenerateConfig
from trainer.contract.errors import TrainerError
from trainer.contract.rows import ROLES, Message
from trainer.contract.rundir import Run
from trainer.sampling import Batch, Row, Settings, cut
from trainer.tokenizer import Tokenizer

RESIDENT = 8  # adapters that are kept at once; the least recently used leaves
ROWS = 16  # answers of one adapter that are written at once; who comes later waits
POLL_S = 0.2  # between looks at the stop flag while no request is there
BROKEN = "�"  # how a decoder shows bytes that are not yet a whole character
Line = dict[str, Any]  # Any: a JSON object


def serve(config: GenerateConfig, run: Run, input: TextIO, output: TextIO) -> None:
    """Answer requests, one JSON line each, until `{"quit": true}`, the end of the input, or a stop signal.

    At the end of the input what was asked is still answered; a quit or a signal cancels it. Only answers go to output.
    """
    device = base.prepare(config)
    model = base.resident(run, config, device)
    words = tokenizer.of_run(run, template=config.template)
    server = _Server(config, run, model, words, output)
    lines = _lines_of(input)
    while server.open or server.busy:
        if run.stop_requested():
            server.cancel_all()
            return
        for line in _waiting(lines, wait=not server.busy):
            server.handle(line)
        server.advance()


def _lines_of(input: TextIO) -> "SimpleQueue[Line]":
    """Lines as a thread of its own reads them; the end of the input reads as `{"end": true}`."""
    lines: SimpleQueue[Line] = SimpleQueue()

    def read() -> None:
        for text in input:
            if text.strip():
                lines.put(_parsed(text))
        lines.put({"end": True})

    threading.Thread(target=read, daemon=True).start()
    return lines


def _parsed(text: str) -> Line:
    """The object of a line; empty where it is none."""
    try:
        line = json.loads(text)
    except ValueError:
        return {}
    return line if isinstance(line, dict) else {}


def _waiting(lines: "SimpleQueue[Line]", *, wait: bool) -> list[Line]:
    """The lines that have come; where wait is set, a moment is spent on the first."""
    found = []
    try:
        found.append(lines.get(timeout=POLL_S) if wait else lines.get_nowait())
        while True:
            found.append(lines.get_nowait())
    except Empty:
        return found


@dataclass(frozen=True)
class _Request:
    """One question, as its JSON line asks it."""

    id: str | int
    messages: list[Message]
    adapter: str | None
    settings: Settings
    seed: int
    stop: tuple[str, ...]
    stream: bool


@dataclass(eq=False)
class _Answering:
    """A request that waits or is being written."""

    request: _Request
    row: Row
    said: "_Said"
    began: float = field(default_factory=time.monotonic)

    @property
    def reason(self) -> str:
        """Why the answer has ended; empty where it goes on."""
        if self.row.finished or self.said.stopped:
            return "stop"
        return "length" if self.row.done else ""


class _Lane:
    """The requests of one adapter."""

    def __init__(self, model: base.Model, role: str | None, *, rows: int) -> None:
        self.batch = Batch(model)
        self.rows = rows
        self.using = adapters.merge(model, role)
        self.waiting: deque[_Answering] = deque()
        self.running: list[_Answering] = []

    @property
    def all(self) -> list[_Answering]:
        """All requests, those that run first."""
        return [*self.running, *self.waiting]

    def advance(self) -> list[_Answering]:
        """Let waiting requests join, or else draw one more token of each that runs; returns those with a new token."""
        joining = [self.waiting.popleft() for _ in range(min(len(self.waiting), self.rows - len(self.running)))]
        self.running += joining
        with self.using():
            if not joining:
                self.batch.step()
                return list(self.running)
            self.batch.join([one.row for one in joining])
            return joining

    def drop(self, one: _Answering) -> None:
        """Take a request out."""
        if one in self.running:
            self.running.remove(one)
            self.batch.leave(one.row)
        else:
            self.waiting.remove(one)


class _Server:
    """One base, the adapters that were asked for last, and a lane for each that has something to write."""

    def __init__(self, config: GenerateConfig, run: Run, model: base.Model, words: Tokenizer, output: TextIO) -> None:
        self.config, self.run, self.model, self.words, self.output = config, run, model, words, output
        self.context = base.context_of(model, config)
        self.resident: OrderedDict[str, None] = OrderedDict()
        self.lanes: dict[str | None, _Lane] = {}
        self.open = True  # more lines may come

    @property
    def busy(self) -> bool:
        """Whether something is being written."""
        return bool(self.lanes)

    def handle(self, line: Line) -> None:
        """Do what a line asks, or say why not; after a quit nothing."""
        if not self.open:
            return
        try:
            if line.get("quit"):
                self.cancel_all()
                self.open = False
            elif line.get("end"):
                self.open = False
            elif isinstance(line.get("cancel"), str | int):
                self._cancel(line["cancel"])
            elif "load" in line:
                self._load(line["load"])
            else:
                self._admit(_request_of(line))
        except TrainerError as error:
            self._refuse(line.get("id"), error.code, error.sentence)

    def advance(self) -> None:
        """One step of each lane."""
        for lane in list(self.lanes.values()):
            try:
                for one in lane.advance():
                    self._hear(lane, one)
            except TrainerError as error:
                self._give_up(lane, error.code, error.sentence)
            except torch.OutOfMemoryError:
                self._give_up(lane, "out_of_memory", "The device has no memory left for this; ask for fewer tokens.")

    def cancel_all(self) -> None:
        """End all that waits or is written."""
        for lane, one in self._asked():
            self._end(lane, one, "cancelled")

    def _cancel(self, id: str | int) -> None:
        """End a request; one that has ended already is none."""
        for lane, one in self._asked():
            if one.request.id == id:
                self._end(lane, one, "cancelled")

    def _asked(self) -> list[tuple[_Lane, _Answering]]:
        return [(lane, one) for lane in self.lanes.values() for one in lane.all]

    def _admit(self, request: _Request) -> None:
        if any(one.request.id == request.id for _, one in self._asked()):
            raise TrainerError("bad_request", f"id is {request.id!r}, which is being answered; take another.")
        role = self._role(request.adapter)
        prompt = self.words.render(request.messages, open=True).ids
        room = self.context - len(prompt)
        if room < 1:
            sentence = f"The dialogue has {len(prompt)} tokens; the model holds {self.context} with its answer."
            raise TrainerError("context_too_long", sentence)
        limit = min(request.settings.max_new_tokens, room)
        settings = replace(request.settings, max_new_tokens=limit, stop_ids=self.words.stop_ids())
        row = Row(torch.tensor(prompt), settings, request.seed)
        if role not in self.lanes:
            self.lanes[role] = _Lane(self.model, role, rows=min(ROWS, self.config.decode_rows))
        self.lanes[role].waiting.append(_Answering(request, row, _Said(self.words.decode, request.stop)))

    def _hear(self, lane: _Lane, one: _Answering) -> None:
        """Take a request's newest token in: show what may be shown, or end."""
        one.said.hear(one.row.ids[-1])
        if one.reason:
            self._end(lane, one, one.reason)
        elif one.request.stream and (piece := one.said.ready()):
            self._say({"id": one.request.id, **piece})

    def _end(self, lane: _Lane, one: _Answering, reason: str) -> None:
        lane.drop(one)
        self._close_empty()
        id, tokens = one.request.id, len(one.said.ids)
        if piece := one.said.rest():
            self._say({"id": id, **piece})
        seconds = round(time.monotonic() - one.began, 3)
        self._say({"id": id, "done": True, "reason": reason, "tokens": tokens, "seconds": seconds})

    def _give_up(self, lane: _Lane, code: str, sentence: str) -> None:
        for one in lane.all:
            self._refuse(one.request.id, code, sentence)
        lane.running.clear()
        lane.waiting.clear()
        self._close_empty()

    def _close_empty(self) -> None:
        """Let lanes without requests go, their merged weights and their cache with them."""
        self.lanes = {role: lane for role, lane in self.lanes.items() if lane.all}

    def _role(self, name: str | None) -> str | None:
        """The adapter, resident; one that stands in parents/ is loaded when it is first asked for."""
        if not name:
            return None
        if name not in self.resident:
            if not (self.run.path / "parents" / Path(name).name).is_dir() or name == "base":
                there = ", ".join(self.resident) or "none"
                raise TrainerError("bad_adapter", f"no adapter {name!r} is loaded or in parents/; loaded are {there}.")
            self._load({"name": name, "path": str(self.run.parent(name))})
        self.resident.move_to_end(name)
        return name

    def _load(self, wanted: Any) -> None:  # Any: a value as JSON gave it
        if not isinstance(wanted, dict) or not all(isinstance(wanted.get(key), str) for key in ("name", "path")):
            raise TrainerError("bad_request", "load must be {name, path}, both strings.")
        name = wanted["name"]
        if not re.fullmatch(r"[\w-]+", name):
            raise TrainerError("bad_request", f"name is {name!r}; allowed are letters, digits, _ and -.")
        if name in self.lanes:
            raise TrainerError("bad_request", f"adapter {name!r} is answering; load it again when it has ended.")
        if name in self.resident:
            adapters.remove(self.model, name)
            del self.resident[name]
        adapters.load_adapter(self.model, Path(wanted["path"]), name, base_sha256=self.config.base_sha256)
        self.resident[name] = None
        idle = [other for other in self.resident if other not in self.lanes and other != name]
        if len(self.resident) > RESIDENT and idle:
            adapters.remove(self.model, idle[0])
            del self.resident[idle[0]]

    def _refuse(self, id: Any, code: str, sentence: str) -> None:  # Any: a value as JSON gave it
        self._say({"id": id, "error": {"code": code, "sentence": sentence}})

    def _say(self, line: Line) -> None:
        self.output.write(json.dumps(line, ensure_ascii=False) + "\n")
        self.output.flush()


class _Said:
    """An answer as it grows: which text may be shown, in whole characters and without a stop string."""

    def __init__(self, decode: Callable[[Sequence[int]], str], stops: Sequence[str]) -> None:
        self._decode, self._stops = decode, [stop for stop in stops if stop]
        self.ids: list[int] = []
        self.stopped = False
        self._text = ""  # what is decoded
        self._shown, self._told = 0, 0  # how much of text and ids was given away
        self._from, self._until = 0, 0  # a window of ids that decodes as it does within the whole

    def hear(self, token: int) -> None:
        """Take the next token in."""
        self.ids.append(token)
        known = self._decode(self.ids[self._from : self._until])
        now = self._decode(self.ids[self._from :])
        if not now.endswith(BROKEN):
            self._grow(now[len(known) :])
            self._from, self._until = self._until, len(self.ids)

    def ready(self) -> Line:
        """What may be shown by now and was not yet, as {text, token_ids}; empty where that is nothing."""
        held = max((k for stop in self._stops for k in range(1, len(stop)) if self._text.endswith(stop[:k])), default=0)
        return self._take(len(self._text) - held)

    def rest(self) -> Line:
        """All that was not shown yet; called once, at the end."""
        known = self._decode(self.ids[self._from : self._until])
        self._grow(self._decode(self.ids[self._from :])[len(known) :])
        return self._take(len(self._text), last=True)

    def _grow(self, text: str) -> None:
        if not self.stopped:
            self._text, self.stopped = cut(self._text + text, self._stops)

    def _take(self, until: int, *, last: bool = False) -> Line:
        text, ids = self._text[self._shown : until], self.ids[self._told :]
        if not text and not (last and ids):
            return {}
        self._shown, self._told = until, len(self.ids)
        return {"text": text, "token_ids": ids}


def _request_of(line: Line) -> _Request:
    """The request that a line makes. Raises bad_request with the first field that is wrong."""
    fields = {**_DEFAULTS, **line}
    for name, (holds, wanted) in _ALLOWED.items():
        if not holds(fields.get(name)):
            raise TrainerError("bad_request", f"{name} is {json.dumps(fields.get(name))[:80]}; it must be {wanted}.")
    return _Request(
        id=fields["id"],
        messages=[Message(role=message["role"], content=message["content"]) for message in fields["messages"]],
        adapter=fields["adapter"],
        settings=Settings(
            max_new_tokens=fields["max_new_tokens"],
            temperature=float(fields["temperature"]),
            top_p=float(fields["top_p"]),
        ),
        seed=fields["seed"],
        stop=tuple(fields["stop"]),
        stream=fields["stream"],
    )


def _messages(value: Any) -> bool:  # Any: a value as JSON gave it
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(one, dict) and one.get("role") in ROLES for one in value)
        and all(isinstance(one.get("content"), str) for one in value)
        and value[-1]["role"] == "user"
    )


def _number(low: float, high: float, *, whole: bool = False) -> Callable[[Any], bool]:
    kinds = (int,) if whole else (int, float)
    return lambda value: isinstance(value, kinds) and not isinstance(value, bool) and low <= value <= high


_DEFAULTS: Line = {
    "adapter": None,
    "max_new_tokens": 256,
    "temperature": 1.0,
    "top_p": 1.0,
    "seed": 0,
    "stop": [],
    "stream": True,
}
_ALLOWED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "id": (lambda value: isinstance(value, str | int) and not isinstance(value, bool), "a string or a number"),
    "messages": (_messages, "a list of {role, content} that ends with the user's"),
    "adapter": (lambda value: value is None or isinstance(value, str), "a name or null"),
    "max_new_tokens": (_number(1, 32_768, whole=True), "a whole number, 1 to 32768"),
    "temperature": (_number(0, 2), "a number, 0 to 2"),
    "top_p": (_number(1e-6, 1), "a number above 0, at most 1"),
    "seed": (_number(0, 2**63 - 1, whole=True), "a whole number, 0 to 2**63 - 1"),
    "stop": (
        lambda value: isinstance(value, list) and all(isinstance(one, str) for one in value),
        "a list of strings",
    ),
    "stream": (lambda value: isinstance(value, bool), "true or false"),
}
