"""A prompt with its rankings as one element of a batch (R4): the reward model and DPO learn from the same elements.

What pairs, orders and sides of the line the rankings yield is worked out once; the mathematics is in `losses`.

Letters: A answers, Q pairs, N answers whose side of the line is known, X elements.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from trainer import losses, packing
from trainer.data import Ranked, Ranking

MARGIN = 1 / 3  # of each step of strength above the first (R8)


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How rankings become a loss.

    plackett_luce: for strict full rankings (R10). margin: by strength (R8). line_weight: 0 is no line (R7). smoothing:
    a strict pair's chance that its judge erred (Q2). below_line "drop": no pair whose better answer is unacceptable.
    """

    ties: losses.Ties
    plackett_luce: bool = False
    margin: bool = False
    line_weight: float = 0.0
    center: float = 0.0
    smoothing: float = 0.0
    below_line: Literal["keep", "drop"] = "keep"


class Pair(NamedTuple):
    """Two of an element's answers; weight: w_j / (J·|Q_j|)."""

    better: int
    worse: int
    p: float
    weight: float
    margin: float


class Order(NamedTuple):
    """A strict full ranking of an element's answers, the best first; weight: w_j / J."""

    answers: list[int]
    weight: float


class Side(NamedTuple):
    """An answer whose side of the line is known; weight: line_weight·w_j / (J·N_j)."""

    answer: int
    above: bool
    weight: float


@dataclass(frozen=True)
class Element:
    """A prompt's answers, and what its rankings yield.

    answers: which of the prompt's, in the order of their scores. rankings: those that say something, whose pairs are
    `pairs`, or `ordered` where they are learned as `orders`. judges: J of the whole prompt, of which this may be part.
    """

    ranked: Ranked
    answers: list[int]
    rankings: list[Ranking]
    judges: int
    rules: Rules
    pairs: list[Pair]
    ordered: list[Pair]
    orders: list[Order]
    sides: list[Side]

    @property
    def rows(self) -> list[Tensor]:
        """Each answer after the prompt."""
        return [torch.tensor([*self.ranked.prompt, *self.ranked.answers[at]]) for at in self.answers]

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return [len(self.ranked.prompt) + len(self.ranked.answers[at]) for at in self.answers]

    @property
    def tokens(self) -> int:
        """Tokens of the prompt, which is stored once (D7), and of the answers."""
        return _tokens(self.ranked, self.answers)

    @property
    def weight(self) -> float:
        """(1/J) Σ w_j, what the element weighs in its step (R6)."""
        return sum(ranking.weight for ranking in self.rankings) / max(1, self.judges)


def element_of(ranked: Ranked, rules: Rules) -> Element:
    """A prompt as a batch element. Rankings with neither pairs nor a line leave both sums (R6)."""
    used = [ranking for ranking in ranked.rankings if _pairs(ranking, rules) or _sides(ranking, rules)]
    return _element(ranked, list(range(len(ranked.answers))), used, judges=len(used), rules=rules)


def split(element: Element, *, budget: int) -> list[Element]:
    """The element whole, or where it passes the budget its rankings shared out, weights kept (R4).

    A part holds the answers of its own rankings only; a single ranking is never split.
    """
    if len(element.rankings) < 2 or element.tokens <= budget:
        return [element]
    parts: list[tuple[set[int], list[Ranking]]] = []
    for ranking in element.rankings:
        own = {at for group in ranking.groups for at in group} | {at for at, _ in _sides(ranking, element.rules)}
        if parts and _tokens(element.ranked, parts[-1][0] | own) <= budget:
            parts[-1][0].update(own)
            parts[-1][1].append(ranking)
        else:
            parts.append((own, [ranking]))
    return [
        _element(element.ranked, sorted(answers), rankings, judges=element.judges, rules=element.rules)
        for answers, rankings in parts
    ]


def micro_batches(elements: Sequence[Element], *, budget: int) -> list[list[Element]]:
    """The elements, or their parts where one is too large (R4), in groups of at most budget tokens (D4).

    A part above the budget goes alone.
    """
    parts = [part for element in elements for part in split(element, budget=budget)]
    groups = packing.micro_batches([part.tokens for part in parts], range(len(parts)), budget=budget)
    return [[parts[place] for place in group] for group in groups]


def planned(
    elements: Sequence[Element], steps: Sequence[tuple[int, list[int]]], *, budget: int
) -> Iterator[tuple[int, list[Element]]]:
    """(tokens, elements) of each micro-batch of these steps, which name their elements by place."""
    for _, places in steps:
        for group in micro_batches([elements[place] for place in places], budget=budget):
            yield sum(element.tokens for element in group), group


