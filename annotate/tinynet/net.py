"""The network of the game in float64: weights, a forward pass, one step of plain gradient descent, a copy to undo.

The twin of `net.js`, equal to 1e-9 over 100 steps. Letters: V words, D = 12 numbers a word, H = 16 hidden nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
T = TypeVar("T")

D, H = 12, 16
NAMES = ("E", "W1", "b1", "W2", "b2", "copy", "g")  # the order of every file and sum
RARE = 0.001  # a word this common weighs half of an unseen one in the context
_MASK = 2**32 - 1


def mulberry32(seed: int) -> Iterator[float]:
    """Draws in [0, 1), the same in both languages. Source: Tommy Ettinger's generator, 32 bits of state."""
    a = seed & _MASK
    while True:
        a = (a + 0x6D2B79F5) & _MASK
        t = (a ^ a >> 15) * (a | 1) & _MASK
        t ^= (t + ((t ^ t >> 7) * (t | 61) & _MASK)) & _MASK
        yield (t ^ t >> 14) / 2**32


def shuffled(things: Sequence[T], draws: Iterator[float]) -> list[T]:
    """Fisher-Yates, from the last place down."""
    order = list(things)
    for last in range(len(order) - 1, 0, -1):
        other = int(next(draws) * (last + 1))
        order[last], order[other] = order[other], order[last]
    return order


@dataclass(frozen=True)
class Example:
    """What the network sees. left, right: up to five ids each, nearest first; context: at most 60, in reading order."""

    left: tuple[int, ...]
    right: tuple[int, ...]
    context: tuple[int, ...]

    def without_context(self) -> Example:
        return replace(self, context=())


@dataclass
class Net:
    """All 35,405 numbers, and u, which is counted and not learned."""

    u: Floats  # [V]
    E: Floats  # [V, D]
    W1: Floats  # [H, 3 D]
    b1: Floats  # [H]
    W2: Floats  # [V, H]
    b2: Floats  # [V]
    copy: Floats  # [1]
    g: Floats  # [D]

    @classmethod
    def newborn(cls, seed: int, u: Floats) -> Net:
        """A network that has read nothing: small numbers by `mulberry32(seed)` in the order E, W1, W2; the rest 0."""
        draws, words = mulberry32(seed), len(u)
        return cls(
            u=u,
            E=_drawn(draws, (words, D), 0.5),
            W1=_drawn(draws, (H, 3 * D), 0.3),
            b1=np.zeros(H),
            W2=_drawn(draws, (words, H), 0.17),
            b2=np.zeros(words),
            copy=np.zeros(1),
            g=np.zeros(D),
        )

    def arrays(self) -> list[Floats]:
        return [getattr(self, name) for name in NAMES]

    def twin(self) -> Net:
        """A copy that later steps do not touch."""
        return Net(self.u, *(array.copy() for array in self.arrays()))

    def restore(self, twin: Net) -> None:
        """The numbers of a copy, to the bit."""
        for mine, kept in zip(self.arrays(), twin.arrays(), strict=True):
            mine[...] = kept

    def digest(self) -> list[float]:
        """The sum of each array: what a browser sends of its weights at the end of a round."""
        return [float(array.sum()) for array in self.arrays()]

    def size(self) -> int:
        return sum(array.size for array in self.arrays())


def _drawn(draws: Iterator[float], shape: tuple[int, int], reach: float) -> Floats:
    count = shape[0] * shape[1]
    return (2 * np.fromiter(draws, np.float64, count).reshape(shape) - 1) * reach


@dataclass(frozen=True)
class Pass:
    """One forward pass. z is the sum of common, hidden, pull and seen, which the screen shows as "Why this word"."""

    example: Example
    alpha: Floats  # [context] the weight of each context word
    x: Floats  # [3 D] left, right and context, pooled
    h: Floats  # [H]
    q: Floats  # [D]
    f: Floats  # [V]
    hidden: Floats  # [V]
    pull: Floats  # [V]
    seen: Floats  # [V]
    z: Floats  # [V]
    p: Floats  # [V]
    log_sum: float  # log of the sum of e^z

    def loss(self, gold: int) -> float:
        """−log p of the word, in nats."""
        return float(self.log_sum - self.z[gold])

    def log_p(self, word: int) -> float:
        return -self.loss(word)


def forward(net: Net, example: Example) -> Pass:
    left, right = _near(net, example.left), _near(net, example.right)
    rarity = RARE / (RARE + net.u[list(example.context)])
    alpha = 2 * rarity / rarity.sum() if len(rarity) else rarity
    x = np.concatenate([left, right, alpha @ net.E[list(example.context)]])
    f = np.log(1 + np.bincount(example.context, minlength=len(net.u)) if example.context else np.ones(len(net.u)))
    h = np.tanh(net.b1 + net.W1 @ x)
    q = net.g * x[2 * D :]
    hidden, pull, seen = net.W2 @ h, net.E @ q, net.copy[0] * f
    z = net.b2 + hidden + pull + seen
    top = z.max()
    powers = np.exp(z - top)
    total = powers.sum()
    log_sum = float(np.log(total) + top)
    return Pass(example, alpha, x, h, q, f, hidden, pull, seen, z, powers / total, log_sum)


def _near(net: Net, ids: Sequence[int]) -> Floats:
    return _omega(ids) @ net.E[list(ids)]


def _omega(ids: Sequence[int]) -> Floats:
    """The nearest word counts whole, the next one half, then a third."""
    return 1 / np.arange(1.0, len(ids) + 1)


def gradients(net: Net, seen: Pass, gold: int) -> Net:
    """∂loss of each weight, in a Net's shape."""
    delta = seen.p.copy()
    delta[gold] -= 1
    pulled = delta @ net.E
    da = (delta @ net.W2) * (1 - seen.h * seen.h)
    dx = da @ net.W1
    dc = dx[2 * D :] + net.g * pulled
    example = seen.example
    dE = np.outer(delta, seen.q)
    for ids, weights, slope in (
        (example.left, _omega(example.left), dx[:D]),
        (example.right, _omega(example.right), dx[D : 2 * D]),
        (example.context, seen.alpha, dc),
    ):
        np.add.at(dE, list(ids), np.outer(weights, slope))
    return Net(
        u=net.u,
        E=dE,
        W1=np.outer(da, seen.x),
        b1=da,
        W2=np.outer(delta, seen.h),
        b2=delta,
        copy=np.array([delta @ seen.f]),
        g=seen.x[2 * D :] * pulled,
    )


def step(net: Net, seen: Pass, *, gold: int, eta: float) -> None:
    """θ ← θ − η ∂θ on every weight: no momentum, no clipping, no decay."""
    for array, slope in zip(net.arrays(), gradients(net, seen, gold).arrays(), strict=True):
        array -= eta * slope
