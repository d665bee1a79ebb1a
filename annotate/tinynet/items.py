"""What is played: paragraphs with their blanks and wrong words, and which of them a round takes.

Every draw is by `mulberry32`, so that the same start and the same text give the same items.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any  # payloads are JSON

import numpy as np

from annotate.tinynet.net import mulberry32, shuffled
from annotate.tinynet.paragraphs import BLANKS, Sentence, cloze_order
from annotate.tinynet.words import UNKNOWN, Vocabulary

BLANKS_PER_SENTENCE = 4
FIRST_BLANK = 2  # there must be something to the left
LEAST_PLAYABLE = 2  # words of a sentence: correction needs a choice
DISTRACTORS = 4
LIKE_COUNT = 0.5  # difference of log counts
ENDINGS = ("ing", "ed", "ly", "tion", "s", "er", "al", "ive", "ous", "ment", "ity")
STEM = 3  # letters that a word has before its ending
EXAM_SHARE, EXAM_PARAGRAPHS, EXAM_BLANKS = 7, 8, 200


@dataclass(frozen=True)
class Item:
    """One blank. sentence: index in the paragraph; position: index of the word; the rest are ids.

    distractors: three that are shown, then the wrong word of correction mode.
    """

    sentence: int
    position: int
    gold: int
    distractors: tuple[int, int, int, int]

    @property
    def shown(self) -> tuple[int, ...]:
        return (self.gold, *self.distractors[:3])

    @property
    def wrong(self) -> int:
        return self.distractors[3]


@dataclass(frozen=True)
class Paragraph:
    """Up to 16 sentences read, eight of them with blanks. ids: of each sentence's words."""

    key: str
    sentences: tuple[Sentence, ...]
    ids: tuple[tuple[int, ...], ...]
    items: tuple[Item, ...]

    def blanks(self) -> list[int]:
        """The sentences that are played, in reading order."""
        return sorted({item.sentence for item in self.items})


def paragraph(window: Sequence[Sentence], vocabulary: Vocabulary, *, start: str, key: str) -> Paragraph | None:
    """The paragraph of a window; None where fewer than eight of its sentences have an item.

    start: the version of the vocabulary's start (`Start.items_seed`); key: the SHA-256 of the text.
    """
    draws = mulberry32(int(sha256((start + key).encode()).hexdigest()[:8], 16))
    ids = tuple(tuple(vocabulary.ids(sentence.tokens)) for sentence in window)
    words = _Words.of(vocabulary)
    items: list[Item] = []
    played = 0
    for index, sentence in enumerate(window):
        if played < BLANKS and sentence.may_be_played() and (found := _items(index, ids[index], words, draws)):
            items += found
            played += 1
    return Paragraph(key, tuple(window), ids, tuple(items)) if played == BLANKS else None


@dataclass(frozen=True)
class _Words:
    """The playable words: ids, ascending; log counts and ending classes beside them."""

    vocabulary: Vocabulary
    ids: np.ndarray[Any, np.dtype[np.int64]]
    log_counts: np.ndarray[Any, np.dtype[np.float64]]
    endings: np.ndarray[Any, np.dtype[np.int64]]

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> _Words:
        ids = np.flatnonzero(vocabulary.playable)
        endings = np.array([ending(vocabulary.words[word]) for word in ids], np.int64)
        return cls(vocabulary, ids, np.log(np.array(vocabulary.counts, np.float64)[ids]), endings)

    def like(self, gold: int, sentence: Sequence[int]) -> list[int]:
        """Words that could be mistaken for gold: as common and ending alike; as common; the nearest in count."""
        place = int(np.searchsorted(self.ids, gold))
        apart = np.abs(self.log_counts - self.log_counts[place])
        free = ~np.isin(self.ids, list(sentence))
        common = free & (apart <= LIKE_COUNT)
        alike = common & (self.endings == self.endings[place])
        for choice in (alike, common):
            if choice.sum() >= DISTRACTORS:
                return [int(word) for word in self.ids[choice]]
        nearest = np.flatnonzero(free)[np.argsort(apart[free], kind="stable")][:DISTRACTORS]
        return [int(word) for word in self.ids[nearest]]