def loss(
    scores: Tensor, elements: Sequence[Element], *, line: Tensor | None = None, counts: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """(Σ_x ℓ_x, correct [Q] of the strict pairs) of elements whose answers' scores [A] stand one after the other (R6).

    line: the scalar from which answers are acceptable. counts [X]: how often each element counts (R12).
    """
    firsts = [0]
    for element in elements:
        firsts.append(firsts[-1] + len(element.answers))
    often = [1.0] * len(elements) if counts is None else counts.tolist()
    each = list(zip(elements, firsts, often, strict=False))
    center = elements[0].rules.center
    total, correct = _pair_loss(scores, [(one.pairs, first, n) for one, first, n in each], center=center)
    ordered = [(one.ordered, first, n) for one, first, n in each if one.ordered]
    if ordered:
        centred, right = _pair_loss(scores, ordered, center=center, surprise=False)
        total, correct = total + centred, torch.cat([correct, right])
    for one, first, n in each:
        for order in one.orders:
            at = torch.tensor(order.answers, device=scores.device) + first
            total = total + n * order.weight * losses.plackett_luce_loss(scores[at])
    if line is not None:
        total = total + _line_loss(scores, [(one.sides, first, n) for one, first, n in each], line)
    return total, correct


def strict_pairs(elements: Sequence[Element]) -> Tensor:
    """[Q, 2]: the strict pairs of elements whose answers stand one after the other, in the order of `loss`."""
    firsts = [0]
    for element in elements:
        firsts.append(firsts[-1] + len(element.answers))
    each = list(zip(elements, firsts, strict=False))
    pairs = [(pair, first) for one, first in each for pair in one.pairs if pair.p > 0.5]
    pairs += [(pair, first) for one, first in each for pair in one.ordered]
    found = [(pair.better + first, pair.worse + first) for pair, first in pairs]
    return torch.tensor(found, dtype=torch.long).reshape(-1, 2)


def _tokens(ranked: Ranked, answers: Iterable[int]) -> int:
    return len(ranked.prompt) + sum(len(ranked.answers[at]) for at in answers)


def _pair_loss(
    scores: Tensor, found: Sequence[tuple[list[Pair], int, float]], *, center: float, surprise: bool = True
) -> tuple[Tensor, Tensor]:
    """found: the pairs of an element, where its scores begin, and how often it counts."""
    device = scores.device
    pairs = [(pair.better + first, pair.worse + first) for own, first, _ in found for pair in own]
    at = torch.tensor(pairs, dtype=torch.long, device=device).reshape(-1, 2)
    flat = [(pair.p, n * pair.weight, pair.margin) for own, _, n in found for pair in own]
    p, weights, margin = torch.tensor(flat, device=device).reshape(-1, 3).unbind(1)
    total, correct = losses.ranking_loss(scores, at, p, weights, margin=margin, center=center)
    if not surprise:
        total = center * losses.centring_loss(scores, at, weights)
    return total, correct[p > 0.5]


def _line_loss(scores: Tensor, found: Sequence[tuple[list[Side], int, float]], line: Tensor) -> Tensor:
    device = scores.device
    at = torch.tensor([side.answer + first for own, first, _ in found for side in own], dtype=torch.long, device=device)
    above = torch.tensor([side.above for own, _, _ in found for side in own], dtype=torch.bool, device=device)
    weights = torch.tensor([n * side.weight for own, _, n in found for side in own], device=device)
    return losses.line_loss(scores[at], above, line, weights)


def _element(ranked: Ranked, answers: list[int], rankings: list[Ranking], *, judges: int, rules: Rules) -> Element:
    place = {answer: row for row, answer in enumerate(answers)}
    element = Element(ranked, answers, rankings, judges, rules, [], [], [], [])
    for ranking in rankings:
        share = ranking.weight / judges
        pairs, sides = _pairs(ranking, rules), _sides(ranking, rules)
        as_order = rules.plackett_luce and is_full(ranking) and len(ranking.groups) > 2  # of two: the pair itself
        (element.ordered if as_order else element.pairs).extend(
            Pair(place[a], place[b], p, share / len(pairs), margin) for a, b, p, margin in pairs
        )
        if as_order:
            element.orders.append(Order([place[group[0]] for group in ranking.groups], share))
        element.sides.extend(
            Side(place[answer], above, rules.line_weight * share / len(sides)) for answer, above in sides
        )
    return element


def is_full(ranking: Ranking) -> bool:
    """Whether it places every answer, each alone."""
    return not ranking.unplaced and all(len(group) == 1 for group in ranking.groups)


def sides_of(ranking: Ranking) -> list[tuple[int, bool]]:
    """(answer, whether it is acceptable) where that is known: of placed answers; of all, where none is (R7)."""
    if ranking.acceptable_groups is None:
        return []
    line = ranking.acceptable_groups
    placed = [(answer, number < line) for number, group in enumerate(ranking.groups) for answer in group]
    return placed + [(answer, False) for answer in ranking.unplaced if line == 0]


def _sides(ranking: Ranking, rules: Rules) -> list[tuple[int, bool]]:
    return sides_of(ranking) if rules.line_weight else []


def _pairs(ranking: Ranking, rules: Rules) -> list[tuple[int, int, float, float]]:
    """(better, worse, p, margin) of the pairs that a ranking yields by the rules (R5, R8, Q2)."""
    found, chances = losses.pairs_of(ranking.groups, ranking.unplaced, ties=rules.ties)
    margin = MARGIN * (ranking.strength - 1) if rules.margin and ranking.strength else 0.0
    pairs = []
    unacceptable = {answer for answer, above in sides_of(ranking) if not above} if rules.below_line == "drop" else set()
    for (a, b), p in zip(found.tolist(), chances.tolist(), strict=True):
        if a not in unacceptable:
            pairs.append((a, b, 1 - rules.smoothing, margin) if p == 1 else (a, b, p, 0.0))
    return pairs
