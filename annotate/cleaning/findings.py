"""What detectors take and return. A finding becomes a stored flag; it is evidence, never a verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar, overload

from annotate.cleaning.normalise import Words, words
from annotate.documents import Document

MOST_PER_TEXT = 50

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """text: index in the batch; start, end: code points of the body, 0 and its length for the whole text."""

    text: int
    detector: str
    version: int
    category: str
    start: int
    end: int
    score: float
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)  # JSON: each detector has its own keys


class Texts(Sequence[Document]):
    """A batch of documents whose words are hashed once, for all detectors that ask."""

    def __init__(self, bodies: Sequence[str]) -> None:
        self.bodies = list(bodies)

    @overload
    def __getitem__(self, index: int) -> Document: ...
    @overload
    def __getitem__(self, index: slice) -> list[Document]: ...
    def __getitem__(self, index: int | slice) -> Document | list[Document]:
        if isinstance(index, slice):
            return [Document(text=body) for body in self.bodies[index]]
        return Document(text=self.bodies[index])

    def __len__(self) -> int:
        return len(self.bodies)

    def __iter__(self) -> Iterator[Document]:
        return (Document(text=body) for body in self.bodies)

    @cached_property
    def words(self) -> Words:
        return words(self.bodies)


def batch(texts: Sequence[Document]) -> Texts:
    """texts with their words at hand; a batch that has them already comes back as it is."""
    return texts if isinstance(texts, Texts) else Texts([document.text for document in texts])


def strongest(rows: Sequence[T], score: Callable[[T], float]) -> Sequence[T]:
    """At most the 50 rows of one text that a detector may keep, the strongest where it must choose, in order."""
    if len(rows) <= MOST_PER_TEXT:
        return rows
    order = sorted(range(len(rows)), key=lambda nth: (-score(rows[nth]), nth))[:MOST_PER_TEXT]
    return [rows[nth] for nth in sorted(order)]