def ending(word: str) -> int:
    """The word's ending class: the first ending that it exceeds by three letters, or −1."""
    fits = (nth for nth, end in enumerate(ENDINGS) if word.endswith(end) and len(word) >= len(end) + STEM)
    return next(fits, -1)


def _items(index: int, ids: Sequence[int], words: _Words, draws: Iterator[float]) -> list[Item]:
    playable = playable_places(ids, words.vocabulary)
    places = [place for place in playable if place >= FIRST_BLANK]
    if len(playable) < LEAST_PLAYABLE:
        return []
    items = []
    for place in sorted(shuffled(places, draws)[:BLANKS_PER_SENTENCE]):
        like = shuffled(words.like(ids[place], ids), draws)[:DISTRACTORS]
        if len(like) == DISTRACTORS:
            items.append(Item(index, place, ids[place], (like[0], like[1], like[2], like[3])))
    return items


def playable_places(ids: Sequence[int], vocabulary: Vocabulary) -> list[int]:
    return [place for place, word in enumerate(ids) if word != UNKNOWN and vocabulary.playable[word]]


def with_wrong_word(ids: Sequence[int], item: Item) -> list[int]:
    """The sentence of correction mode. Each of its playable words is a choice."""
    return [*ids[: item.position], item.wrong, *ids[item.position + 1 :]]


def draw_round(items: Sequence[Item], *, seed: int, answers: Mapping[Item, int], met: Mapping[Item, int]) -> list[Item]:
    """One item a sentence: least met by this person, then fewest answers by people, then by the seed.

    So nobody meets an item again before all of its sentence are used.
    """
    mixed = shuffled(sorted(items, key=lambda item: (item.sentence, item.position)), mulberry32(seed))
    mixed.sort(key=lambda item: (met.get(item, 0), answers.get(item, 0)))
    best: dict[int, Item] = {}
    for item in mixed:
        best.setdefault(item.sentence, item)
    return [best[sentence] for sentence in sorted(best)]


def options(item: Item, *, seed: int, number: int) -> list[int]:
    """The four words in the order in which attempt `number` of the round shows them."""
    return shuffled(item.shown, mulberry32(seed + number))


def reserved(keys: Sequence[str]) -> list[str]:
    """Paragraphs of the exam, which are never played: one in seven, the last in cloze order, at most eight."""
    count = min(EXAM_PARAGRAPHS, len(keys) // EXAM_SHARE)
    return sorted(keys, key=cloze_order)[len(keys) - count :]


def theme(found: Paragraph, vocabulary: Vocabulary) -> list[str]:
    """The two most telling content words: often here, rare elsewhere."""
    counts = Counter(word for ids in found.ids for word in ids if vocabulary.content[word])
    telling = {word: -count * float(np.log(1 / vocabulary.u[word])) for word, count in counts.items()}
    return [vocabulary.words[word] for word in sorted(telling, key=lambda word: (telling[word], word))[:2]]


def payload(found: Paragraph, vocabulary: Vocabulary) -> dict[str, Any]:
    """The paragraph as the browser reads it; spans and choices by UTF-16 unit, as JavaScript counts."""
    return {
        "key": found.key,
        "sentences": [
            {"text": sentence.text, "ids": list(ids), "spans": _spans(sentence), "played": index in found.blanks()}
            for index, (sentence, ids) in enumerate(zip(found.sentences, found.ids, strict=True))
        ],
        "items": [asdict(item) | {"choices": _choices(found, item, vocabulary)} for item in found.items],
    }


def _spans(sentence: Sentence) -> list[list[int]]:
    units = np.cumsum([0, *(1 + (ord(letter) > 0xFFFF) for letter in sentence.text)])
    return [[int(units[token.start]), int(units[token.end])] for token in sentence.tokens]


def _choices(found: Paragraph, item: Item, vocabulary: Vocabulary) -> list[int]:
    return playable_places(with_wrong_word(found.ids[item.sentence], item), vocabulary)
