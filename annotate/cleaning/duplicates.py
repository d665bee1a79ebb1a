"""Near duplicates as stars: each text is compared with representatives only, and points at the nearest one.

The index is a protocol: the action keeps it in tables, a test may keep it in memory. Nothing is linked unverified.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

import numpy as np

from annotate.cleaning.findings import Finding, Texts
from annotate.cleaning.normalise import Hashes, Words, ngrams, words
from annotate.cleaning.sketch import Shingles, band_keys, jaccard, shingles, signatures

NAME, VERSION = "near_duplicate", 1
MOST_PER_KEY = 64
MOST_VERIFIED = 16
_AT_ONCE = 256  # bodies of representatives in memory
_LOST_SIZE = 3


class Index(Protocol):
    """Representatives by band key."""

    def candidates(self, keys: Sequence[int]) -> Mapping[int, Sequence[int]]:
        """For each key that is known, the ids of at most 64 texts."""

    def bodies(self, ids: Sequence[int]) -> Mapping[int, str]:
        """The bodies of these texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A text to place. salt: only texts of the same salt are compared. never: ids that it must not be compared with."""

    id: int
    body: str
    salt: int
    never: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """That one text nearly repeats a representative: the numbers that a person needs to judge it."""

    text: int
    representative: int
    jaccard: float
    shared: int
    overlap_of_text: float
    overlap_of_representative: float
    lost: int
    words: int

    def finding(self, *, index: int, length: int) -> Finding:
        return Finding(
            text=index,
            detector=NAME,
            version=VERSION,
            category="near_duplicate",
            start=0,
            end=length,
            score=self.jaccard,
            reason=f"{self.jaccard:.0%} of its word runs are those of an earlier text; {self.lost} words would be lost",
            evidence=self._evidence(),
        )

    def _evidence(self) -> dict[str, Any]:
        return {
            "representative": self.representative,
            "jaccard": round(self.jaccard, 6),
            "shared": self.shared,
            "overlap_of_text": round(self.overlap_of_text, 6),
            "overlap_of_representative": round(self.overlap_of_representative, 6),
            "lost": self.lost,
            "words": self.words,
        }


@dataclass(slots=True)
class Placed:
    """near: the texts that repeat a representative. new: (key, text) rows of new representatives.

    hot: how many texts each full key did not take.
    """

    near: list[Near] = field(default_factory=list)
    new: list[tuple[int, int]] = field(default_factory=list)
    hot: Counter[int] = field(default_factory=Counter)


def keys_of(entries: Sequence[Entry]) -> list[list[int]]:
    """The band keys of each text; none where a text has no words."""
    return _keys(entries, shingles(words([entry.body for entry in entries])))


def place(entries: Sequence[Entry], *, index: Index, limit: float) -> Placed:
    """Where each text belongs, in order: near an earlier representative from limit on, or one itself.

    Texts of the batch meet each other as they meet those of the index. At most 16 candidates a text are
    verified, most shared bands first, then the oldest.
    """
    texts = Texts([entry.body for entry in entries])
    sets = shingles(texts.words)
    keys = _keys(entries, sets)
    shelf = {key: list(ids) for key, ids in index.candidates(sorted({key for row in keys for key in row})).items()}
    placed = Placed()
    own: dict[int, int] = {}  # representatives of this batch: id → index in it
    for start, stop, known in _slices(entries, keys, shelf, index):
        for nth in range(start, stop):
            entry = entries[nth]
            best = _nearest(entry, sets.of(nth), _ranked(entry, keys[nth], shelf), known, sets, own)
            if best is not None and best[1] >= limit:
                body = entries[own[best[0]]].body if best[0] in own else known.body(best[0])
                placed.near.append(_near(entry, best, body, len(sets.of(nth))))
            elif keys[nth]:
                own[entry.id] = nth
                _shelve(entry.id, keys[nth], shelf, placed)
    return placed


def shelve(entries: Sequence[Entry], *, index: Index) -> Placed:
    """The rows that make these texts representatives, unasked; where a key is full they are only counted."""
    keys = keys_of(entries)
    shelf = {key: list(ids) for key, ids in index.candidates(sorted({key for row in keys for key in row})).items()}
    placed = Placed()
    for entry, row in zip(entries, keys, strict=True):
        _shelve(entry.id, row, shelf, placed)
    return placed


def neighbours(entry: Entry, *, index: Index, limit: float) -> list[Near]:
    """The representatives that nearly repeat this text, which is one itself from now on."""
    sets = shingles(words([entry.body]))
    shelf = index.candidates(sorted(set(_keys([entry], sets)[0])))
    ranked = _ranked(entry, _keys([entry], sets)[0], shelf)
    known = _Known(index.bodies(sorted(ranked)) if ranked else {})
    found = []
    for text in ranked:
        value, shared = jaccard(sets.of(0), known.set_of(text))
        if value >= limit:
            other = Entry(id=text, body=known.body(text), salt=entry.salt)
            best = (entry.id, value, shared, len(sets.of(0)))
            found.append(_near(other, best, entry.body, len(known.set_of(text))))
    return found


def _keys(entries: Sequence[Entry], sets: Shingles) -> list[list[int]]:
    table = band_keys(signatures(sets), salts=[entry.salt for entry in entries])
    filled = np.diff(sets.bounds) > 0
    return [row if has else [] for row, has in zip(table.tolist(), filled.tolist(), strict=True)]


class _Known:
    """Representatives from the index whose shingles are in memory."""

    def __init__(self, bodies: Mapping[int, str]) -> None:
        self._bodies = bodies
        self._places = {text: nth for nth, text in enumerate(bodies)}
        self._sets = shingles(words(list(bodies.values())))

    def __contains__(self, text: int) -> bool:
        return text in self._places

    def body(self, text: int) -> str:
        return self._bodies[text]

    def set_of(self, text: int) -> Hashes:
        return self._sets.of(self._places[text])


def _slices(
    entries: Sequence[Entry], keys: list[list[int]], shelf: dict[int, list[int]], index: Index
) -> Iterator[tuple[int, int, _Known]]:
    """Runs of the batch, each with the representatives of the index that it may meet, some 256 at a time."""
    wanted: dict[int, None] = {}
    start = 0
    earlier = [_ranked(entry, row, shelf) for entry, row in zip(entries, keys, strict=True)]
    for nth, ids in enumerate(earlier):
        wanted.update(dict.fromkeys(ids))
        if len(wanted) >= _AT_ONCE or nth + 1 == len(entries):
            yield start, nth + 1, _Known(index.bodies(sorted(wanted)) if wanted else {})
            start, wanted = nth + 1, {}


def _ranked(entry: Entry, keys: list[int], shelf: Mapping[int, Sequence[int]]) -> list[int]:
    """The candidates that are worth verifying."""
    shared = Counter(text for key in keys for text in shelf.get(key, ()))
    ranked = sorted(shared, key=lambda text: (-shared[text], text))
    return list(islice((text for text in ranked if text != entry.id and text not in entry.never), MOST_VERIFIED))


def _nearest(
    entry: Entry, own_set: Hashes, ranked: list[int], known: _Known, sets: Shingles, own: Mapping[int, int]
) -> tuple[int, float, int, int] | None:
    """(id, J, shared shingles, its shingles) of the nearest candidate; the earlier ranked one where two are equal."""
    best: tuple[int, float, int, int] | None = None
    for text in ranked:
        if text not in own and text not in known:
            continue
        other = sets.of(own[text]) if text in own else known.set_of(text)
        value, shared = jaccard(own_set, other)
        if best is None or value > best[1]:
            best = (text, value, shared, len(other))
    return best


def _near(entry: Entry, best: tuple[int, float, int, int], body: str, size: int) -> Near:
    text, value, shared, other_size = best
    lost, total = lost_words(entry.body, body)
    return Near(
        text=entry.id,
        representative=text,
        jaccard=value,
        shared=shared,
        overlap_of_text=shared / size,
        overlap_of_representative=shared / other_size,
        lost=lost,
        words=total,
    )


def _shelve(text: int, keys: list[int], shelf: dict[int, list[int]], placed: Placed) -> None:
    for key in dict.fromkeys(keys):
        row = shelf.setdefault(key, [])
        if len(row) >= MOST_PER_KEY:
            placed.hot[key] += 1
            continue
        row.append(text)
        placed.new.append((key, text))


def lost_words(member: str, representative: str) -> tuple[int, int]:
    """How many words of the member stand in no 3-gram of the representative, and how many words it has."""
    both = words([member, representative])
    ours, theirs = _of(both, 0), _of(both, 1)
    size = min(_LOST_SIZE, len(ours), len(theirs)) or 1
    kept = np.isin(ngrams(ours, size), ngrams(theirs, size))
    covered = np.zeros(len(ours) + 1, np.int64)
    for nth in range(size):
        covered[nth : nth + len(kept)] += kept
    return int(len(ours) - np.count_nonzero(covered[: len(ours)])), len(ours)


def _of(both: Words, text: int) -> Hashes:
    return both.hashes[both.bounds[text] : both.bounds[text + 1]]
