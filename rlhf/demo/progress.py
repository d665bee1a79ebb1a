"""One line a stage on the terminal: what it does, how far it is, how long it takes, what it changed."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

EVERY_S = 10.0  # where the output is no terminal, a line each so often


@dataclass
class Line:
    """A stage under way. say() may be called as often as one likes."""

    number: int
    of: int
    title: str
    started: float = field(default_factory=time.monotonic)
    said: float = 0.0
    changed: str = ""

    def say(self, *, share: float | None = None, left_s: float | None = None, note: str = "") -> None:
        now = time.monotonic()
        live = sys.stdout.isatty()
        if not live and now - self.said < EVERY_S:
            return
        self.said = now
        if left_s is None and share:
            left_s = (now - self.started) * (1 - share) / share
        parts = [f"[{self.number}/{self.of}] {self.title}"]
        parts += [f"{share:.0%}"] if share is not None else []
        parts += [f"{left_s:.0f} s left"] if left_s is not None else ["estimating"]
        parts += [note] if note else []
        sys.stdout.write(("\r\x1b[2K" if live else "") + " · ".join(parts) + ("" if live else "\n"))
        sys.stdout.flush()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


@dataclass(frozen=True)
class Done:
    title: str
    seconds: float
    changed: str


class Stages:
    """The stages of the loop in order, and what each of them did."""

    def __init__(self, of: int) -> None:
        self.of = of
        self.done: list[Done] = []

    @contextmanager
    def stage(self, title: str) -> Iterator[Line]:
        line = Line(len(self.done) + 1, self.of, title)
        line.say()
        yield line
        self.done.append(Done(title, line.seconds, line.changed))
        clear = "\r\x1b[2K" if sys.stdout.isatty() else ""
        sys.stdout.write(f"{clear}[{line.number}/{self.of}] {title} · {line.seconds:.0f} s · {line.changed}\n")
        sys.stdout.flush()


def table(stages: list[Done]) -> str:
    wide = max(len(done.title) for done in stages)
    return "\n".join(f"{done.title:<{wide}}  {done.seconds:>5.0f} s  {done.changed}" for done in stages)
