"""R13: what is said of a reward model on held-out rankings, worked by hand."""

import pytest

from trainer import measure
from trainer.data import Ranking
from trainer.measure import Judged


def judged(scores, lengths, groups):
    return Judged(scores, lengths, [Ranking("j", groups, [], 1.0)])


TRAIN = [judged([1.0, 0.0], [9, 3], [[0], [1]])]  # the longer one wins
HELDOUT = [
    judged([2.0, 1.0, 0.0], [3, 2, 2], [[0], [1], [2]]),  # score 3 of 3; length 1, 1, ½
    judged([0.5, 0.5], [4, 8], [[0], [1]]),  # score ½; length 0
    judged([0.0, 1.0, 3.0], [1, 1, 1], [[0, 1], [2]]),  # score 0 of 2; length ½; a tie 1 apart
]


@pytest.fixture(scope="module")
def report():
    return measure.ranking_report(TRAIN, HELDOUT, seed=1)


def test_r13_accuracy_is_averaged_per_prompt_then_over_prompts(report):
    assert report["accuracy"] == pytest.approx((1 + 0.5 + 0) / 3)


def test_r13_the_length_baseline_takes_its_sign_from_the_training_rows(report):
    assert report["length_rule"] == "longer wins"
    assert report["length_accuracy"] == pytest.approx((2.5 / 3 + 0 + 0.5) / 3)
    turned = measure.ranking_report([judged([1.0, 0.0], [3, 9], [[0], [1]])], HELDOUT, seed=1)
    assert turned["length_accuracy"] == pytest.approx((0.5 / 3 + 1 + 0.5) / 3)


def test_r13_the_interval_is_the_bootstraps_over_prompts(report):
    # of three prompts with 1, ½ and 0 all means from 0 to 1 are drawn: 2.5 % of draws are (0, 0, 0), 1/27 = 3.7 %
    assert (report["accuracy_low"], report["accuracy_high"]) == (0.0, 1.0)


def test_r13_the_same_seed_gives_the_same_interval():
    values = [0.0, 0.5, 1.0, 0.25, 0.75, 0.5]
    assert measure.interval(values, seed=3) == measure.interval(values, seed=3)
    low, high = measure.interval(values, seed=3)
    # the mean's deviation is 0.323/√6 = 0.132; ± 1.96 of it is 0.24 to 0.76
    assert [low, high] == pytest.approx([0.24, 0.76], abs=0.05)


def test_r13_ties_are_measured_apart(report):
    assert report["tied_gap"] == 1.0
    assert report["untied_gap"] == pytest.approx((1 + 2 + 1 + 0 + 3 + 2) / 6)


def test_r13_accuracy_by_number_of_answers(report):
    assert report["accuracy_by_answers"] == {"2": 0.5, "3": pytest.approx(3 / 5)}


def test_r13_accuracy_by_the_strength_of_the_preference():
    said = [Judged(scores, [1, 1], [Ranking("j", [[0], [1]], [], 1.0, None, strength)]) for scores, strength in STRONG]
    assert measure.ranking_report(TRAIN, said, seed=1)["accuracy_by_strength"] == {"1": 0.5, "3": 1.0}


STRONG = [([1.0, 0.0], 1), ([0.0, 1.0], 1), ([2.0, 0.0], 3), ([0.0, 9.0], None)]


def test_r13_line_accuracy_is_averaged_per_prompt_then_over_prompts():
    lined = [
        Judged([2.0, 0.0, 1.0], [1, 1, 1], [Ranking("j", [[0], [1]], [2], 1.0, 1)]),  # 2 above, 0 below: both right
        Judged([2.0, 1.0], [1, 1], [Ranking("j", [[0, 1]], [], 1.0, 0)]),  # 2 below: wrong; 1, on the line: ½
        Judged([2.0, 0.0], [1, 1], [Ranking("j", [[0], [1]], [], 1.0)]),  # not asked
    ]
    found = measure.ranking_report(TRAIN, lined, seed=1, line=1.0)
    assert found["line_accuracy"] == pytest.approx((1 + 0.25) / 2)
    assert found["line_answers"] == 4


def test_r13_calibration_of_scores_that_promise_nothing():
    # σ(0) = ½ and both orders are counted: nothing promised, nothing off
    even = [judged([0.0, 0.0], [1, 1], [[0], [1]])]
    assert measure.ranking_report(TRAIN, even, seed=1)["calibration_error"] == pytest.approx(0)


def test_r13_calibration_of_scores_that_promise_too_much():
    # σ(3) = 0.9526 for the worse answer: both orders are off by 0.9526
    wrong = [judged([0.0, 3.0], [1, 1], [[0], [1]])]
    assert measure.ranking_report(TRAIN, wrong, seed=1)["calibration_error"] == pytest.approx(0.952574, abs=1e-6)
