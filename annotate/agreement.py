"""Whether people agree about one task: pure functions of the answers as they are stored.

An answer that was not given (null) says nothing. Where fewer than two people said something there is no disagreement.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from math import sqrt
from typing import Any  # bodies are JSON

Json = Mapping[str, Any]

LEAST_TAU = 0.3
LEAST_POSTERIOR = 0.9
MOST_SPREAD = 3
ACCURACY = 0.7  # of one vote on a pair, until judges are modelled each for themselves


def disagree(kind: str, bodies: Sequence[Json]) -> bool:
    """Whether answers to one task of this kind differ so much that one more is worth asking for.

    clean, review_answer: the decisions are not unanimous. rank: mean tau-b below 0.3. pair: the winner's posterior is
    below 0.9. rate: 3 points or more between two overall ratings; between two of an axis where nobody gave an overall
    one. Of other kinds there is nothing to agree on.
    """
    measure = DISAGREEMENTS.get(kind)
    return measure is not None and len(bodies) > 1 and measure(bodies)


def decisions_differ(bodies: Sequence[Json]) -> bool:
    return len({body["decision"] for body in bodies}) > 1


def rankings_differ(bodies: Sequence[Json]) -> bool:
    """Mean tau-b of all pairs of judges below 0.3; pairs with fewer than two texts in common are left out."""
    found = [tau_b(one["groups"], other["groups"]) for one, other in combinations(bodies, 2)]
    taus = [tau for tau in found if tau is not None]
    return bool(taus) and sum(taus) / len(taus) < LEAST_TAU


def tau_b(one: Sequence[Sequence[int]], other: Sequence[Sequence[int]]) -> float | None:
    """Kendall's tau-b of two rankings, groups of texts with the best first, over the texts that both placed.

    (C - D) / sqrt((P - T1) (P - T2)) of P pairs: C in the same order, D in the opposite one, T1 and T2 tied in each.
    Where a ranking ties all it is not defined: then 1 if the other does so too, else 0. None for fewer than two texts.
    Source: Kendall 1945, The treatment of ties in ranking problems.
    """
    first, second = _places(one), _places(other)
    both = sorted(first.keys() & second.keys())
    if len(both) < 2:
        return None
    steps = [(_sign(first[a] - first[b]), _sign(second[a] - second[b])) for a, b in combinations(both, 2)]
    untied, untied_other = sum(x != 0 for x, _ in steps), sum(y != 0 for _, y in steps)
    if not untied or not untied_other:
        return float(untied == untied_other)
    return sum(x * y for x, y in steps) / sqrt(untied * untied_other)


def preferences_differ(bodies: Sequence[Json]) -> bool:
    """Whether it is open which of the two, or a tie, wins: the winner's posterior is below 0.9.

    prefer: a text's key, "tie", or null, which is no vote.
    """
    votes = [body["prefer"] for body in bodies if body["prefer"] is not None]
    return len(votes) > 1 and winners_posterior(votes) < LEAST_POSTERIOR


def winners_posterior(votes: Iterable[object]) -> float:
    """The probability that the commonest vote is the right one of three: either text, or a tie.

    All three are as likely at first, and a vote hits the right one in 7 of 10 cases, each wrong one in 1.5.
    Source: Dawid and Skene 1979, with one symmetric error matrix for all; votes n1, n2, n3 weigh r^n, r = 0.7 / 0.15.
    """
    ratio = ACCURACY / ((1 - ACCURACY) / 2)
    counts = sorted(Counter(votes).values(), reverse=True)
    weights = [ratio**count for count in (*counts, 0, 0)[:3]]
    return weights[0] / sum(weights)


def ratings_differ(bodies: Sequence[Json]) -> bool:
    """3 points or more between two overall ratings; between two of one axis where nobody rated overall."""
    overall = [body["overall"] for body in bodies]
    if any(value is not None for value in overall):
        return _spread(overall) >= MOST_SPREAD
    axes = {axis for body in bodies for axis in body["axes"]}
    return any(_spread(body["axes"].get(axis) for body in bodies) >= MOST_SPREAD for axis in axes)


DISAGREEMENTS: dict[str, Callable[[Sequence[Json]], bool]] = {
    "clean": decisions_differ,
    "review_answer": decisions_differ,
    "rank": rankings_differ,
    "pair": preferences_differ,
    "rate": ratings_differ,
}


def _places(groups: Sequence[Sequence[int]]) -> dict[int, int]:
    return {text: place for place, group in enumerate(groups) for text in group}


def _sign(difference: int) -> int:
    return (difference > 0) - (difference < 0)


def _spread(values: Iterable[int | None]) -> int:
    given = [value for value in values if value is not None]
    return max(given) - min(given) if given else 0
