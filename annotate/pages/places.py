"""A stored ranking as its places, in letters: for lists of answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any  # bodies are JSON

from annotate.presentation import LETTERS


@dataclass(frozen=True)
class Place:
    """letters: of what ties there, as "A = C"."""

    number: int
    letters: str


@dataclass(frozen=True)
class Places:
    """above, below: the line of what is acceptable; all above where the ranking draws no line. unplaced: letters."""

    above: list[Place]
    below: list[Place]
    has_line: bool
    unplaced: str


def places(body: dict[str, Any], order: Sequence[int]) -> Places | None:
    """order: keys of the texts as the letters run. None where the body is no ranking."""
    if not body.get("groups"):
        return None
    letters = {key: letter for letter, key in zip(LETTERS, order, strict=False)}
    found = [
        Place(number, " = ".join(sorted(letters.get(key, "?") for key in group)))
        for number, group in enumerate(body["groups"], start=1)
    ]
    line = body.get("acceptable_groups")
    return Places(
        above=found[:line],
        below=[] if line is None else found[line:],
        has_line=line is not None,
        unplaced=", ".join(sorted(letters.get(key, "?") for key in body.get("unplaced", []))),
    )
