"""Lines, paragraphs and word runs that come again and again. Refrains, tables and legal text do so rightly.

Source: Rae et al. 2021 (Gopher), table A1. Unlike there a run counts only where it stands at least twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from annotate.cleaning.findings import MOST_PER_TEXT, Finding, Texts, batch, strongest
from annotate.cleaning.normalise import Hashes, Places, mix, ngrams
from annotate.cleaning.thresholds import Thresholds
from annotate.documents import Document

NAME, VERSION = "repetition", 1

Mask = NDArray[np.bool_]
Span = tuple[int, int]


def detect(texts: Sequence[Document], limits: Thresholds) -> Iterator[Finding]:
    """A finding for each repeat after the first, with the share of the text that repeats as its score."""
    prepared = batch(texts)
    runs = _runs(prepared, limits)
    for text, body in enumerate(prepared.bodies):
        kinds = [
            *_blocks(body, "\n", "lines", limits),
            *_blocks(body, "\n\n", "paragraphs", limits),
            *runs.get(text, ()),
        ]
        rows = [(kind, span) for kind in kinds for span in kind.spans[:MOST_PER_TEXT]]
        for kind, (start, end) in strongest(rows, lambda row: row[0].score):
            yield Finding(
                text=text,
                detector=NAME,
                version=VERSION,
                category=kind.category,
                start=start,
                end=end,
                score=kind.score,
                reason=kind.reason,
                evidence=kind.evidence | {"of": len(kind.spans)},
            )


@dataclass(frozen=True, slots=True)
class _Kind:
    """One way in which a text repeats itself, and where."""

    category: str
    score: float
    reason: str
    evidence: dict[str, Any]  # JSON
    spans: list[Span]


def _blocks(body: str, border: str, category: str, limits: Thresholds) -> Iterator[_Kind]:
    blocks = [stripped for block in body.split(border) if (stripped := block.strip())]
    if len(set(blocks)) == len(blocks):
        return
    counts = Counter(blocks)
    again = len(blocks) - len(counts)
    characters = sum((count - 1) * len(block) for block, count in counts.items()) / sum(map(len, blocks))
    share = again / len(blocks)
    if share > limits.repeated_lines or characters > limits.repeated_line_characters:
        yield _Kind(
            category=category,
            score=max(share, characters),
            reason=f"{again} of {len(blocks)} {category} repeat earlier ones: {characters:.0%} of their characters",
            evidence={"share": round(share, 4), "characters": round(characters, 4)},
            spans=list(_repeats(body, border)),
        )


def _repeats(body: str, border: str) -> Iterator[Span]:
    """The spans of blocks that stood before."""
    seen: set[str] = set()
    place = 0
    for block in body.split(border):
        stripped = block.strip()
        if stripped and stripped in seen:
            start = place + block.index(stripped)
            yield start, start + len(stripped)
        seen.add(stripped)
        place += len(block) + len(border)


@dataclass(frozen=True, slots=True)
class _Batch:
    """The words of some texts. owners: [W] text; sizes: [W] characters of each word; totals: [N] characters."""

    hashes: Hashes
    owners: Places
    sizes: Places
    totals: Places

    def only(self, chosen: Mask) -> tuple[_Batch, Places]:
        """The words of the chosen texts, and where they stood."""
        places = np.flatnonzero(chosen[self.owners])
        return _Batch(self.hashes[places], self.owners[places], self.sizes[places], self.totals), places

    def shares(self, covered: Mask) -> NDArray[np.float64]:
        """[N] the share of each text's characters that stands in covered words."""
        weights = np.where(covered, self.sizes, 0)
        return np.bincount(self.owners, weights, len(self.totals)) / self.totals


def _runs(texts: Texts, limits: Thresholds) -> dict[int, list[_Kind]]:
    """Word runs over a limit, by text: of each category those of the shortest such run."""
    words = texts.words
    sizes = words.ends - words.starts
    owners = words.owners()
    totals = np.maximum(np.bincount(owners, sizes, len(texts)), 1)
    whole = _Batch(words.hashes, owners, sizes, totals.astype(np.int64))
    found: dict[int, list[_Kind]] = {}
    over = np.zeros(len(texts), np.bool_)
    for size, limit in ((2, limits.top_2grams), (3, limits.top_3grams), (4, limits.top_4grams)):
        covered, again = _top(whole, size)
        run = _Run(size=size, limit=limit, category="top_run", shares=whole.shares(covered), again=again)
        over = _report(texts, found, over, run)
    over = np.zeros(len(texts), np.bool_)
    chosen = np.ones(len(texts), np.bool_)
    for size in range(5, 11):
        part, places = whole.only(chosen)
        covered = _repeated(part, size)
        again = np.zeros(len(words.hashes), np.bool_)
        again[places] = covered
        limit = getattr(limits, f"repeated_{size}grams")
        run = _Run(size=size, limit=limit, category="runs", shares=part.shares(covered), again=again)
        over = _report(texts, found, over, run)
        chosen &= (run.shares > limits.repeated_10grams) & ~over  # what repeats in long runs repeats in short ones too
        if not chosen.any():
            break
    return found


