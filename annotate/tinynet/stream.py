"""Training text as flat arrays of ids: what pretraining takes its batches from, and the practice stream of auto-play.

The practice stream is sent as uint16, little-endian: 65,535 ends a sentence, 65,534 the last sentence of a paragraph.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from annotate.errors import AnnotateError
from annotate.tinynet.net import Example, Net, forward, mulberry32, step
from annotate.tinynet.words import EDGE, NUMBER, Vocabulary

Places = NDArray[np.int64]
Document = Sequence[Sequence[int]]  # the ids of each sentence
Reading = Literal["missing", "next"]

NEAR = 5  # words of each side that the network sees
CONTEXT = 60  # content words of earlier sentences that it sees
LEAST_WORDS = 3  # of a sentence that gives examples
PRACTICE_WORDS = 40_000
END_OF_SENTENCE, END_OF_PARAGRAPH = 65_535, 65_534


def near(ids: Sequence[int]) -> tuple[int, ...]:
    """The first five of ids, nearest first; where the sentence ends earlier, its edge follows."""
    return tuple(ids[:NEAR]) if len(ids) >= NEAR else (*ids, EDGE)


@dataclass(frozen=True)
class Stream:
    """Documents one after the other. sentence: [W] of each word; the four others say of each sentence

    first, last: its words are ids[first:last]; since, until: its context is content[since:until].
    """

    ids: NDArray[np.int32]
    sentence: NDArray[np.int32]
    first: Places
    last: Places
    since: Places
    until: Places
    content: NDArray[np.int32]

    @classmethod
    def of(cls, documents: Iterable[Document], vocabulary: Vocabulary) -> Stream:
        ids: list[int] = []
        content: list[int] = []
        bounds: list[tuple[int, int, int, int]] = []
        is_content = vocabulary.content.tolist()
        for document in documents:
            begun = len(content)
            for sentence in document:
                since = max(begun, len(content) - CONTEXT)
                bounds.append((len(ids), len(ids) + len(sentence), since, len(content)))
                ids.extend(sentence)
                content.extend(word for word in sentence if is_content[word])
        first, last, since_, until = np.array(bounds, np.int64).reshape(-1, 4).T
        owner = np.repeat(np.arange(len(bounds), dtype=np.int32), last - first)
        return cls(np.array(ids, np.int32), owner, first, last, since_, until, np.array(content, np.int32))

    def blanks(self) -> Places:
        """Places that make an example: known words, no numbers, in sentences of at least three words."""
        long = (self.last - self.first >= LEAST_WORDS)[self.sentence]
        return np.flatnonzero(long & (self.ids > NUMBER))

    def example(self, place: int, reading: Reading) -> Example:
        sentence = self.sentence[place]
        first, last = int(self.first[sentence]), int(self.last[sentence])
        before = self.ids[max(first, place - NEAR) : place][::-1].tolist()
        after = self.ids[place + 1 : min(last, place + 1 + NEAR)].tolist()
        context = self.content[self.since[sentence] : self.until[sentence]].tolist()
        return Example(near(before), near(after) if reading == "missing" else (), tuple(context))


@dataclass(frozen=True)
class Practice:
    """Examples without end: number n of a seed is one draw of `mulberry32(seed + n)` among the content words."""

    stream: Stream
    blanks: Places

    @classmethod
    def of(cls, documents: Iterable[Document], vocabulary: Vocabulary) -> Practice:
        stream = Stream.of(documents, vocabulary)
        blanks = stream.blanks()
        return cls(stream, blanks[vocabulary.content[stream.ids[blanks]]])

    def example(self, *, seed: int, number: int, reading: Reading) -> tuple[Example, int]:
        """The example, and its gold."""
        place = int(self.blanks[int(next(mulberry32(seed + number)) * len(self.blanks))])
        return self.stream.example(place, reading), int(self.stream.ids[place])


def practise(net: Net, practice: Practice, *, seed: int, numbers: range, reading: Reading, eta: float) -> None:
    """One step on each of the examples, as auto-play does at full speed."""
    for number in numbers:
        example, gold = practice.example(seed=seed, number=number, reading=reading)
        step(net, forward(net, example), gold=gold, eta=eta)


def practice_file(documents: Iterable[Document]) -> bytes:
    """The first documents that hold 40 thousand words together."""
    written: list[int] = []
    words = 0
    for document in documents:
        words += sum(len(sentence) for sentence in document)
        if words > PRACTICE_WORDS:
            break
        for sentence in document:
            written += [*sentence, END_OF_SENTENCE]
        if document:
            written[-1] = END_OF_PARAGRAPH
    return np.array(written, "<u2").tobytes()


def read_practice(data: bytes, vocabulary: Vocabulary) -> Practice:
    """Raises AnnotateError bad_practice where a word is unknown or the last paragraph has no end."""
    marks = np.frombuffer(data[: len(data) // 2 * 2], "<u2")
    known = (marks < len(vocabulary)) | (marks >= END_OF_PARAGRAPH)
    if len(data) % 2 or not known.all() or (len(marks) and marks[-1] != END_OF_PARAGRAPH):
        raise AnnotateError("bad_practice", "This is no practice stream of this vocabulary.")
    documents: list[list[list[int]]] = [[[]]]
    for mark in marks.tolist():
        if mark < END_OF_PARAGRAPH:
            documents[-1][-1].append(mark)
        elif mark == END_OF_SENTENCE:
            documents[-1].append([])
        else:
            documents.append([[]])
    return Practice.of(documents[:-1], vocabulary)
