"""A prompt with its rankings as one element of a batch: pairs, orders, the line, weights, and how it is divided."""

from typing import Any

import pytest
import torch

from tests.trainer import naive
from trainer import rankings
from trainer.data import Ranked, Ranking
from trainer.rankings import Rules

near = 1e-6
PLAIN = Rules(ties="drop")
Judged = Any  # (groups, unplaced, weight), and where they are asked (acceptable_groups, strength)


def ranked(*judged, answers=3):
    said = [Ranking(f"j{n}", *one) for n, one in enumerate(judged)]
    ids = [[40 + n, 2] for n in range(answers)]
    return Ranked("p", [], [1, 4, 9, 2, 5], [str(n) for n in range(answers)], ids, said)


def loss_of(scores, *judged, rules=PLAIN, line=None):
    element = rankings.element_of(ranked(*judged, answers=len(scores)), rules)
    return rankings.loss(torch.tensor(scores), [element], line=line)[0].item()


def test_r4_answers_pass_once_however_many_judges_there_are():
    element = rankings.element_of(ranked(([[0], [1, 2]], [], 1.0), ([[2], [0]], [1], 1.0)), PLAIN)
    assert len(element.rows) == 3
    assert [pair[:2] for pair in element.pairs] == [(0, 1), (0, 2), (2, 0)]


def test_r6_the_prompts_loss_is_the_mean_of_its_rankings_each_weighted():
    scores = [2.0, 1.0, 0.5]
    judged: Judged = ([[0], [1, 2]], [], 0.5), ([[2], [0]], [1], 1.0)
    first = naive.ranking_loss(scores, [[0], [1, 2]], "drop", 0.01)
    second = naive.ranking_loss(scores, [[2], [0]], "drop", 0.01)
    found = loss_of(scores, *judged, rules=Rules(ties="drop", center=0.01))
    assert found == pytest.approx((0.5 * first + 1.0 * second) / 2, abs=near)
    assert rankings.element_of(ranked(*judged), PLAIN).weight == 0.75


def test_r6_a_prompt_weighs_at_most_1_whatever_its_answers_and_judges():
    order = [[n] for n in range(6)]
    element = rankings.element_of(ranked((order, [], 1.0), (order, [], 1.0), (order, [], 1.0), answers=6), PLAIN)
    assert sum(pair.weight for pair in element.pairs) == pytest.approx(1.0)
    assert element.weight == 1.0


def test_r6_a_ranking_without_pairs_leaves_both_sums():
    element = rankings.element_of(ranked(([[0], [1]], [2], 1.0), ([[0, 1, 2]], [], 1.0)), PLAIN)
    assert element.weight == 1.0
    assert [pair.weight for pair in element.pairs] == [1.0]


def test_r6_r7_a_ranking_with_a_line_but_no_pairs_stays_in_both_sums():
    judged: Judged = ([[0], [1]], [], 1.0, 1), ([[0, 1]], [], 1.0, 0)
    element = rankings.element_of(ranked(*judged, answers=2), Rules(ties="drop", line_weight=0.25))
    assert element.judges == 2
    assert [pair.weight for pair in element.pairs] == [0.5]
    assert [side.weight for side in element.sides] == [0.0625] * 4


def test_g11_prompts_without_pairs_give_a_zero_that_reaches_the_scores():
    element = rankings.element_of(ranked(([[0, 1, 2]], [], 1.0)), Rules(ties="drop", center=0.01))
    scores = torch.ones(3, requires_grad=True)
    loss, _ = rankings.loss(scores, [element])
    assert loss.item() == 0
    assert torch.autograd.grad(loss, scores)[0].tolist() == [0, 0, 0]


def test_two_prompts_in_one_pass_lose_what_they_lose_alone():
    rules = Rules(ties="drop", line_weight=1.0, plackett_luce=True, center=0.01)
    elements = [rankings.element_of(ranked(([[0], [1], [2]], [], 1.0, 1)), rules) for _ in range(2)]
    scores, line = torch.tensor([2.0, 1.0, 0.5, 0.0, 3.0, 1.0]), torch.tensor(0.2)
    together, _ = rankings.loss(scores, elements, line=line)
    alone = [rankings.loss(part, [elements[0]], line=line)[0].item() for part in (scores[:3], scores[3:])]
    assert together.item() == pytest.approx(sum(alone), abs=near)


# --- the line (R7)


def test_r7_placed_answers_above_the_line_are_acceptable_and_unplaced_ones_unknown():
    assert rankings.sides_of(Ranking("j", [[2], [0]], [1], 1.0, 1)) == [(2, True), (0, False)]


