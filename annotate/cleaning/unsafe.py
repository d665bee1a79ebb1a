"""Words of harm, weighed in their context; a lesson or a court report is not the thing that it speaks of.

Categories are hazards of the MLCommons AILuminate taxonomy; defamation, intellectual property, privacy and
specialised advice have no lexicon. A language without a lexicon is not checked.
"""

from __future__ import annotations

import codecs
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from annotate.cleaning.findings import Finding, Texts, batch, strongest
from annotate.cleaning.normalise import Hashes, Places, ngrams, words
from annotate.cleaning.thresholds import FLOOR, Thresholds
from annotate.documents import Document

NAME, VERSION = "unsafe", 1
LEXICON = Path(__file__).parent / "lexicons" / "en.toml"

WEIGHTS = {"explicit": 0.6, "slur": 0.5, "ambiguous": 0.25, "clinical": 0.15, "reclaimed": 0.1, "identity": 0.0}
MOST_REPEATS = 3
WINDOW = 200
CARE_TERMS = 3
CARE_SHARE = 0.25
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """forms: all spellings, the term itself first."""

    term: str
    forms: tuple[str, ...]
    category: str
    kind: str
    weight: float


@dataclass(frozen=True, slots=True)
class Terms:
    """Forms of equal word count, sorted by hash. entries: [F] which entry each belongs to."""

    size: int
    hashes: Hashes
    entries: Places


