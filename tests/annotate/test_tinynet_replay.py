"""A round played again on the server."""

from dataclasses import replace

import pytest

from annotate.errors import AnnotateError
from annotate.tinynet.net import Net
from annotate.tinynet.play import Outcome, answer
from annotate.tinynet.replay import Answer, Burst, Row, Undo, replay
from annotate.tinynet.stream import Practice, practise
from tests.annotate.game import examples, vocabulary

SEED = 11


@pytest.fixture(scope="module")
def words():
    return vocabulary(300)


@pytest.fixture(scope="module")
def practice(words) -> Practice:
    return Practice.of([[[130 + nth, 5, 140 + nth, 6, 150] for nth in range(40)]], words)


@pytest.fixture
def net(words) -> Net:
    return Net.newborn(1, words.u)


def played(net: Net, *, count: int, first: int = 0) -> list[Answer]:
    """Answers as a browser tells them, taken on net."""
    rows = []
    for nth, (example, gold) in enumerate(examples(first + count, seed=1, size=300)[first:]):
        told = answer(net, example, gold=gold, eta=0.1, context_on=nth % 3 != 0)
        rows.append(Answer(example=example, gold=gold, context_on=nth % 3 != 0, eta=0.1, told=told))
    return rows


def test_a_round_that_happened_is_the_same(net, words):
    rows = played(net, count=8)
    found = replay(Net.newborn(1, words.u), rows, seed=SEED, practice=None, digest=net.digest())
    assert (found.result, found.steps) == ("same", 8)
    assert found.largest <= 1e-12


def test_an_answer_tells_what_its_step_did(net):
    (row,) = played(net, count=1)
    assert row.told.p_after > row.told.p_without
    assert row.told.loss_after < row.told.loss_before


@pytest.mark.parametrize("field", ["p_with", "p_without", "loss_before", "loss_after", "p_after"])
def test_a_changed_number_differs(net, words, field):
    rows = played(net, count=3)
    told = replace(rows[1].told, **{field: getattr(rows[1].told, field) + 2e-5})
    rows[1] = replace(rows[1], told=told)
    assert replay(Net.newborn(1, words.u), rows, seed=SEED, practice=None, digest=None).result == "differs"


def test_a_difference_of_rounding_is_the_same(net, words):
    rows = played(net, count=1)
    rows[0] = replace(rows[0], told=replace(rows[0].told, p_with=rows[0].told.p_with + 5e-6))
    assert replay(Net.newborn(1, words.u), rows, seed=SEED, practice=None, digest=None).result == "same"


def test_a_number_that_is_none_differs(net, words):
    rows = played(net, count=1)
    rows[0] = replace(rows[0], told=Outcome(float("nan"), 0.1, 0.1, 0.1, 0.1))
    assert replay(Net.newborn(1, words.u), rows, seed=SEED, practice=None, digest=None).result == "differs"


def test_other_weights_at_the_end_differ(net, words):
    rows = played(net, count=3)
    digest = net.digest()
    digest[2] += 1e-4
    assert replay(Net.newborn(1, words.u), rows, seed=SEED, practice=None, digest=digest).result == "differs"


def test_answers_in_another_order_differ(net, words):
    rows = played(net, count=3)
    found = replay(Net.newborn(1, words.u), rows[::-1], seed=SEED, practice=None, digest=None)
    assert found.result == "differs"


def test_what_was_undone_is_skipped(net, words):
    first = played(net, count=2)
    kept = net.twin()
    undone = played(net, count=1, first=2)
    net.restore(kept)
    rows: list[Row] = [*first, *undone, Undo(), *played(net, count=2, first=3)]
    found = replay(Net.newborn(1, words.u), rows, seed=SEED, practice=None, digest=net.digest())
    assert (found.result, found.steps) == ("same", 4)


def test_nothing_can_be_undone_before_the_first_answer(net):
    with pytest.raises(AnnotateError) as refusal:
        replay(net, [Undo()], seed=SEED, practice=None, digest=None)
    assert refusal.value.code == "nothing_to_undo"


def test_auto_play_is_played_again_from_the_practice_stream(net, words, practice):
    rows = played(net, count=1)
    practise(net, practice, seed=SEED, numbers=range(40, 60), reading="next", eta=0.1)
    burst = Burst(stream=40, count=20, reading="next", eta=0.1)
    newborn = Net.newborn(1, words.u)
    found = replay(newborn, [*rows, burst], seed=SEED, practice=practice, digest=net.digest())
    assert (found.result, found.steps) == ("same", 21)


def test_auto_play_of_another_seed_differs(net, words, practice):
    practise(net, practice, seed=SEED, numbers=range(20), reading="next", eta=0.1)
    burst = Burst(stream=0, count=20, reading="next", eta=0.1)
    newborn = Net.newborn(1, words.u)
    found = replay(newborn, [burst], seed=SEED + 500, practice=practice, digest=net.digest())
    assert found.result == "differs"


def test_auto_play_needs_its_stream(net):
    with pytest.raises(AnnotateError) as refusal:
        replay(net, [Burst(stream=0, count=1, reading="next", eta=0.1)], seed=SEED, practice=None, digest=None)
    assert refusal.value.code == "no_practice"