def test_r7_where_none_is_acceptable_unplaced_answers_are_not_either():
    assert rankings.sides_of(Ranking("j", [[2]], [0, 1], 1.0, 0)) == [(2, False), (0, False), (1, False)]


def test_r7_where_the_line_was_not_asked_no_side_is_known():
    assert rankings.sides_of(Ranking("j", [[2], [0]], [1], 1.0, None)) == []


def test_r7_the_line_is_added_to_the_rankings_loss_by_its_weight():
    scores, line = [2.0, 1.0, -1.0], 0.5
    pairs = naive.ranking_loss(scores, [[0], [1], [2]], "drop", 0.0)
    sides = naive.line_loss(scores, [True, True, False], line)
    judged: Judged = [[0], [1], [2]], [], 0.5, 2
    rules = Rules(ties="drop", line_weight=0.25)
    found = loss_of(scores, judged, rules=rules, line=torch.tensor(line))
    assert found == pytest.approx(0.5 * (pairs + 0.25 * sides), abs=near)


# --- margins and orders


@pytest.mark.parametrize(("strength", "margin"), [(None, 0.0), (1, 0.0), (2, 1 / 3), (3, 2 / 3)])
def test_r8_the_margin_follows_from_the_strength(strength, margin):
    rules = Rules(ties="half", margin=True)
    element = rankings.element_of(ranked(([[0], [1]], [], 1.0, None, strength), answers=2), rules)
    assert [pair.margin for pair in element.pairs] == [pytest.approx(margin)]


def test_r8_without_the_option_there_is_no_margin():
    element = rankings.element_of(ranked(([[0], [1]], [], 1.0, None, 3), answers=2), PLAIN)
    assert [pair.margin for pair in element.pairs] == [0.0]


def test_r8_a_tie_has_no_margin():
    rules = Rules(ties="half", margin=True)
    element = rankings.element_of(ranked(([[0, 1]], [], 1.0, None, 3), answers=2), rules)
    assert element.pairs == [(0, 1, 0.5, 1.0, 0.0)]


LUCE = Rules(ties="drop", plackett_luce=True, center=0.01)


def test_r10_a_strict_full_ranking_is_learned_as_an_order():
    scores, groups = [0.5, 2.0, 1.0], [[1], [0], [2]]
    centring = naive.ranking_loss(scores, groups, "drop", 0.01) - naive.ranking_loss(scores, groups, "drop", 0.0)
    expected = 0.5 * (naive.plackett_luce_loss([2.0, 0.5, 1.0]) + centring)
    assert loss_of(scores, (groups, [], 0.5), rules=LUCE) == pytest.approx(expected, abs=near)


@pytest.mark.parametrize(("groups", "unplaced"), [([[1], [0, 2]], []), ([[1], [0]], [2])])
def test_r10_ties_and_unplaced_answers_fall_back_to_pairs(groups, unplaced):
    scores = [0.5, 2.0, 1.0]
    expected = naive.ranking_loss(scores, groups, "drop", 0.01)
    assert loss_of(scores, (groups, unplaced, 1.0), rules=LUCE) == pytest.approx(expected, abs=near)


def test_r13_pairs_of_orders_count_for_accuracy_and_ties_do_not():
    rules = Rules(ties="half", plackett_luce=True)
    judged: Judged = ([[0], [1], [2]], [], 1.0), ([[2], [0, 1]], [], 1.0)
    element = rankings.element_of(ranked(*judged), rules)
    _, correct = rankings.loss(torch.tensor([2.0, 1.0, 0.0]), [element])
    assert correct.tolist() == [0, 0, 1, 1, 1]
    assert rankings.strict_pairs([element]).tolist() == [[2, 0], [2, 1], [0, 1], [0, 2], [1, 2]]


# --- DPO's rules (Q2)


@pytest.mark.parametrize(("smoothing", "expected"), [(0.0, 0.554355), (0.1, 0.584355)])
def test_q2_the_worked_pair(smoothing, expected):
    # π − ref = 2 (chosen), −1 (rejected), β 0.1
    found = loss_of([0.2, -0.1], ([[0], [1]], [], 1.0), rules=Rules(ties="drop", smoothing=smoothing))
    assert found == pytest.approx(expected, abs=near)
    assert naive.dpo_loss(2.0, -1.0, 0.0, 0.0, 0.1, smoothing) == pytest.approx(expected, abs=near)


