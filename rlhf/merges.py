"""The merges of a byte-level BPE, replayed rule by rule from bytes to tokens. Pure: no Django, no tokenizer library.

A tokenizer's own library gives only the end. Here is the way there, and `tokenizing` compares the two ends.
Positions count the pieces of the beginning, so that a piece keeps its position whatever happens around it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

NOWHERE = -1
Pair = tuple[str, str]


class NotReplayable(Exception):
    """Why a tokenizer has no merges that start from bytes. code: other_model, not_bytes, random or affixes."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Rule(NamedTuple):
    """rank: the rule's place among the merges, from 1. piece: what it makes of its pair."""

    rank: int
    piece: str


class Step(NamedTuple):
    """One rule used once: the piece at `position` takes in the piece after it."""

    rank: int
    position: int
    piece: str


@dataclass(frozen=True)
class Rules:
    """What a tokenizer merges, by pair."""

    by_pair: Mapping[Pair, Rule]


def rules_of(description: Mapping[str, Any]) -> Rules:  # Any: the JSON of a tokenizer.json
    """The merge rules of a byte-level BPE. Raises NotReplayable."""
    model = description["model"]
    if model.get("type") != "BPE":
        raise NotReplayable("other_model")
    if model.get("dropout"):
        raise NotReplayable("random")
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        raise NotReplayable("affixes")
    if not from_bytes(description):
        raise NotReplayable("not_bytes")
    pairs = (tuple(one.split(" ", 1)) if isinstance(one, str) else tuple(one) for one in model["merges"])
    return Rules({(left, right): Rule(rank, left + right) for rank, (left, right) in enumerate(pairs, start=1)})


def from_bytes(description: Mapping[str, Any]) -> bool:  # Any: as above
    """Whether the pieces are written in the alphabet of bytes."""
    given = description.get("pre_tokenizer") or {}
    return any(one["type"] == "ByteLevel" for one in given.get("pretokenizers", [given]) if one)


def byte_letters() -> dict[str, int]:
    """The letter that stands for each byte: printable Latin-1 for itself, the others by U+0100 and on.

    Source: `bytes_to_unicode` of GPT-2 (Radford et al. 2019).
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + at): byte for at, byte in enumerate(others)}


def replay(words: Iterable[Sequence[str]], rules: Rules) -> list[Step]:
    """Every merge within the words, the lowest rank first, of equal ranks the leftmost. About n log n for n pieces.

    words: the pre-tokens, each as the pieces it begins with; a word of one piece stays as it is.
    """
    pieces, before, after = _chained(words)
    waiting = [found for at in range(len(pieces)) if (found := _rule_at(at, pieces, after, rules))]
    heapify(waiting)
    steps: list[Step] = []
    while waiting:
        _, at, piece = heappop(waiting)
        now = _rule_at(at, pieces, after, rules)
        if now is None or now[2] != piece:
            continue  # a neighbour was merged meanwhile; what may be merged now waits by itself
        steps.append(Step(*now))
        _merge(at, piece, pieces, before, after)
        for start in (before[at], at):
            if start != NOWHERE and (found := _rule_at(start, pieces, after, rules)):
                heappush(waiting, found)
    return steps


def pieces_after(pieces: Sequence[str], steps: Iterable[Step]) -> list[str]:
    """What stands there when these steps are done, from the pieces of the beginning."""
    standing: list[str] = list(pieces)
    taken = set()
    ends = list(range(1, len(standing) + 1))
    for step in steps:
        right = ends[step.position]
        standing[step.position] = step.piece
        taken.add(right)
        ends[step.position] = ends[right]
    return [piece for at, piece in enumerate(standing) if at not in taken]


def _chained(words: Iterable[Sequence[str]]) -> tuple[list[str], list[int], list[int]]:
    """All pieces, and the place of each one's neighbours within its word."""
    pieces: list[str] = []
    before: list[int] = []
    after: list[int] = []
    for word in words:
        start, end = len(pieces), len(pieces) + len(word)
        pieces += word
        before += [at - 1 if at > start else NOWHERE for at in range(start, end)]
        after += [at + 1 if at + 1 < end else NOWHERE for at in range(start, end)]
    return pieces, before, after


def _rule_at(at: int, pieces: list[str], after: list[int], rules: Rules) -> Step | None:
    """The rule for the piece at a place and the next one; none where it was taken in or ends its word."""
    if not pieces[at] or after[at] == NOWHERE:
        return None
    rule = rules.by_pair.get((pieces[at], pieces[after[at]]))
    return Step(rule.rank, at, rule.piece) if rule else None


def _merge(at: int, piece: str, pieces: list[str], before: list[int], after: list[int]) -> None:
    right = after[at]
    pieces[at], pieces[right] = piece, ""
    after[at] = after[right]
    if after[at] != NOWHERE:
        before[after[at]] = at
