"""Shingles of texts, their MinHash signature and its bands: what the index of near duplicates is made of.

Version 1: word 5-grams (2-grams under 20 words, the text itself under 2), one-permutation MinHash with 128 bins,
densified, 20 bands of 6 bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from annotate.cleaning.normalise import Hashes, Places, Words, mix, ngrams

VERSION = 1
BINS = 128
BANDS, ROWS = 20, 6
LONG_SIZE, SHORT_SIZE, SHORT_WORDS = 5, 2, 20

_EMPTY = np.uint64(2**64 - 1)


@dataclass(frozen=True, slots=True)
class Shingles:
    """The shingle sets of a batch: hashes bounds[i]:bounds[i + 1] belong to text i, sorted, each once."""

    hashes: Hashes
    bounds: Places

    def of(self, text: int) -> Hashes:
        return self.hashes[self.bounds[text] : self.bounds[text + 1]]


def shingles(words: Words) -> Shingles:
    """The sets that Jaccard's coefficient is taken of."""
    counts, owners = words.counts(), words.owners()
    total = len(words.hashes)
    kept, of_text = [], []
    for size in (1, SHORT_SIZE, LONG_SIZE):
        grams = ngrams(words.hashes, size)
        owner = owners[: len(grams)]
        inside = np.arange(len(grams)) + size <= words.bounds[owner + 1] if total else np.zeros(0, np.bool_)
        chosen = inside & (_size_for(counts)[owner] == size)
        kept.append(grams[chosen])
        of_text.append(owner[chosen])
    grams, owner = np.concatenate(kept), np.concatenate(of_text)
    order = np.lexsort((grams, owner))
    grams, owner = grams[order], owner[order]
    first = np.ones(len(grams), np.bool_)
    first[1:] = (grams[1:] != grams[:-1]) | (owner[1:] != owner[:-1])
    grams, owner = grams[first], owner[first]
    return Shingles(grams, np.searchsorted(owner, np.arange(len(counts) + 1)).astype(np.int64))


def _size_for(counts: Places) -> Places:
    return np.where(counts >= SHORT_WORDS, LONG_SIZE, np.where(counts >= SHORT_SIZE, SHORT_SIZE, 1))


def signatures(sets: Shingles) -> Hashes:
    """[N, 128] one-permutation MinHash, empty bins filled from others of the text; rows of empty sets stay empty.

    Source: Li, Owen, Zhang 2012; densified as in Shrivastava 2017, section 3, with one fixed order a bin.
    """
    texts = len(sets.bounds) - 1
    flat = np.full(texts * BINS, _EMPTY, np.uint64)
    owner = np.repeat(np.arange(texts), np.diff(sets.bounds))
    stirred = mix(sets.hashes)
    bins = owner * BINS + (stirred >> np.uint64(57)).astype(np.int64)
    np.minimum.at(flat, bins, stirred & np.uint64(2**57 - 1))
    table = flat.reshape(texts, BINS)
    return _densified(table)


def _densified(table: Hashes) -> Hashes:
    filled = table != _EMPTY
    dense = table.copy()
    rows, columns = np.nonzero(~filled & filled.any(axis=1, keepdims=True))
    orders = _orders()
    for attempt in range(BINS):
        if not len(rows):
            break
        donors = orders[columns, attempt]
        found = filled[rows, donors]
        dense[rows[found], columns[found]] = table[rows[found], donors[found]]
        rows, columns = rows[~found], columns[~found]
    return dense


def _orders() -> NDArray[np.int64]:
    """[128, 128] for each bin the fixed order in which it asks the others for a value."""
    draws = mix(np.arange(BINS * BINS, dtype=np.uint64)).reshape(BINS, BINS)
    return np.argsort(draws, axis=1, kind="stable")


def band_keys(signature: Hashes, *, salts: Sequence[int]) -> NDArray[np.int64]:
    """[N, 20] signed 64-bit keys; equal keys mean six equal bins in the same band of texts with the same salt.

    salts: one a text; texts of different salts (projects, kinds) never share a key.
    """
    banded = signature[:, : BANDS * ROWS].reshape(len(signature), BANDS, ROWS)
    keys: Hashes = mix(np.asarray(salts, np.uint64))[:, None] + np.arange(BANDS, dtype=np.uint64)[None, :]
    for row in range(ROWS):
        keys = mix(keys ^ banded[:, :, row])
    return keys.view(np.int64)


def probability_of_candidate(jaccard: float) -> float:
    """1 - (1 - J^6)^20: the chance that two texts share a band."""
    return float(1 - (1 - jaccard**ROWS) ** BANDS)


def jaccard(one: Hashes, other: Hashes) -> tuple[float, int]:
    """Jaccard's coefficient of two sorted sets, and how many shingles they share; 0 where both are empty."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    union = len(one) + len(other) - shared
    return (shared / union if union else 0.0), shared