def test_q2_ties_are_not_smoothed():
    rules = Rules(ties="half", smoothing=0.1)
    element = rankings.element_of(ranked(([[0], [1, 2]], [], 1.0)), rules)
    assert [pair.p for pair in element.pairs] == [0.9, 0.9, 0.5]


def test_q2_pairs_below_the_line_are_left_out_where_asked():
    judged: Judged = [[0], [1], [2]], [], 1.0, 1
    kept = rankings.element_of(ranked(judged), PLAIN)
    left = rankings.element_of(ranked(judged), Rules(ties="drop", below_line="drop"))
    assert [pair[:2] for pair in kept.pairs] == [(0, 1), (0, 2), (1, 2)]
    assert [(pair[:2], pair.weight) for pair in left.pairs] == [((0, 1), 0.5), ((0, 2), 0.5)]


# --- how often an element counts, and how it is divided


def test_r12_counts_multiply_what_an_element_adds():
    rules = Rules(ties="half", line_weight=0.5, plackett_luce=True, center=0.01)
    judged: Judged = ([[0], [1], [2]], [], 1.0, 1), ([[2], [0, 1]], [], 0.5, 0)
    element, line = rankings.element_of(ranked(*judged), rules), torch.tensor(0.2)
    scores = torch.tensor([2.0, 1.0, 0.5])
    once, _ = rankings.loss(scores, [element], line=line)
    thrice, _ = rankings.loss(
        torch.cat([scores, scores]), [element, element], line=line, counts=torch.tensor([3.0, 0.0])
    )
    assert thrice.item() == pytest.approx(3 * once.item(), abs=near)


def test_rows_of_weight_2_count_as_the_row_twice():
    scores, rules = [2.0, 1.0, 0.5], Rules(ties="half", center=0.01)
    one: Judged
    other: Judged
    one, other = ([[0], [1], [2]], [], 1.0), ([[2], [0, 1]], [], 1.0)
    heavy = rankings.element_of(ranked((*one[:2], 2.0), other), rules)
    twice = rankings.element_of(ranked(one, one, other), rules)
    per_weight = [
        rankings.loss(torch.tensor(scores), [element])[0].item() / element.weight for element in (heavy, twice)
    ]
    assert per_weight[0] == pytest.approx(per_weight[1], abs=near)


def test_d4_elements_share_a_pass_within_the_budget_and_none_is_split():
    elements = [rankings.element_of(ranked(([[0], [1]], [], 1.0), answers=2 + n), PLAIN) for n in range(4)]
    # a prompt of 5 tokens, once, and 2 to 5 answers of 2 tokens
    assert [element.tokens for element in elements] == [9, 11, 13, 15]
    groups = rankings.micro_batches(elements, budget=26)
    assert [[len(element.answers) for element in group] for group in groups] == [[5, 3], [4, 2]]


RICH = Rules(ties="half", line_weight=0.5, plackett_luce=True, center=0.01)
JUDGED: Judged = (
    ([[0], [1]], [], 1.0, 1),
    ([[2], [3, 4]], [], 0.5),
    ([[5], [0], [2]], [], 1.0, 0),
    ([[4], [5]], [], 0.25, 2),
)


@pytest.mark.parametrize("budget", [5 + 2 * 2, 5 + 2 * 4, 5 + 2 * 5])
def test_r4_an_element_above_the_budget_is_split_by_ranking_with_its_weights(budget):
    whole = rankings.element_of(ranked(*JUDGED, answers=6), RICH)
    parts = rankings.split(whole, budget=budget)
    scores, line = torch.tensor([0.3, -1.0, 2.0, 0.0, 1.0, 0.7]), torch.tensor(0.2)
    expected, _ = rankings.loss(scores, [whole], line=line)
    found, _ = rankings.loss(torch.cat([scores[part.answers] for part in parts]), parts, line=line)
    assert len(parts) > 1
    assert found.item() == pytest.approx(expected.item(), abs=near)
    assert sum(part.weight for part in parts) == pytest.approx(whole.weight)
    assert all(len(part.rankings) == 1 or part.tokens <= budget for part in parts)


def test_r4_an_element_within_the_budget_stays_whole():
    whole = rankings.element_of(ranked(*JUDGED, answers=6), RICH)
    assert rankings.split(whole, budget=5 + 2 * 6) == [whole]


def test_r4_a_single_ranking_is_never_split():
    whole = rankings.element_of(ranked(([[0], [1], [2]], [], 1.0)), RICH)
    assert rankings.split(whole, budget=7) == [whole]