def _grams(part: _Batch, size: int) -> tuple[Hashes, Places]:
    """Hashes of the runs that lie within one text, that text mixed in, and the words where they begin."""
    grams = ngrams(part.hashes, size)
    inside = np.flatnonzero(part.owners[: len(grams)] == part.owners[size - 1 : size - 1 + len(grams)])
    return mix(grams[inside] ^ mix(part.owners[inside].astype(np.uint64))), inside


def _covered(total: int, starts: Places, size: int) -> Mask:
    """[W] the words that lie in a run of size words from one of starts."""
    steps = np.zeros(total + 1, np.int64)
    np.add.at(steps, starts, 1)
    np.add.at(steps, starts + size, -1)
    return np.cumsum(steps[:-1]) > 0


def _repeated(part: _Batch, size: int) -> Mask:
    """[W] words in all but the first standing of runs that stand at least twice; Gopher counts these."""
    grams, starts = _grams(part, size)
    order = np.argsort(grams, kind="stable")
    ordered = grams[order]
    again = np.zeros(len(grams), np.bool_)
    again[order[1:]] = ordered[1:] == ordered[:-1]
    return _covered(len(part.hashes), starts[again], size)


def _top(part: _Batch, size: int) -> tuple[Mask, Mask]:
    """[W] words in each text's most frequent run, if it stands twice; words in all but its first standing."""
    grams, starts = _grams(part, size)
    if not len(grams):
        nothing = np.zeros(len(part.hashes), np.bool_)
        return nothing, nothing
    unique, first, inverse, counts = np.unique(grams, return_index=True, return_inverse=True, return_counts=True)
    owner = part.owners[starts[first]]
    order = np.lexsort((first, -counts, owner))
    leads = np.ones(len(order), np.bool_)
    leads[1:] = owner[order][1:] != owner[order][:-1]
    is_top = np.zeros(len(unique), np.bool_)
    is_top[order[leads]] = True
    is_top &= counts > 1
    standing = is_top[inverse]
    later = standing.copy()
    later[first[is_top]] = False
    total = len(part.hashes)
    return _covered(total, starts[standing], size), _covered(total, starts[later], size)


@dataclass(frozen=True, slots=True)
class _Run:
    """Runs of size words. shares: [N] of each text's characters; again: [W] words that stood in such a run before."""

    size: int
    limit: float
    category: str
    shares: NDArray[np.float64]
    again: Mask

    def reason(self, share: float) -> str:
        what = "are its most frequent run" if self.category == "top_run" else "stand in repeated runs"
        return f"{share:.0%} of its characters {what} of {self.size} words; the limit is {self.limit:.0%}"


def _report(texts: Texts, found: dict[int, list[_Kind]], over: Mask, run: _Run) -> Mask:
    """Adds what is over the limit to found, for texts not in over yet; returns over with them in it."""
    for text in np.flatnonzero((run.shares > run.limit) & ~over).tolist():
        share = min(float(run.shares[text]), 1.0)
        evidence = {"run_words": run.size, "share": round(share, 4), "limit": run.limit}
        spans = list(_spans(texts, text, run.again))
        found.setdefault(text, []).append(_Kind(run.category, share, run.reason(share), evidence, spans))
    return over | (run.shares > run.limit)


def _spans(texts: Texts, text: int, again: Mask) -> Iterator[Span]:
    """Unbroken stretches of marked words, from the first one's start to the last one's end."""
    words = texts.words
    low, high = int(words.bounds[text]), int(words.bounds[text + 1])
    edges = np.flatnonzero(np.diff(again[low:high].astype(np.int8), prepend=0, append=0))
    for first, after in edges.reshape(-1, 2).tolist():
        yield int(words.starts[low + first]), int(words.ends[low + after - 1])
