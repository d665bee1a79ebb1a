"""Whether a round happened as its rows say: the same start, the same answers, the same steps, the same numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Literal

from annotate.errors import AnnotateError
from annotate.tinynet.net import Example, Net
from annotate.tinynet.play import Outcome, answer
from annotate.tinynet.stream import Practice, Reading, practise

CLOSE = 1e-5


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One blank answered by a person or, in slow auto-play, by the network. told: what the browser computed."""

    example: Example
    gold: int
    context_on: bool
    eta: float
    told: Outcome


@dataclass(frozen=True, kw_only=True)
class Burst:
    """Fast auto-play: count examples of the practice stream, from number `stream` on."""

    stream: int
    count: int
    reading: Reading
    eta: float


@dataclass(frozen=True)
class Undo:
    """The last row that still counts was taken back, and the weights with it."""


Row = Answer | Burst | Undo


@dataclass(frozen=True)
class Replay:
    """result: `same` where the largest difference in any p, loss or sum of weights is at most 1e-5."""

    result: Literal["same", "differs"]
    largest: float
    steps: int


def replay(
    net: Net, rows: Iterable[Row], *, seed: int, practice: Practice | None, digest: Sequence[float] | None
) -> Replay:
    """Plays the rows on net, a copy of the start that is changed, and compares. Some 1 ms a step.

    digest: the browser's `Net.digest`; None where the round is not finished.

    Raises AnnotateError with code
        nothing_to_undo  an undo has no row before it
        no_practice      a burst, but no practice stream
    """
    largest, steps = 0.0, 0
    for row in kept(rows):
        largest = max(largest, _play(net, row, seed=seed, practice=practice))
        steps += row.count if isinstance(row, Burst) else 1
    if digest is not None:
        largest = max(largest, _difference(digest, net.digest()))
    return Replay("same" if largest <= CLOSE else "differs", largest, steps)


def kept(rows: Iterable[Row]) -> list[Answer | Burst]:
    """The rows that were not taken back."""
    still: list[Answer | Burst] = []
    for row in rows:
        if not isinstance(row, Undo):
            still.append(row)
        elif still:
            still.pop()
        else:
            raise AnnotateError("nothing_to_undo")
    return still


def _play(net: Net, row: Answer | Burst, *, seed: int, practice: Practice | None) -> float:
    """The largest difference of one row, after its steps."""
    if isinstance(row, Answer):
        found = answer(net, row.example, gold=row.gold, eta=row.eta, context_on=row.context_on)
        return _difference(astuple(row.told), astuple(found))
    if practice is None:
        raise AnnotateError("no_practice")
    numbers = range(row.stream, row.stream + row.count)
    practise(net, practice, seed=seed, numbers=numbers, reading=row.reading, eta=row.eta)
    return 0.0


def _difference(told: Sequence[float], found: Sequence[float]) -> float:
    """Infinite where they are not as many, or one is no number."""
    if len(told) != len(found) or not all(map(math.isfinite, told)):
        return math.inf
    return max(abs(one - other) for one, other in zip(told, found, strict=True))
