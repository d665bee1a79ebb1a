"""The trained start: Adam over a corpus in float32, in both modes, some examples without context."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from annotate.errors import AnnotateError
from annotate.tinynet.net import NAMES, RARE, D, Net
from annotate.tinynet.stream import CONTEXT, NEAR, Document, Places, Stream
from annotate.tinynet.words import EDGE, Vocabulary

Single = NDArray[np.float32]
Arrays = dict[str, Single]

LEAST_CORPUS = 20_000  # training words; with 7,000 context was worth nothing
COMMON_FLOOR = 1e-5
BETA1, BETA2, EPSILON = 0.9, 0.99, 1e-8
WARM_UP, LAST_RATE = 100, 0.02  # steps; share of the rate that is left at the end


def _limits(low: float, high: float, help: str) -> Mapping[str, object]:
    return {"low": low, "high": high, "help": help}


@dataclass(frozen=True, kw_only=True)
class GameConfig:
    """How a start is trained. A value out of its limits raises AnnotateError bad_config."""

    seed: int = field(default=1, metadata=_limits(0, 2**32 - 1, "All chance of the training follows from it."))
    epochs: int = field(default=4, metadata=_limits(1, 20, "How often the corpus is read."))
    batch: int = field(default=256, metadata=_limits(16, 1_024, "Examples of one step."))
    learning_rate: float = field(default=0.01, metadata=_limits(1e-5, 0.1, "Highest rate of the schedule."))
    context_dropout: float = field(
        default=0.3, metadata=_limits(0.0, 0.9, "Share of examples without context, so that it is practised too.")
    )
    function_share: float = field(
        default=0.25, metadata=_limits(0.0, 1.0, "Share of the blanks at frequent words that an epoch takes.")
    )

    def __post_init__(self) -> None:
        for known in fields(self):
            value, low, high = getattr(self, known.name), known.metadata["low"], known.metadata["high"]
            if not low <= value <= high:
                sentence = f"{known.name} is {value}; it must lie between {low} and {high}."
                raise AnnotateError("bad_config", sentence, field=known.name)


def pretrain(documents: Iterable[Document], vocabulary: Vocabulary, config: GameConfig) -> Net:
    """The network that has read the documents. Some 7 s of one core for 100 thousand words at the defaults.

    Raises AnnotateError too_few_words where the documents do not fill one batch.
    """
    stream = Stream.of(documents, vocabulary)
    generator = np.random.default_rng(config.seed)
    epochs = [_examples(stream, vocabulary, config, generator) for _ in range(config.epochs)]
    steps = sum(len(epoch.place) // config.batch for epoch in epochs)
    if steps == 0:
        raise AnnotateError("too_few_words", "There is too little text to train on.", least=LEAST_CORPUS)
    newborn = Net.newborn(config.seed, vocabulary.u)
    newborn.b2[:] = np.log(np.maximum(vocabulary.u, COMMON_FLOOR))
    weights = {name: getattr(newborn, name).astype(np.float32) for name in NAMES}
    adam = _Adam.of(weights)
    rarity = (RARE / (RARE + vocabulary.u)).astype(np.float32)
    for epoch in epochs:
        for batch in epoch.batches(config.batch):
            slopes = _gradients(weights, _inputs(stream, rarity, batch))
            adam.step(weights, slopes, rate=config.learning_rate * _schedule(adam.steps + 1, steps))
    return Net(vocabulary.u, *(weights[name].astype(np.float64) for name in NAMES))


def _schedule(step: int, steps: int) -> float:
    """A short climb, then half a cosine down to a fiftieth."""
    falling = LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + np.cos(np.pi * step / steps))
    return float(min(1, step / WARM_UP) * falling)


@dataclass(frozen=True)
class _Examples:
    """place: index into the stream's words; next: nothing to the right is seen; bare: no context is seen."""

    place: Places
    next: NDArray[np.bool_]
    bare: NDArray[np.bool_]

    def batches(self, size: int) -> Iterator[_Examples]:
        for first in range(0, len(self.place) - size + 1, size):
            part = slice(first, first + size)
            yield _Examples(self.place[part], self.next[part], self.bare[part])


def _examples(stream: Stream, vocabulary: Vocabulary, config: GameConfig, generator: np.random.Generator) -> _Examples:
    """Each blank twice, as missing and as next word, in random order; frequent words in a share only."""
    blanks = np.tile(stream.blanks(), 2)
    is_next = np.arange(len(blanks)) >= len(blanks) // 2
    taken = vocabulary.content[stream.ids[blanks]] | (generator.random(len(blanks)) < config.function_share)
    order = generator.permutation(np.flatnonzero(taken))
    return _Examples(blanks[order], is_next[order], generator.random(len(order)) < config.context_dropout)


