"""The stored form of a text, and its words for comparing, as 64-bit hashes of a whole batch at once.

Nothing is made prettier here: blanks, case, quotes, joiners and bidi marks stay as people wrote them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

VERSION = 1

Hashes = NDArray[np.uint64]
Places = NDArray[np.int64]

_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_NONCHARACTERS = "".join(chr(plane << 16 | low) for plane in range(17) for low in (0xFFFE, 0xFFFF))
_REMOVED = re.compile(f"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufdd0-\ufdef\ud800-\udfff{_NONCHARACTERS}]")

_ALONE = (  # scripts written without blanks: each character is a word
    (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x3029), (0x3041, 0x309F), (0x30A0, 0x30FF), (0x31F0, 0x31FF),
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
    (0x0E00, 0x0E7F), (0x0E80, 0x0EFF), (0x1780, 0x17FF), (0x19E0, 0x19FF),
    (0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F),
)  # fmt: skip
_NO_WORD, _LETTER, _OWN_WORD = 0, 1, 2

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_A = np.uint64(0xBF58476D1CE4E5B9)
_MIX_B = np.uint64(0x94D049BB133111EB)


@dataclass(frozen=True, slots=True)
class Stored:
    """body: the text as the database keeps it; removed: how many characters had no place in it."""

    body: str
    removed: int


def stored(text: str) -> Stored:
    """The form that is hashed and kept. Idempotent; the same text comes back as the same object."""
    body, removed = _REMOVED.subn("", _LINE_ENDS.sub("\n", text))
    if not unicodedata.is_normalized("NFC", body):
        body = unicodedata.normalize("NFC", body)
    return Stored(body, removed)


def stored_values(value: object) -> object:
    """A JSON value whose strings, keys too, are in the stored form; numbers that JSON cannot hold become null."""
    if isinstance(value, str):
        return stored(value).body
    if isinstance(value, dict):
        return {stored(str(key)).body: stored_values(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [stored_values(inner) for inner in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a batch, one text after the other.

    hashes, starts, ends: [W] of each word its hash and its span in the body, in code points.
    bounds: [N + 1] words bounds[i]:bounds[i + 1] belong to text i.
    """

    hashes: Hashes
    starts: Places
    ends: Places
    bounds: Places

    def counts(self) -> Places:
        return np.diff(self.bounds)

    def owners(self) -> Places:
        """[W] the text that each word belongs to."""
        return np.repeat(np.arange(len(self.bounds) - 1), self.counts())


def words(bodies: Sequence[str]) -> Words:
    """Words for comparing: NFKC and lower case of each character; letters, digits, `_` and marks in runs.

    Each character is folded by itself, so that a word keeps its place in the body.
    """
    lengths = np.fromiter(map(len, bodies), np.int64, len(bodies))
    points = np.frombuffer("".join(bodies).encode("utf-32-le", "surrogatepass"), np.uint32)
    folded, origins = _fold(points)
    kinds = _kinds(folded)
    first_of_text = np.zeros(len(points) + 1, np.bool_)
    first_of_text[np.cumsum(lengths)] = True
    first_of_text[0] = True
    starts_text = first_of_text[origins]
    starts_text[1:] &= origins[1:] != origins[:-1]

    is_word = kinds != _NO_WORD
    before = np.zeros(len(kinds), np.uint8)
    before[1:] = kinds[:-1]
    begins = is_word & ((kinds == _OWN_WORD) | (before != _LETTER) | starts_text)
    places = np.flatnonzero(is_word)
    firsts = np.flatnonzero(begins[places])  # index into places of each word's first character
    if not len(firsts):
        nothing = np.zeros(0, np.int64)
        return Words(nothing.astype(np.uint64), nothing, nothing, np.zeros(len(bodies) + 1, np.int64))

    sizes = np.diff(firsts, append=len(places))
    nth = np.arange(len(places)) - np.repeat(firsts, sizes)
    letters = mix(folded[places].astype(np.uint64) + (nth.astype(np.uint64) << np.uint64(21)))
    hashes = mix(np.add.reduceat(letters, firsts))
    from_point = origins[places[firsts]]
    to_point = origins[places[firsts + sizes - 1]] + 1
    text_starts = np.concatenate([[0], np.cumsum(lengths)])
    bounds = np.searchsorted(from_point, text_starts).astype(np.int64)
    offsets = np.repeat(text_starts[:-1], np.diff(bounds))
    return Words(hashes, from_point - offsets, to_point - offsets, bounds)


def _fold(points: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], Places]:
    """The folded characters, and for each the index of the character that it came from."""
    seen = np.flatnonzero(np.bincount(points, minlength=1)).tolist()
    changed = {point: folding for point in seen if (folding := _folding(point)) != chr(point)}
    table = np.arange(max(seen, default=0) + 1, dtype=np.uint32)
    sizes = np.ones(len(table), np.int64)
    for point, folding in changed.items():
        table[point] = ord(folding[0]) if folding else 0x20
        sizes[point] = max(len(folding), 1)
    if sizes.max() == 1:
        return table[points], np.arange(len(points))
    repeats = sizes[points]
    origins = np.repeat(np.arange(len(points)), repeats)
    folded = table[points[origins]]
    nth = np.arange(len(origins)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    for place in np.flatnonzero(nth).tolist():  # later characters of what one character became: rare
        folded[place] = ord(changed[int(points[origins[place]])][int(nth[place])])
    return folded, origins


def _folding(point: int) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", chr(point)).lower())


def _kinds(folded: NDArray[np.uint32]) -> NDArray[np.uint8]:
    seen = np.flatnonzero(np.bincount(folded, minlength=1)).tolist()
    table = np.zeros(max(seen, default=0) + 1, np.uint8)
    for point in seen:
        character = chr(point)
        if any(low <= point <= high for low, high in _ALONE):
            table[point] = _OWN_WORD if _is_word(character) else _NO_WORD
        elif _is_word(character):
            table[point] = _LETTER
    return table[folded]


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_" or unicodedata.category(character).startswith("M")


def mix(values: Hashes) -> Hashes:
    """64 bits well stirred: the finaliser of splitmix64 (Steele, Lea, Flood 2014)."""
    values = values + _GOLDEN
    values = (values ^ (values >> np.uint64(30))) * _MIX_A
    values = (values ^ (values >> np.uint64(27))) * _MIX_B
    return values ^ (values >> np.uint64(31))


def ngrams(hashes: Hashes, size: int) -> Hashes:
    """[W - size + 1] a hash for each run of size words, size mixed in; runs over text borders are the caller's."""
    if len(hashes) < size:
        return np.zeros(0, np.uint64)
    total = np.full(len(hashes) - size + 1, size, np.uint64)
    for nth in range(size):
        total = mix(total ^ hashes[nth : len(hashes) - size + 1 + nth])
    return total