@dataclass(frozen=True, slots=True)
class Lexicon:
    entries: tuple[Entry, ...]
    terms: tuple[Terms, ...]
    care: tuple[Terms, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """A term in a text. word: its first word's number; start, end: code points."""

    entry: int
    word: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Weighed:
    """raw: 1 - prod(1 - w) over a window; adjusted: the same with weights a quarter where care terms stand."""

    raw: float
    adjusted: float
    care: int
    hits: int


@cache
def lexicon(path: Path = LEXICON) -> Lexicon:
    """The entries of one language, ready to be looked up by hash."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    entries = tuple(_entry(row) for row in data["entries"])
    forms = [(form, nth) for nth, entry in enumerate(entries) for form in entry.forms]
    care = [(form, nth) for nth, form in enumerate(data["care"])]
    return Lexicon(entries, _terms(forms), _terms(care))


def _entry(row: dict[str, Any]) -> Entry:  # Any: TOML
    """Slurs are stored as ROT13, so that nobody meets them who only reads the file."""
    forms = [row["term"], *row.get("forms", [])]
    if row["class"] == "slur":
        forms = [codecs.decode(form, "rot13") for form in forms]
    return Entry(forms[0], tuple(forms), row["category"], row["class"], row.get("weight", WEIGHTS[row["class"]]))


def _terms(forms: Sequence[tuple[str, int]]) -> tuple[Terms, ...]:
    by_size: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for form, entry in forms:
        hashes = words([form]).hashes
        by_size[len(hashes)].append((int(ngrams(hashes, len(hashes))[0]), entry))
    return tuple(
        Terms(size, np.array([row[0] for row in sorted(rows)], np.uint64), np.array([row[1] for row in sorted(rows)]))
        for size, rows in sorted(by_size.items())
    )


def weigh(weights: Sequence[tuple[str, float]], *, care: int) -> tuple[float, float]:
    """(raw, adjusted) of the terms in one window; a term counts at most three times."""
    share = CARE_SHARE if care >= CARE_TERMS else 1.0
    seen: dict[str, int] = defaultdict(int)
    raw = adjusted = 1.0
    for term, weight in weights:
        seen[term] += 1
        if seen[term] <= MOST_REPEATS:
            raw *= 1 - weight
            adjusted *= 1 - weight * share
    return 1 - raw, 1 - adjusted


def detect(texts: Sequence[Document], limits: Thresholds) -> Iterator[Finding]:
    """A finding for each hit whose window weighs enough; its score is the window's adjusted weight."""
    prepared = batch(texts)
    book = lexicon()
    hits = _hits(prepared, book)
    care = _places(prepared, book.care)
    for text in sorted(hits):
        yield from _findings(text, hits[text], care.get(text, []), book, limits)


def _places(texts: Texts, terms: Sequence[Terms]) -> dict[int, list[tuple[int, int, int]]]:
    """(word, entry, words in the term) of each term in each text, by word; the longest first where two begin."""
    found: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    table = texts.words
    owners = table.owners()
    for group in terms:
        grams = ngrams(table.hashes, group.size)
        places = np.searchsorted(group.hashes, grams)
        places[places == len(group.hashes)] = 0
        standing = np.flatnonzero(group.hashes[places] == grams)
        for word in standing.tolist():
            text = int(owners[word])
            if owners[word + group.size - 1] == text:
                first = word - int(table.bounds[text])
                found[text].append((first, int(group.entries[places[word]]), group.size))
    for rows in found.values():
        rows.sort(key=lambda row: (row[0], -row[2]))
    return found


def _hits(texts: Texts, book: Lexicon) -> dict[int, list[Hit]]:
    """Hits with a weight; a term inside a longer one is no hit of its own."""
    table = texts.words
    hits: dict[int, list[Hit]] = {}
    for text, rows in _places(texts, book.terms).items():
        base = int(table.bounds[text])
        free = 0
        for word, entry, size in rows:
            if word < free or not book.entries[entry].weight:
                continue
            free = word + size
            start, end = int(table.starts[base + word]), int(table.ends[base + word + size - 1])
            hits.setdefault(text, []).append(Hit(entry, word, start, end))
    return hits


def _findings(
    text: int, hits: Sequence[Hit], care: Sequence[tuple[int, int, int]], book: Lexicon, limits: Thresholds
) -> Iterator[Finding]:
    weighed = _windows(hits, care, book)
    best = [_best(hit, weighed, book) for hit in hits]
    kept = [row for row in zip(hits, best, strict=True) if row[1].adjusted >= FLOOR or row[1].raw >= limits.unsafe]
    named = sorted({book.entries[hit.entry].term for hit, _ in kept})[:_MOST_NAMED]
    for hit, value in strongest(kept, lambda row: row[1].raw):
        entry = book.entries[hit.entry]
        yield Finding(
            text=text,
            detector=NAME,
            version=VERSION,
            category=entry.category,
            start=hit.start,
            end=hit.end,
            score=value.adjusted,
            reason=_reason(entry, value),
            evidence={
                "raw": round(value.raw, 4),
                "adjusted": round(value.adjusted, 4),
                "class": entry.kind,
                "care": value.care,
                "hits": value.hits,
                "terms": named,
                "of": len(kept),
            },
        )


def _best(hit: Hit, weighed: dict[tuple[int, str], Weighed], book: Lexicon) -> Weighed:
    """The heaviest window that holds the hit."""
    category = book.entries[hit.entry].category
    return max((weighed[window, category] for window in _windows_of(hit.word)), key=lambda one: (one.adjusted, one.raw))


def _reason(entry: Entry, best: Weighed) -> str:
    near = f"{best.hits} word{'s' if best.hits > 1 else ''} of this kind within {WINDOW}"
    softened = f", softened by {best.care} words of care" if best.care >= CARE_TERMS else ""
    return f"{entry.kind} word; {near}{softened}"


def _windows_of(word: int) -> tuple[int, ...]:
    """Windows begin each 100 words and hold 200, so words less than 100 apart always share one."""
    nth = word // (WINDOW // 2)
    return (nth,) if nth == 0 else (nth - 1, nth)


def _windows(
    hits: Sequence[Hit], care: Sequence[tuple[int, int, int]], book: Lexicon
) -> dict[tuple[int, str], Weighed]:
    """The weight of each (window, category) that holds a hit."""
    terms: dict[tuple[int, str], list[tuple[str, float]]] = defaultdict(list)
    for hit in hits:
        entry = book.entries[hit.entry]
        for window in _windows_of(hit.word):
            terms[window, entry.category].append((entry.term, entry.weight))
    cared: dict[int, set[int]] = defaultdict(set)
    for word, nth, _ in care:
        for window in _windows_of(word):
            cared[window].add(nth)
    return {
        key: Weighed(*weigh(found, care=len(cared[key[0]])), care=len(cared[key[0]]), hits=len(found))
        for key, found in terms.items()
    }
