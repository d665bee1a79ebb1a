"""A document in paragraphs, cut where findings begin and end, so that a page can mark them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any  # evidence is JSON

WHOLE = 0.9  # a finding over more of the text than this is about the whole of it, and marks nothing


@dataclass(frozen=True)
class Piece:
    """A run of text with the same findings. starts: the findings that begin here; covered: not shown at once."""

    text: str
    numbers: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    covered: bool = False

    @property
    def words(self) -> int:
        return len(self.text.split())


def paragraphs(text: str, evidence: Sequence[dict[str, Any]]) -> list[list[Piece]]:
    """Paragraphs of pieces; a blank line ends a paragraph. Linear in text and findings but for overlaps."""
    marks = [one for one in evidence if 0 < one["end"] - one["start"] < WHOLE * max(1, len(text))]
    return [_pieces(text, start, end, marks) for start, end in _bounds(text)]


def marked(evidence: Sequence[dict[str, Any]], text: str) -> set[str]:
    """The findings that have a span on the page."""
    shown = [piece for paragraph in paragraphs(text, evidence) for piece in paragraph]
    return {number for piece in shown for number in piece.starts}


def _bounds(text: str) -> list[tuple[int, int]]:
    bounds, start = [], 0
    for gap in re.finditer(r"\n[ \t]*\n\s*", text):
        bounds.append((start, gap.start()))
        start = gap.end()
    bounds.append((start, len(text)))
    return [(low, high) for low, high in bounds if text[low:high].strip()]


def _pieces(text: str, start: int, end: int, marks: Sequence[dict[str, Any]]) -> list[Piece]:
    near = [one for one in marks if one["start"] < end and one["end"] > start]
    cuts = sorted({start, end, *(min(max(one[side], start), end) for one in near for side in ("start", "end"))})
    return [_piece(text, low, high, near) for low, high in pairwise(cuts)]


def _piece(text: str, low: int, high: int, near: Sequence[dict[str, Any]]) -> Piece:
    over = [one for one in near if one["start"] < high and one["end"] > low]
    return Piece(
        text=text[low:high],
        numbers=tuple(one["id"] for one in over),
        starts=tuple(one["id"] for one in over if one["start"] == low),
        covered=any(one["covered"] for one in over),
    )
