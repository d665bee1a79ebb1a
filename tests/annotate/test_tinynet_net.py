"""The network of the game in numpy: its arithmetic against differences, and what one step does."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from annotate.tinynet.net import NAMES, Example, Net, forward, gradients, mulberry32, shuffled, step
from annotate.tinynet.stream import near
from tests.annotate.game import examples, vocabulary

CLOSE = 1e-6


@pytest.fixture(scope="module")
def words():
    return vocabulary()


@pytest.fixture
def net(words) -> Net:
    """A newborn whose context parts are awake, so that every gradient flows."""
    made = Net.newborn(1, words.u)
    made.copy[:] = 0.7
    made.g[:] = np.linspace(-1, 1, 12)
    made.b1[:] = 0.1
    made.b2[:] = np.log(np.maximum(words.u, 1e-5))
    return made


def test_mulberry32_begins_as_in_every_language():
    assert list(islice(mulberry32(42), 3)) == [0.6011037519201636, 0.44829055899754167, 0.8524657934904099]


def test_a_shuffle_keeps_everything_and_depends_on_the_seed_alone():
    first, again = shuffled("abcdefgh", mulberry32(5)), shuffled("abcdefgh", mulberry32(5))
    assert first == again != shuffled("abcdefgh", mulberry32(6))
    assert sorted(first) == list("abcdefgh")


def test_the_network_has_35405_numbers(net):
    assert net.size() == 35_405


def test_newborns_of_one_seed_are_equal_and_small(words):
    one, other = Net.newborn(3, words.u), Net.newborn(3, words.u)
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(one.arrays(), other.arrays(), strict=True))
    assert [float(np.abs(array).max().round(2)) for array in one.arrays()] == [0.5, 0.3, 0.0, 0.17, 0.0, 0.0, 0.0]


def test_the_four_parts_of_each_word_sum_to_its_logit(net):
    for example, _ in examples(20, seed=1):
        seen = forward(net, example)
        np.testing.assert_allclose(net.b2 + seen.hidden + seen.pull + seen.seen, seen.z, rtol=0, atol=1e-12)


def test_probabilities_sum_to_one_and_give_the_loss(net):
    example, gold = examples(1, seed=2)[0]
    seen = forward(net, example)
    assert seen.p.sum() == pytest.approx(1, abs=1e-12)
    assert seen.loss(gold) == pytest.approx(-np.log(seen.p[gold]), abs=1e-12)


def test_a_word_seen_twice_counts_as_log_three(net):
    seen = forward(net, Example((5,), (6,), (200, 300, 200)))
    assert (seen.f[200], seen.f[300], seen.f[400]) == pytest.approx((np.log(3), np.log(2), 0.0))


def test_rare_words_weigh_more_in_the_context_and_all_weigh_two_together(net):
    seen = forward(net, Example((5,), (6,), (130, 1_100)))
    assert seen.alpha[1] > seen.alpha[0]
    assert seen.alpha.sum() == pytest.approx(2)


def test_words_further_away_weigh_less(net):
    seen = forward(net, Example((10, 11), (), ()))
    np.testing.assert_allclose(seen.x[:12], net.E[10] + net.E[11] / 2, atol=1e-15)
    np.testing.assert_array_equal(seen.x[12:], 0)


def test_where_the_sentence_begins_its_edge_is_seen_once():
    assert near([7, 8]) == (7, 8, 2)
    assert near([]) == (2,)
    assert near([3, 4, 5, 6, 7, 8]) == (3, 4, 5, 6, 7)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "given",
    [
        (Example((5, 9, 5, 200), (7, 2), (200, 300, 200, 150)), 300),
        (Example((5, 2), (), (200,)), 40),
        (Example((2,), (5, 6, 7, 8, 9), ()), 800),
    ],
    ids=["missing", "next", "empty-context"],
)
def test_gradients_are_those_of_differences(net, name, given):
    example, gold = given
    analytic = getattr(gradients(net, forward(net, example), gold), name).ravel()
    weights = getattr(net, name).reshape(-1)
    largest = np.argsort(-np.abs(analytic))[:30]
    measured = [_difference(net, weights, place, example, gold) for place in largest]
    np.testing.assert_allclose(analytic[largest], measured, rtol=CLOSE, atol=1e-9)


def _difference(net: Net, weights: np.ndarray, place: int, example: Example, gold: int) -> float:
    kept, losses = weights[place], []
    for by in (1e-5, -1e-5):
        weights[place] = kept + by
        losses.append(forward(net, example).loss(gold))
    weights[place] = kept
    return (losses[0] - losses[1]) / 2e-5


@pytest.mark.parametrize("eta", [0.02, 0.1])
def test_the_gold_word_becomes_likelier_by_every_step(net, eta):
    rises = []
    for example, gold in examples(400, seed=3):
        before = forward(net, example)
        step(net, before, gold=gold, eta=eta)
        rises.append(forward(net, example).p[gold] > before.p[gold])
    assert (len(rises), sum(rises)) == (400, 400)


def test_a_step_goes_down_the_gradient_by_eta(net):
    example, gold = examples(1, seed=4)[0]
    before, seen = net.twin(), forward(net, example)
    slopes = gradients(net, seen, gold)
    step(net, seen, gold=gold, eta=0.1)
    for name in NAMES:
        expected = getattr(before, name) - 0.1 * getattr(slopes, name)
        np.testing.assert_array_equal(getattr(net, name), expected)


def test_undo_restores_every_bit(net):
    kept = net.twin()
    bits = [array.tobytes() for array in net.arrays()]
    for example, gold in examples(10, seed=5):
        step(net, forward(net, example), gold=gold, eta=0.1)
    assert [array.tobytes() for array in net.arrays()] != bits
    net.restore(kept)
    assert [array.tobytes() for array in net.arrays()] == bits


def test_without_context_nothing_is_seen_or_pulled(net):
    example = replace(examples(1, seed=6)[0][0], context=(200, 300)).without_context()
    seen = forward(net, example)
    assert not seen.seen.any()
    assert not seen.pull.any()
