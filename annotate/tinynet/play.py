"""What the network does in a round: what it is shown, what it guesses, and one answer with its step.

The twin of `round.js`; the page without scripts, replays and the held-out table all go through here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from annotate.tinynet.items import Item, Paragraph, playable_places
from annotate.tinynet.net import Example, Net, forward, step
from annotate.tinynet.stream import CONTEXT, near
from annotate.tinynet.words import Vocabulary

Mode = Literal["missing", "next", "correction"]

GENTLE, BOLD = 0.02, 0.1  # η


@dataclass(frozen=True)
class Outcome:
    """What an answer did to the gold word, among all words of the vocabulary; losses in nats.

    p_with, p_without: before the step, with and without context; the rest under the context that was chosen.
    """

    p_with: float
    p_without: float
    loss_before: float
    loss_after: float
    p_after: float


def context_before(paragraph: Paragraph, sentence: int, vocabulary: Vocabulary) -> tuple[int, ...]:
    """The last 60 content words of all earlier sentences."""
    words = [word for ids in paragraph.ids[:sentence] for word in ids if vocabulary.content[word]]
    return tuple(words[-CONTEXT:])


def seen(ids: Sequence[int], place: int, context: tuple[int, ...], *, mode: Mode) -> Example:
    """What the network sees of the blank at a place; to the right nothing where the next word is asked for."""
    after = () if mode == "next" else near(ids[place + 1 :])
    return Example(near(ids[:place][::-1]), after, context)


def example(paragraph: Paragraph, item: Item, vocabulary: Vocabulary, *, mode: Mode) -> Example:
    """The blank of an item. Correction trains on the gold at its place: as a missing word."""
    context = context_before(paragraph, item.sentence, vocabulary)
    return seen(paragraph.ids[item.sentence], item.position, context, mode=mode)


def guess(net: Net, given: Example, options: Sequence[int]) -> int:
    """The likeliest of the options."""
    z = forward(net, given).z
    return max(options, key=lambda word: float(z[word]))


def suspect(net: Net, vocabulary: Vocabulary, ids: Sequence[int], context: tuple[int, ...]) -> int:
    """The place of the word that surprises most for how common it is. ids: `items.with_wrong_word`."""

    def doubt(place: int) -> float:
        log_p = forward(net, seen(ids, place, context, mode="missing")).log_p(ids[place])
        return math.log(vocabulary.u[ids[place]]) - log_p

    return max(playable_places(ids, vocabulary), key=doubt)


def answer(net: Net, given: Example, *, gold: int, eta: float, context_on: bool) -> Outcome:
    """Evaluates the gold and takes one step on it."""
    bare = given.without_context()
    whole, alone = forward(net, given), forward(net, bare)
    chosen = whole if context_on else alone
    step(net, chosen, gold=gold, eta=eta)
    after = forward(net, chosen.example)
    return Outcome(
        p_with=float(whole.p[gold]),
        p_without=float(alone.p[gold]),
        loss_before=chosen.loss(gold),
        loss_after=after.loss(gold),
        p_after=float(after.p[gold]),
    )
