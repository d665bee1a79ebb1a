"""The game's words: runs of letters with their places in a text, and the vocabulary of at most 1,200 of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

UNKNOWN, NUMBER, EDGE = 0, 1, 2
SPECIAL = ("<unk>", "<num>", "<s>")
SIZE = 1_200
FREQUENT = 120  # so many of the most frequent words carry grammar, not content
CONTENT_LETTERS = 2
PLAYABLE_COUNT = 5

# Han, kana, Thai, Lao, Tibetan, Myanmar, Khmer: a run of letters is no word there
_UNSPACED = re.compile("[\u3400-\u9fff\u3040-\u30ff\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff]")
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+")


class Token(NamedTuple):
    """A word of a text as the network knows it, and where it stands there, in code points."""

    word: str
    start: int
    end: int


def tokens(text: str) -> list[Token]:
    """Lower-cased words, `’` written `'`; each run of digits is `<num>`; punctuation is no word."""
    return [Token(normal(found.group()), found.start(), found.end()) for found in _WORD.finditer(text)]


def words_of(text: str) -> list[str]:
    """The words that `tokens` finds, without their places: in a third of the time."""
    return [normal(word) for word in _WORD.findall(text)]


def word_count(text: str) -> int:
    return len(_WORD.findall(text))


def spaced(text: str) -> bool:
    """Whether most letters are of a script that is written with spaces between words."""
    return 2 * len(_UNSPACED.findall(text)) <= len(_LETTER.findall(text))


def normal(word: str) -> str:
    return SPECIAL[NUMBER] if word[:1].isdecimal() else word.lower().replace("’", "'")


@dataclass(frozen=True)
class Vocabulary:
    """words: by id, the three special ones first. counts: in training text, 0 for the special ones.

    total: all words of the training text, also those that have no id.
    """

    words: tuple[str, ...]
    counts: tuple[int, ...]
    total: int

    @classmethod
    def of(cls, counts: Mapping[str, int], *, size: int = SIZE) -> Vocabulary:
        """The most frequent words, by count and then alphabetically. Numbers are no words."""
        words = {word: count for word, count in counts.items() if word != SPECIAL[NUMBER]}
        kept = sorted(words.items(), key=lambda pair: (-pair[1], pair[0]))[: size - len(SPECIAL)]
        return cls(
            words=(*SPECIAL, *(word for word, _ in kept)),
            counts=(*(0 for _ in SPECIAL), *(count for _, count in kept)),
            total=sum(words.values()),
        )

    def __len__(self) -> int:
        return len(self.words)

    def ids(self, found: Iterable[Token]) -> list[int]:
        return [self.index.get(token.word, UNKNOWN) for token in found]

    @cached_property
    def index(self) -> dict[str, int]:
        return {word: place for place, word in enumerate(self.words)}

    @cached_property
    def u(self) -> NDArray[np.float64]:
        """[V] how common each word is."""
        return np.array(self.counts, np.float64) / self.total

    @cached_property
    def content(self) -> NDArray[np.bool_]:
        """[V] words with a meaning of their own: not among the most frequent, and not a single letter."""
        long = np.array([len(word) >= CONTENT_LETTERS for word in self.words])
        return long & (np.arange(len(self)) >= len(SPECIAL) + FREQUENT)

    @cached_property
    def playable(self) -> NDArray[np.bool_]:
        """[V] content words seen often enough to be asked for."""
        return self.content & (np.array(self.counts) >= PLAYABLE_COUNT)
