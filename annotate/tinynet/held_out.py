"""What a start is worth: accuracy on blanks of paragraphs that it has not read, with and without context.

Chance is 25 % of four options. Intervals are 95 %, by 2,000 bootstrap draws over paragraphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any  # the table is JSON

import numpy as np
from numpy.typing import NDArray

from annotate.tinynet.items import Item, Paragraph, playable_places, with_wrong_word
from annotate.tinynet.net import Net, Pass, forward
from annotate.tinynet.paragraphs import BLANKS
from annotate.tinynet.play import Mode, context_before, guess, seen, suspect
from annotate.tinynet.words import Vocabulary

DRAWS = 2_000
EARLY, LATE = (1, 2), (5, 6, 7)  # sentences 2 to 3 and 6 to 8, counted from 0
READINGS: tuple[Mode, ...] = ("missing", "next")

Table = dict[str, Any]
Floats = NDArray[np.float64]


def table(net: Net, vocabulary: Vocabulary, paragraphs: Sequence[Paragraph]) -> Table:
    """All figures as shares from 0 to 1; a gain is [mean, low, high]. Some 2 ms a blank; no figures of no paragraph."""
    if not paragraphs:
        return {"paragraphs": 0}
    readings = {mode: _reading(net, vocabulary, paragraphs, mode) for mode in READINGS}
    return {
        "paragraphs": len(paragraphs),
        "modes": {mode: _summary(answers) for mode, answers in readings.items()},
        "correction": _correction(net, vocabulary, paragraphs),
        "switched_off": {
            part: {mode: _mean(answers.column(f"no_{part}")[answers.counted]) for mode, answers in readings.items()}
            for part in ("copy", "pull", "both")
        },
        "by_sentence": {mode: _by_sentence(answers) for mode, answers in readings.items()},
    }


def offered(found: Table) -> bool:
    """Whether context helps beyond doubt in both modes; otherwise the page offers the newborn."""
    return bool(found.get("paragraphs")) and all(found["modes"][mode]["gain"][1] > 0 for mode in READINGS)


def accuracy(net: Net, vocabulary: Vocabulary, paragraphs: Sequence[Paragraph], *, mode: Mode) -> float:
    """Share of all blanks right with context: what an exam asks."""
    right = [
        guess(net, seen(whole.ids[item.sentence], item.position, context, mode=mode), item.shown) == item.gold
        for whole in paragraphs
        for item in whole.items
        for context in [context_before(whole, item.sentence, vocabulary)]
    ]
    return _mean(np.array(right, np.float64))


@dataclass(frozen=True)
class _Answers:
    """One row a blank. paragraph, order: [N] where it stands; order counts played sentences from 0."""

    paragraph: NDArray[np.int64]
    order: NDArray[np.int64]
    names: tuple[str, ...]
    values: Floats  # [N, names]

    @classmethod
    def of(cls, places: Sequence[tuple[int, int]], rows: Sequence[dict[str, float]]) -> _Answers:
        paragraph, order = np.array(places, np.int64).reshape(-1, 2).T
        names = tuple(rows[0]) if rows else ()
        return cls(paragraph, order, names, np.array([list(row.values()) for row in rows]).reshape(-1, len(names)))

    def column(self, name: str) -> Floats:
        values: Floats = self.values[:, self.names.index(name)]
        return values

    @property
    def counted(self) -> NDArray[np.bool_]:
        """Blanks with a sentence before them."""
        return self.order > 0

    def gain(self, more: str, less: str, at: NDArray[np.bool_]) -> list[float]:
        """The mean difference of two columns, and its interval."""
        difference = self.column(more)[at] - self.column(less)[at]
        return _interval(difference, self.paragraph[at])


def _interval(values: Floats, paragraph: NDArray[np.int64]) -> list[float]:
    _, owner = np.unique(paragraph, return_inverse=True)
    sums, counts = np.bincount(owner, values), np.bincount(owner)
    drawn = np.random.default_rng(1).integers(len(counts), size=(DRAWS, len(counts)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return [_rounded(values.mean()), _rounded(low), _rounded(high)]


def _reading(net: Net, vocabulary: Vocabulary, paragraphs: Sequence[Paragraph], mode: Mode) -> _Answers:
    places, rows = [], []
    for index, whole in enumerate(paragraphs):
        other = paragraphs[(index + 1) % len(paragraphs)]
        for order, sentence in enumerate(whole.blanks()):
            context = context_before(whole, sentence, vocabulary)
            foreign = context_before(other, other.blanks()[order], vocabulary)
            for item in whole.items:
                if item.sentence == sentence:
                    places.append((index, order))
                    rows.append(_row(net, whole, item, mode, context=context, foreign=foreign))
    return _Answers.of(places, rows)


def _row(
    net: Net, whole: Paragraph, item: Item, mode: Mode, *, context: tuple[int, ...], foreign: tuple[int, ...]
) -> dict[str, float]:
    def passed(given: tuple[int, ...]) -> Pass:
        return forward(net, seen(whole.ids[item.sentence], item.position, given, mode=mode))

    def right(z: Floats) -> float:
        options = list(item.shown)
        return float(np.argmax(z[options]) == 0)

    full, bare = passed(context), passed(())
    return {
        "with": right(full.z),
        "without": right(bare.z),
        "other": right(passed(foreign).z),
        "no_copy": right(full.z - full.seen),
        "no_pull": right(full.z - full.pull),
        "no_both": right(full.z - full.seen - full.pull),
        "loss_with": full.loss(item.gold),
        "loss_without": bare.loss(item.gold),
    }


def _summary(answers: _Answers) -> Table:
    at = answers.counted
    names = ("without", "with", "other", "loss_without", "loss_with")
    return {
        "n": int(at.sum()),
        **{name: _mean(answers.column(name)[at]) for name in names},
        "gain": answers.gain("with", "without", at),
        "other_gain": answers.gain("other", "without", at),
        "early": answers.gain("with", "without", np.isin(answers.order, EARLY)),
        "late": answers.gain("with", "without", np.isin(answers.order, LATE)),
    }


def _by_sentence(answers: _Answers) -> Table:
    each = [answers.order == order for order in range(BLANKS)]
    return {name: [_mean(answers.column(name)[at]) for at in each] for name in ("without", "with")}


def _correction(net: Net, vocabulary: Vocabulary, paragraphs: Sequence[Paragraph]) -> Table:
    places, rows = [], []
    for index, whole in enumerate(paragraphs):
        for item in whole.items:
            order = whole.blanks().index(item.sentence)
            if order > 0:
                places.append((index, order))
                rows.append(_corrected(net, vocabulary, whole, item))
    answers = _Answers.of(places, rows)
    at = answers.counted
    return {
        "n": len(rows),
        "chance": _mean(answers.column("chance")),
        **{
            what: {
                "without": _mean(answers.column(f"{what}_without")),
                "with": _mean(answers.column(f"{what}_with")),
                "gain": answers.gain(f"{what}_with", f"{what}_without", at),
            }
            for what in ("found", "repaired")
        },
    }


def _corrected(net: Net, vocabulary: Vocabulary, whole: Paragraph, item: Item) -> dict[str, float]:
    ids = with_wrong_word(whole.ids[item.sentence], item)
    row = {"chance": 1 / len(playable_places(ids, vocabulary))}
    for name, context in (("without", ()), ("with", context_before(whole, item.sentence, vocabulary))):
        found = suspect(net, vocabulary, ids, context) == item.position
        repaired = guess(net, seen(ids, item.position, context, mode="missing"), item.shown) == item.gold
        row |= {f"found_{name}": float(found), f"repaired_{name}": float(found and repaired)}
    return row


def _mean(values: Floats) -> float:
    return _rounded(values.mean()) if len(values) else 0.0


def _rounded(value: float) -> float:
    return round(float(value), 4)
