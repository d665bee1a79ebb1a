"""Texts that are unusually short or long, counted in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from annotate.cleaning.findings import Finding, batch
from annotate.cleaning.thresholds import Thresholds
from annotate.documents import Document

NAME, VERSION = "length", 1


def detect(texts: Sequence[Document], limits: Thresholds) -> Iterator[Finding]:
    """One finding for the whole text; its score grows from 0.5 at the limit to 1. Source: Gopher, table A1."""
    prepared = batch(texts)
    counts = prepared.words.counts()
    for text in np.flatnonzero((counts < limits.min_words) | (counts > limits.max_words)).tolist():
        count = int(counts[text])
        short = count < limits.min_words
        limit = limits.min_words if short else limits.max_words
        beyond = 1 - count / limit if short else 1 - limit / count
        yield Finding(
            text=text,
            detector=NAME,
            version=VERSION,
            category="short" if short else "long",
            start=0,
            end=len(prepared.bodies[text]),
            score=0.5 + 0.5 * beyond,
            reason=f"{count} words; the limit is {limit}",
            evidence={"words": count, "limit": limit},
        )