@dataclass(frozen=True)
class _Inputs:
    """A batch as rows of weights over the words: each pool is one product with E. gold: [B]."""

    left: Single  # [B, V]
    right: Single  # [B, V]
    context: Single  # [B, V]
    seen: Single  # [B, V] log of one more than how often the word stands in the context
    gold: Places


def _inputs(stream: Stream, rarity: Single, batch: _Examples) -> _Inputs:
    sentence = stream.sentence[batch.place]
    first, last = stream.first[sentence][:, None], stream.last[sentence][:, None]
    apart = np.arange(1, NEAR + 1)
    omega = (1 / apart).astype(np.float32)
    before, after = batch.place[:, None] - apart, batch.place[:, None] + apart
    words = len(rarity)
    left = _rows(_read(stream.ids, before, before < first), omega * (before >= first - 1), words)
    shown = (after <= last) & ~batch.next[:, None]
    right = _rows(_read(stream.ids, after, after >= last), omega * shown, words)
    among = stream.until[sentence][:, None] - CONTEXT + np.arange(CONTEXT)
    known = (among >= stream.since[sentence][:, None]) & ~batch.bare[:, None]
    ids = _read(stream.content, among, ~known)
    weights = rarity[ids] * known
    alpha = 2 * weights / np.maximum(weights.sum(axis=1, keepdims=True), np.float32(1e-30))
    times = _rows(ids, known.astype(np.float32), words)
    gold = stream.ids[batch.place].astype(np.int64)
    return _Inputs(left, right, _rows(ids, alpha, words), np.log(1 + times), gold)


def _read(ids: NDArray[np.int32], places: Places, outside: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The ids at places, and the sentence's edge outside of it."""
    if not len(ids):
        return np.full(places.shape, EDGE, np.int32)
    return np.where(outside, EDGE, ids[np.clip(places, 0, len(ids) - 1)])


def _rows(ids: NDArray[np.int32], weights: NDArray[np.float32], words: int) -> Single:
    """[B, V] with the weights added up at their ids."""
    dense = np.zeros(len(ids) * words, np.float32)
    flat = ids + words * np.arange(len(ids))[:, None]
    np.add.at(dense, flat.ravel(), weights.astype(np.float32).ravel())
    return dense.reshape(len(ids), words)


def _gradients(weights: Arrays, batch: _Inputs) -> Arrays:
    """The mean over the batch of the gradients in `net.gradients`."""
    E, W1, W2, g = weights["E"], weights["W1"], weights["W2"], weights["g"]
    context = batch.context @ E
    x = np.concatenate([batch.left @ E, batch.right @ E, context], axis=1)
    h = np.tanh(weights["b1"] + x @ W1.T)
    q = g * context
    delta = weights["b2"] + h @ W2.T + q @ E.T + weights["copy"] * batch.seen  # logits, then p, then δ: [B, V]
    delta -= delta.max(axis=1, keepdims=True)
    np.exp(delta, out=delta)
    delta /= delta.sum(axis=1, keepdims=True)
    delta[np.arange(len(delta)), batch.gold] -= 1
    delta /= len(delta)
    pulled = delta @ E
    da = (delta @ W2) * (1 - h * h)
    dx = da @ W1
    dc = dx[:, 2 * D :] + g * pulled
    dE = delta.T @ q + batch.left.T @ dx[:, :D] + batch.right.T @ dx[:, D : 2 * D] + batch.context.T @ dc
    return {
        "E": dE,
        "W1": da.T @ x,
        "b1": da.sum(axis=0),
        "W2": delta.T @ h,
        "b2": delta.sum(axis=0),
        "copy": np.array([np.vdot(delta, batch.seen)], np.float32),
        "g": (context * pulled).sum(axis=0),
    }


@dataclass
class _Adam:
    """Source: Kingma and Ba 2015, algorithm 1."""

    first: Arrays
    second: Arrays
    steps: int = 0

    @classmethod
    def of(cls, weights: Arrays) -> _Adam:
        first, second = ({name: np.zeros_like(array) for name, array in weights.items()} for _ in range(2))
        return cls(first, second)

    def step(self, weights: Arrays, slopes: Arrays, *, rate: float) -> None:
        self.steps += 1
        unbiased1, unbiased2 = 1 - BETA1**self.steps, 1 - BETA2**self.steps
        for name, slope in slopes.items():
            first, second = self.first[name], self.second[name]
            first += (1 - BETA1) * (slope - first)
            second += (1 - BETA2) * (slope * slope - second)
            weights[name] -= rate / unbiased1 * first / (np.sqrt(second / unbiased2) + EPSILON)
