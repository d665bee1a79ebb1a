"""What differs between two texts, word by word, and by how much. Pure: the same texts give the same runs everywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Literal

Run = tuple[Literal["same", "del", "ins"], str]

PIECE = re.compile(r"\s+|\S+")
WORD = re.compile(r"\S+")
# of the one times of the other, without what both begin and end with; beyond it the middle counts as exchanged
MOST_PIECES = 1_000_000
MOST_WORDS = 100_000_000


def runs(before: str, after: str) -> list[Run]:
    """The way from before to after, blanks included: joined, same and del give before, same and ins after."""
    a, b = PIECE.findall(before), PIECE.findall(after)
    start, end = _ends(a, b)
    found: list[Run] = [("same", "".join(a[:start]))]
    found += _middle(a[start : len(a) - end], b[start : len(b) - end])
    found.append(("same", "".join(a[len(a) - end :])))
    return [run for run in found if run[1]]


def distance(before: str, after: str) -> int:
    """The least number of words to put in, take out or exchange.

    Levenshtein's distance, a bit a word of before (Myers 1999, in the form of Hyyrö 2003): one step a word of after.
    """
    a, b = WORD.findall(before), WORD.findall(after)
    start, end = _ends(a, b)
    a, b = a[start : len(a) - end], b[start : len(b) - end]
    if not a or len(a) * len(b) > MOST_WORDS:
        return max(len(a), len(b))
    places: dict[str, int] = {}
    for at, word in enumerate(a):
        places[word] = places.get(word, 0) | 1 << at
    whole, last = (1 << len(a)) - 1, 1 << len(a) - 1
    up, down, steps = whole, 0, len(a)  # up, down: where the column's values rise, fall
    for word in b:
        same = places.get(word, 0)
        across = (((same & up) + up) ^ up) | same | down
        rises, falls = down | ~(across | up) & whole, up & across
        steps += bool(rises & last) - bool(falls & last)
        rises, falls = (rises << 1 | 1) & whole, falls << 1 & whole
        up, down = falls | ~(same | down | rises) & whole, rises & (same | down)
    return steps


def share(before: str, after: str) -> float:
    """The distance over the words of the longer text, 0 … 1."""
    words = max(len(WORD.findall(before)), len(WORD.findall(after)))
    return distance(before, after) / words if words else 0.0


def _ends(a: Sequence[str], b: Sequence[str]) -> tuple[int, int]:
    """How many pieces both share at the start, and how many of the rest at the end."""
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    end = 0
    while end < min(len(a), len(b)) - start and a[-1 - end] == b[-1 - end]:
        end += 1
    return start, end


def _middle(a: list[str], b: list[str]) -> list[Run]:
    if len(a) * len(b) > MOST_PIECES:
        return [("del", "".join(a)), ("ins", "".join(b))]
    found: list[Run] = []
    for kind, from_a, to_a, from_b, to_b in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if kind == "equal":
            found.append(("same", "".join(a[from_a:to_a])))
        else:
            found += [("del", "".join(a[from_a:to_a])), ("ins", "".join(b[from_b:to_b]))]
    return found
