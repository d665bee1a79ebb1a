"""When answers to one task disagree: numbers worked out by hand, and tau-b beside scipy's."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from annotate.agreement import disagree, tau_b, winners_posterior


def ranked(*groups: list[int]) -> dict[str, object]:
    return {"groups": list(groups)}


def preferred(*votes: object) -> list[dict[str, object]]:
    return [{"prefer": vote, "strength": None, "both_unacceptable": None} for vote in votes]


def rated(*overall: int | None, **axes: list[int | None]) -> list[dict[str, object]]:
    given = [{axis: values[place] for axis, values in axes.items()} for place in range(len(overall))]
    return [{"overall": value, "axes": one} for value, one in zip(overall, given, strict=True)]


def decided(*decisions: str) -> list[dict[str, object]]:
    return [{"decision": decision} for decision in decisions]


@pytest.mark.parametrize(
    ("one", "other", "tau"),
    [
        ([[1], [2], [3]], [[1], [2], [3]], 1.0),
        ([[1], [2], [3]], [[3], [2], [1]], -1.0),
        ([[1], [2], [3]], [[1], [3], [2]], 1 / 3),  # of three pairs two in the same order, one turned round
        ([[1], [2, 3]], [[1], [2], [3]], 2 / 6**0.5),  # two in the same order; untied: 2 and 3
        ([[1, 2, 3]], [[3, 2, 1]], 1.0),
        ([[1, 2, 3]], [[1], [2], [3]], 0.0),
        ([[1], [2]], [[2], [1], [3]], -1.0),  # what only one of them placed says nothing
        ([[1], [2]], [[2], [3]], None),
    ],
)
def test_tau_b_is_what_hands_work_out(one, other, tau):
    assert tau_b(one, other) == (None if tau is None else pytest.approx(tau))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=9))
def test_tau_b_is_that_of_scipy_with_ties(places):
    first, second = zip(*places, strict=True)
    expected = kendalltau(first, second).statistic
    if expected == expected:  # nan where one side ties all
        assert tau_b(groups_of(first), groups_of(second)) == pytest.approx(expected)


def groups_of(places: tuple[int, ...]) -> list[list[int]]:
    return [[text for text, place in enumerate(places) if place == wanted] for wanted in sorted(set(places))]


@pytest.mark.parametrize(
    ("votes", "posterior"),
    [
        # r = 0.7 / 0.15 = 14 / 3: r^3 = 101.63, r^2 = 21.78, r = 4.67
        (["a", "a", "a"], 101.63 / 103.63),
        (["a", "a", "tie"], 21.78 / 27.44),
        (["a", "b"], 4.667 / 10.333),
        (["tie", "tie", "tie", "a"], 101.63 / 107.30),
    ],
)
def test_the_winners_posterior_is_what_hands_work_out(votes, posterior):
    assert winners_posterior(votes) == pytest.approx(posterior, rel=1e-3)


@pytest.mark.parametrize(
    ("kind", "bodies", "differ"),
    [
        ("clean", decided("keep", "keep", "keep"), False),
        ("clean", decided("keep", "keep", "edit"), True),
        ("review_answer", decided("accept", "return"), True),
        ("clean", decided("reject"), False),
        ("clean", [], False),
        ("rank", [ranked([1], [2], [3]), ranked([1], [2], [3]), ranked([1], [3], [2])], False),  # (1 + 1/3 + 1/3) / 3
        ("rank", [ranked([1], [2], [3]), ranked([3], [2], [1])], True),
        ("rank", [ranked([1], [2], [3]), ranked([1], [2], [3]), ranked([3], [2], [1])], True),  # (1 - 1 - 1) / 3
        ("rank", [ranked([1, 2]), ranked([2, 1])], False),
        ("rank", [ranked([1], [2]), ranked([1, 2])], True),
        ("rank", [ranked([1]), ranked([2])], False),
        ("pair", preferred(7, 7), False),
        ("pair", preferred(7, 7, 8), True),
        ("pair", preferred(7, 7, 7, 8), False),
        ("pair", preferred("tie", "tie", "tie"), False),
        ("pair", preferred(7, 7, 8, 8, 7), True),
        ("pair", preferred(7, None), False),
        ("rate", rated(2, 4), False),
        ("rate", rated(2, 3, 5), True),
        ("rate", rated(2, None, 5), True),
        ("rate", rated(4, 4, helpful=[1, 7]), False),
        ("rate", rated(None, None, helpful=[1, 4], harmless=[7, 7]), True),
        ("rate", rated(None, None, helpful=[None, 4]), False),
        ("write_answer", [{"text": "One."}, {"text": "Two."}], False),
    ],
)
def test_answers_disagree_by_the_rule_of_their_kind(kind, bodies, differ):
    assert disagree(kind, bodies) == differ
