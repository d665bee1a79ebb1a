"""Samples through time: what a run answered to one prompt at one step, beside what it answered before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

Line = Mapping[str, Any]  # Any: a JSON object of samples.jsonl
STOPS = 9  # most steps that the rail shows


@dataclass(frozen=True)
class Change:
    """A run of words that is the same, added or removed since the step before."""

    kind: Literal["same", "added", "removed"]
    text: str


@dataclass(frozen=True)
class Stop:
    """A step on the rail. x: percent of its width."""

    step: int
    x: float
    now: bool


@dataclass(frozen=True)
class Shown:
    """One sample and the ways from it. place: its prompt's, counted from 1. before: the same prompt's last sample."""

    sample: Line
    before: Line | None
    changes: list[Change]
    stops: list[Stop]
    place: int
    prompts: int
    earlier: int | None
    later: int | None

    @property
    def added(self) -> int:
        return sum(len(change.text.split()) for change in self.changes if change.kind == "added")

    @property
    def removed(self) -> int:
        return sum(len(change.text.split()) for change in self.changes if change.kind == "removed")


def shown(samples: Sequence[Line], query: Mapping[str, str]) -> Shown | None:
    """The sample that `step` and `prompt` (a place, from 1) name; the newest of the first prompt. None without any."""
    if not samples:
        return None
    prompts = list(dict.fromkeys(line["prompt_id"] for line in samples))
    place = min(max(_whole(query.get("prompt"), 1), 1), len(prompts))
    mine = sorted((line for line in samples if line["prompt_id"] == prompts[place - 1]), key=lambda line: line["step"])
    steps = [line["step"] for line in mine]
    wanted = _whole(query.get("step"), steps[-1])
    at = max((index for index, step in enumerate(steps) if step <= wanted), default=0)
    before = mine[at - 1] if at else None
    return Shown(
        sample=mine[at],
        before=before,
        changes=list(difference(before["answer"], mine[at]["answer"])) if before else [],
        stops=_stops(steps, at),
        place=place,
        prompts=len(prompts),
        earlier=steps[at - 1] if at else None,
        later=steps[at + 1] if at + 1 < len(steps) else None,
    )


def difference(old: str, new: str) -> Iterable[Change]:
    """The new text word by word, with what was added to the old one and what was taken from it."""
    a, b = old.split(), new.split()
    for tag, a0, a1, b0, b1 in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if tag == "equal":
            yield Change("same", " ".join(b[b0:b1]))
        if tag in ("delete", "replace"):
            yield Change("removed", " ".join(a[a0:a1]))
        if tag in ("insert", "replace"):
            yield Change("added", " ".join(b[b0:b1]))


def _stops(steps: Sequence[int], at: int) -> list[Stop]:
    """At most STOPS steps around the shown one, evenly spaced."""
    first = max(0, min(at - STOPS // 2, len(steps) - STOPS))
    window = range(first, min(first + STOPS, len(steps)))
    width = max(1, len(window) - 1)
    return [Stop(steps[index], round(100 * place / width, 1), index == at) for place, index in enumerate(window)]


def _whole(value: str | None, default: int) -> int:
    return int(value) if value and value.isdecimal() and len(value) < 10 else default
