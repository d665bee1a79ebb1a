"""Texts as the game reads them: sentences, the sixteen that a paragraph is made of, runs of words that two texts share.

Nothing here knows a vocabulary, so that which documents are held out never depends on a network.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from annotate.tinynet.words import Token, tokens, words_of

BLANKS = 8  # sentences of a paragraph that are played
WINDOW = 16
SHORTEST, LONGEST = 5, 30  # words of a sentence that may be played
GRAM = 13

_CODE = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1[^\n]*$|\Z)", re.MULTILINE | re.DOTALL)
_END = re.compile(r"""[.!?]+["'”’»)\]]*(?=\s)""")
_CLOSED = re.compile(r"""[.!?]["'”’»)\]]*$""")


@dataclass(frozen=True)
class Sentence:
    """A sentence, where it begins in its document (in code points), and its words with their places in it."""

    text: str
    start: int
    tokens: tuple[Token, ...]

    def may_be_played(self) -> bool:
        return SHORTEST <= len(self.tokens) <= LONGEST and _CLOSED.search(self.text) is not None


def sentences(document: str) -> list[Sentence]:
    """Cut at line ends, and after . ! ? before a capital letter or a digit. Code blocks and lines without words go."""
    body = _CODE.sub(lambda code: "\n" * len(code.group()), document)  # as long as before: places stay
    found = (Sentence(body[start:end], start, tuple(tokens(body[start:end]))) for start, end in _spans(body))
    return [sentence for sentence in found if sentence.tokens]


def _spans(body: str) -> Iterator[tuple[int, int]]:
    for line in re.finditer(r"[^\n\r]+", body):
        start = line.start()
        for end in _END.finditer(body, line.start(), line.end()):
            following = body[end.end() : line.end()].lstrip()[:1]
            if following.isupper() or following.isdecimal():
                yield _trimmed(body, start, end.end())
                start = end.end()
        yield _trimmed(body, start, line.end())


def _trimmed(body: str, start: int, end: int) -> tuple[int, int]:
    piece = body[start:end]
    return start + len(piece) - len(piece.lstrip()), end - len(piece) + len(piece.rstrip())


def may_hold_window(document: str) -> bool:
    """False only where `window` finds none: a paragraph takes eight ends of sentences. Much faster than a look."""
    return sum(document.count(end) for end in ".!?") >= BLANKS


def window(found: Sequence[Sentence]) -> list[Sentence] | None:
    """The first 16 successive sentences of which 8 may be played; None where there are none."""
    playable = [sentence.may_be_played() for sentence in found]
    for first in range(max(1, len(found) - WINDOW + 1)):
        if sum(playable[first : first + WINDOW]) >= BLANKS:
            return list(found[first : first + WINDOW])
    return None


def cloze_order(text_sha256: str) -> str:
    """What qualifying documents are sorted by: chance, but the same each time."""
    return sha256(f"cloze-1:{text_sha256}".encode()).hexdigest()


def chosen(candidates: Mapping[str, int], *, wanted: int, most_words: int) -> list[str]:
    """Which of the qualifying documents become cloze, in their order. candidates: words, by SHA-256 of the text."""
    found: list[str] = []
    for key in sorted(candidates, key=cloze_order):
        most_words -= candidates[key]
        if len(found) == wanted or most_words < 0:
            break
        found.append(key)
    return found


def grams(document: str) -> set[tuple[str, ...]]:
    """Every run of 13 words."""
    words = words_of(document)
    return {tuple(words[first : first + GRAM]) for first in range(len(words) - GRAM + 1)}


class Grams:
    """Those of held-out documents. What shares one with them is not trained on."""

    def __init__(self, documents: Iterable[str]) -> None:
        self._runs = {run for document in documents for run in grams(document)}
        self._words = frozenset(word for run in self._runs for word in run)

    def in_common(self, document: str) -> bool:
        """Most documents have no 13 words in a row that are known here at all, which is soon seen."""
        row = 0
        for word in words_of(document) if self._runs else ():
            row = row + 1 if word in self._words else 0
            if row == GRAM:
                return not self._runs.isdisjoint(grams(document))
        return False
