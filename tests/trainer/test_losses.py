"""The mathematics against the naive loops of naive.py, numbers worked by hand, and torch's own gradients."""

import math
from functools import partial
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from tests.trainer import naive
from trainer import losses

SCORES = st.lists(st.floats(-4, 4), min_size=3, max_size=6)
near = partial(pytest.approx, abs=1e-6)
exact = partial(pytest.approx, abs=1e-9)


def t(rows):
    return torch.tensor(rows, dtype=torch.float64)


@pytest.fixture
def head():
    draw = torch.Generator().manual_seed(3)
    hidden = torch.randn(7, 5, generator=draw, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(11, 5, generator=draw, dtype=torch.float64, requires_grad=True)
    targets = torch.randint(0, 11, (7,), generator=draw)
    return hidden, weight, targets, torch.rand(7, generator=draw, dtype=torch.float64)


def everything(mask_like):
    return torch.ones_like(mask_like, dtype=torch.bool)


# --- the head


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_g2_cross_entropy_is_the_weighted_sum_of_the_naive_loop(head, chunk):
    hidden, weight, targets, weights = head
    loss, _ = losses.linear_cross_entropy(hidden, weight, targets, weights, chunk=chunk)
    assert loss.item() == exact(
        naive.cross_entropy(hidden.tolist(), weight.tolist(), targets.tolist(), weights.tolist())
    )


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_x1_cross_entropys_gradients_are_those_of_plain_torch(head, chunk):
    hidden, weight, targets, weights = head
    ours, _ = losses.linear_cross_entropy(hidden, weight, targets, weights, chunk=chunk)
    plain = (weights * F.cross_entropy(hidden @ weight.T, targets, reduction="none")).sum()
    for a, b in zip(
        torch.autograd.grad(3 * ours, (hidden, weight)), torch.autograd.grad(3 * plain, (hidden, weight)), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-9)


def test_a_token_is_correct_where_its_logit_is_the_greatest(head):
    hidden, weight, targets, weights = head
    _, correct = losses.linear_cross_entropy(hidden, weight, targets, weights, chunk=2)
    assert correct.tolist() == ((hidden @ weight.T).argmax(1) == targets).tolist()


def test_a_frozen_head_gets_no_gradient(head):
    hidden, weight, targets, weights = head
    losses.linear_cross_entropy(hidden, weight.detach(), targets, weights, chunk=2)[0].backward()
    assert hidden.grad is not None
    assert weight.grad is None


@pytest.mark.parametrize("graded", [True, False])
def test_logprob_and_entropy_are_those_of_the_naive_loop_at_a_temperature(head, graded):
    hidden, weight, targets, _ = head
    with torch.set_grad_enabled(graded):
        logprob, entropy = losses.linear_logprob(hidden, weight, targets, temperature=0.7, chunk=3)
    expected = naive.logprob_and_entropy(hidden.tolist(), weight.tolist(), targets.tolist(), 0.7)
    assert logprob.tolist() == exact([one for one, _ in expected])
    assert entropy.tolist() == exact([two for _, two in expected])


@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_x1_logprobs_gradient_is_that_of_plain_torch(head, chunk):
    hidden, weight, targets, upstream = head
    ours, _ = losses.linear_logprob(hidden, weight.detach(), targets, temperature=0.7, chunk=chunk)
    plain = -F.cross_entropy(hidden @ weight.detach().T / 0.7, targets, reduction="none")
    (a,), (b,) = (torch.autograd.grad(x, hidden, upstream) for x in (ours, plain))
    torch.testing.assert_close(a, b, rtol=0, atol=1e-9)


def test_logprob_and_entropy_pass_finite_differences(head):
    hidden, weight, targets, _ = head
    assert torch.autograd.gradcheck(
        lambda h, w: losses.linear_logprob(h, w, targets, temperature=0.7, chunk=3), (hidden, weight)
    )


# --- rankings


def ranking(scores, groups, *, ties="drop", center=0.0, margin=0.0):
    pairs, p = losses.pairs_of(groups, [], ties=ties)
    even = torch.full((len(p),), 1 / len(p), dtype=torch.float64)
    return losses.ranking_loss(scores, pairs, p, even, margin=torch.full_like(even, margin), center=center)


@pytest.mark.parametrize(("ties", "expected"), [("drop", 0.220095), ("half", 0.417817)])
def test_r5_the_worked_ranking(ties, expected):
    assert ranking(t([2.0, 1.0, 0.0]), [[0], [1, 2]], ties=ties)[0].item() == near(expected)


def test_r5_unplaced_answers_give_no_pair():
    pairs, p = losses.pairs_of([[2], [0]], [1], ties="half")
    assert pairs.tolist() == [[2, 0]]
    assert p.tolist() == [1.0]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_r5_pairs_of_counts(sizes):
    edges = [sum(sizes[:i]) for i in range(len(sizes) + 1)]
    groups = [list(range(a, b)) for a, b in pairwise(edges)]
    strict = (sum(sizes) ** 2 - sum(n * n for n in sizes)) // 2
    tied = sum(n * (n - 1) // 2 for n in sizes)
    assert len(losses.pairs_of(groups, [], ties="drop")[1]) == strict
    assert losses.pairs_of(groups, [], ties="half")[1].tolist() == [1.0] * strict + [0.5] * tied


@settings(max_examples=200, deadline=None)
@given(SCORES, st.floats(-5, 5))
def test_r9_without_centring_a_constant_changes_nothing(scores, shift):
    groups = [[i] for i in range(len(scores))]
    moved = ranking(t(scores) + shift, groups)[0].item()
    assert moved == pytest.approx(ranking(t(scores), groups)[0].item(), abs=1e-9)


@settings(max_examples=200, deadline=None)
@given(SCORES)
def test_the_order_of_answers_in_the_list_changes_nothing(scores):
    size = len(scores)
    groups = [[0, 1], *[[i] for i in range(2, size)]]
    turned = [[size - 1 - i for i in group] for group in groups]
    there, back = ranking(t(scores), groups, ties="half"), ranking(t(scores[::-1]), turned, ties="half")
    assert there[0].item() == pytest.approx(back[0].item(), abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(SCORES, st.sampled_from(["drop", "half"]))
def test_r9_the_centred_loss_is_the_naive_loops(scores, ties):
    groups = [[1], [0, 2], *[[i] for i in range(3, len(scores))]]
    expected = naive.ranking_loss(scores, groups, ties, 0.01)
    assert ranking(t(scores), groups, ties=ties, center=0.01)[0].item() == near(expected)


def test_ranking_loss_passes_finite_differences():
    scores = t([2.0, 1.0, 0.5]).requires_grad_()
    assert torch.autograd.gradcheck(lambda s: ranking(s, [[0], [1, 2]], ties="half", center=0.01)[0], (scores,))


@pytest.mark.parametrize(("margin", "expected"), [(0.0, 0.126928), (1 / 3, 0.173008), (2 / 3, 0.233963)])
def test_r8_a_margin_is_taken_from_the_gap(margin, expected):
    # −log σ(2 − margin)
    scores, groups = t([2.0, 0.0]), [[0], [1]]
    assert ranking(scores, groups, margin=margin)[0].item() == near(expected)
    assert naive.ranking_loss([2.0, 0.0], groups, "drop", 0.0, margin) == near(expected)


def test_r8_a_gap_within_the_margin_is_still_right():
    assert ranking(t([0.1, 0.0]), [[0], [1]], margin=2 / 3)[1].tolist() == [1.0]


def test_r10_the_worked_order():
    # 0 > 1 > 2 at s = (2, 1, 0): (0.407606 + 0.313262) / 2
    assert losses.plackett_luce_loss(t([2.0, 1.0, 0.0])).item() == near(0.360434)


@settings(max_examples=200, deadline=None)
@given(SCORES)
def test_r10_the_order_is_the_naive_loops(scores):
    assert losses.plackett_luce_loss(t(scores)).item() == exact(naive.plackett_luce_loss(scores))


def test_r10_of_two_answers_it_is_the_pairs_loss():
    pair = ranking(t([0.3, 1.1]), [[0], [1]])[0].item()
    assert losses.plackett_luce_loss(t([0.3, 1.1])).item() == exact(pair)


def test_r7_the_worked_line():
    # line 0.5: 2 above and −1 below lie 1.5 on their side: −log σ(1.5) = 0.201413; 0 above: −log σ(−0.5) = 0.974077
    scores, above, line = t([2.0, -1.0, 0.0]), torch.tensor([True, False, True]), t(0.5)
    loss = losses.line_loss(scores, above, line, t([0.5, 0.5, 1.0]))
    assert loss.item() == near(0.201413 + 0.974077)
    assert loss.item() == exact(naive.line_loss([2.0, -1.0], [True, False], 0.5) + naive.line_loss([0.0], [True], 0.5))


def test_r7_r10_line_and_order_pass_finite_differences():
    scores, line = t([2.0, 1.0, 0.5]).requires_grad_(), t(0.3).requires_grad_()
    above = torch.tensor([True, False, True])
    assert torch.autograd.gradcheck(losses.plackett_luce_loss, (scores,))
    assert torch.autograd.gradcheck(lambda s, c: losses.line_loss(s, above, c, t([0.2, 0.3, 0.5])), (scores, line))


def test_r13_equal_scores_count_half():
    assert ranking(t([1.0, 1.0, 0.0]), [[0], [1], [2]])[1].tolist() == [0.5, 1.0, 1.0]


def test_r11_normalised_scores_have_mean_0_and_deviation_1():
    # mean 2, variance 8/3: gain 0.612372, bias −1.224745
    assert losses.fit_norm(t([0.0, 2.0, 4.0])) == near((0.612372, -1.224745))


def test_r11_equal_scores_keep_their_scale():
    assert losses.fit_norm(t([3.0, 3.0])) == (1.0, -3.0)


# --- KL, rewards, advantages


@pytest.mark.parametrize(("kind", "expected"), [("k1", 0.5), ("k2", 0.125), ("k3", 0.106531)])
def test_p6_the_worked_kl(kind, expected):
    assert losses.kl(t([[-1.0]]), t([[-1.5]]), kind).item() == near(expected)


def test_p6_k1_is_not_clamped_at_0():
    assert losses.kl(t([[-2.0]]), t([[-1.5]]), "k1").item() == near(-0.5)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(-2, 2), st.floats(-2, 2)), min_size=2, max_size=8))
def test_p6_k1_and_k3_have_the_kl_as_expectation(logits):
    logp, ref = (torch.log_softmax(t([pair[i] for pair in logits]), 0) for i in (0, 1))
    truth = F.kl_div(ref, logp, log_target=True, reduction="sum").item()
    assert (logp.exp() * losses.kl(logp, ref, "k1")).sum().item() == pytest.approx(truth, abs=1e-9)
    assert (logp.exp() * losses.kl(logp, ref, "k3")).sum().item() == pytest.approx(truth, abs=1e-9)


def expected_gradient(kind):
    """The gradient, in the policy's logits, of the mean of an estimator over draws that do not move."""
    logits = t([0.3, -0.7, 1.1]).requires_grad_()
    logp, ref = torch.log_softmax(logits, 0), torch.log_softmax(t([0.5, 0.1, -0.4]), 0)
    (logp.detach().exp() * losses.kl(logp, ref, kind)).sum().backward()
    return logits.grad


def true_gradient(*, forward):
    logits = t([0.3, -0.7, 1.1]).requires_grad_()
    logp, ref = torch.log_softmax(logits, 0), torch.log_softmax(t([0.5, 0.1, -0.4]), 0)
    (logp.exp() * (logp - ref) if forward else ref.exp() * (ref - logp)).sum().backward()
    return logits.grad


def test_p8_k2_as_a_loss_has_the_gradient_of_the_kl_to_the_reference():
    torch.testing.assert_close(expected_gradient("k2"), true_gradient(forward=True), rtol=0, atol=1e-10)


def test_p8_k3_as_a_loss_has_the_gradient_of_the_other_kl():
    torch.testing.assert_close(expected_gradient("k3"), true_gradient(forward=False), rtol=0, atol=1e-10)


def test_p8_k1_as_a_loss_teaches_nothing():
    torch.testing.assert_close(expected_gradient("k1"), t([0.0, 0.0, 0.0]), rtol=0, atol=1e-10)


def test_p7_the_score_stands_on_the_last_counted_token():
    mask = torch.tensor([[True, True, False], [True, True, True]])
    kl = t([[0.1, 0.2, 9.0], [0.1, 0.2, 0.3]])
    out = losses.token_rewards(t([2.0, -1.0]), kl, mask, beta=0.5)
    assert out[0].tolist() == near([*naive.token_rewards(2.0, [0.1, 0.2], 0.5), 0.0])
    assert out[1].tolist() == near(naive.token_rewards(-1.0, [0.1, 0.2, 0.3], 0.5))


def test_p10_the_worked_gae():
    advantage, returns = losses.gae(t([[0, 0, 1]]), t([[0.5, 0.6, 0.7]]), everything(t([[0, 0, 0]])), gamma=1, lam=0.95)
    assert advantage[0].tolist() == near([0.46575, 0.385, 0.3])
    assert returns[0].tolist() == near([0.96575, 0.985, 1.0])


def test_p10_with_lambda_1_the_return_is_the_sum_of_future_rewards():
    rewards = t([[0.5, -1.0, 2.0]])
    _, returns = losses.gae(rewards, t([[0.3, 0.1, 0.9]]), everything(rewards), gamma=1, lam=1)
    assert returns[0].tolist() == near([1.5, 1.0, 2.0])


def test_p10_nothing_behind_the_end_reaches_back():
    # A_2 = 1 − 0.6 = 0.4; A_1 = 0.6 − 0.5 + 0.95 · 0.4 = 0.48
    mask = torch.tensor([[True, True, False]])
    advantage, _ = losses.gae(t([[0, 1, 9]]), t([[0.5, 0.6, 7]]), mask, gamma=1, lam=0.95)
    assert advantage[0].tolist() == near([0.48, 0.4, 0.0])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-3, 3), st.floats(-3, 3)), min_size=1, max_size=9),
    st.floats(0, 1),
    st.floats(0, 1),
)
def test_p10_gae_is_the_explicit_sum_whatever_stands_behind_the_end(steps, gamma, lam):
    rewards, values = [r for r, _ in steps], [v for _, v in steps]
    mask = torch.tensor([[True] * len(steps) + [False] * 2])
    advantage, _ = losses.gae(t([[*rewards, 5.0, 5.0]]), t([[*values, 7.0, 7.0]]), mask, gamma=gamma, lam=lam)
    assert advantage[0].tolist() == pytest.approx([*naive.gae(rewards, values, gamma, lam), 0.0, 0.0], abs=1e-9)


def test_p11_the_worked_whitening():
    x = t([[1, 2, 3, 4]])
    expected = [-1.341641, -0.447214, 0.447214, 1.341641]
    assert losses.whiten(x, everything(x), shift_mean=True)[0].tolist() == near(expected)


def test_p11_masked_places_count_not_and_become_0():
    mask = torch.tensor([[True, True, False, True, True]])
    out = losses.whiten(t([[1, 2, 99, 3, 4]]), mask, shift_mean=True)[0].tolist()
    assert out[:2] + out[3:] == near(naive.whiten([1, 2, 3, 4]))
    assert out[2] == 0


def test_p11_without_shift_the_mean_stays():
    x = t([[1, 2, 3, 4]])
    assert losses.whiten(x, everything(x), shift_mean=False).mean().item() == near(2.5)


def test_p20_the_worked_rloo():
    # 1 against the mean of 2, 4, 5: 1 − 11/3
    out = losses.group_advantage(t([[1, 2, 4, 5]]), kind="rloo")[0].tolist()
    assert out == near([-2.666667, -1.333333, 1.333333, 2.666667])


@pytest.mark.parametrize("kind", ["rloo", "grpo"])
def test_p20_group_advantages_are_those_of_the_naive_loop(kind):
    groups = [[0.3, -1.2, 0.8], [2.0, 2.5, -0.1]]
    out = losses.group_advantage(t(groups), kind=kind)
    assert [row.tolist() for row in out] == [near(naive.group_advantages(group, kind)) for group in groups]


@pytest.mark.parametrize("kind", ["rloo", "grpo"])
def test_p20_equal_rewards_have_no_advantage_bitwise(kind):
    # in float32 the mean of three times -0.9 is not -0.9: only differences are averaged
    out = losses.group_advantage(torch.full((2, 3), -0.9), kind=kind)
    assert out.tolist() == [[0.0] * 3] * 2


# --- policy and value


@pytest.mark.parametrize(
    ("advantage", "log_ratio", "loss", "slope"),
    [(1, 0.5, -1.2, 0), (1, -0.5, -0.606531, -0.606531), (-1, 0.5, 1.648721, 1.648721), (-1, -0.5, 0.8, 0)],
)
def test_p12_the_worked_policy_loss(advantage, log_ratio, loss, slope):
    logp = t([[log_ratio]]).requires_grad_()
    mask = torch.tensor([[True]])
    out = losses.policy_loss(logp=logp, old_logp=t([[0.0]]), advantage=t([[advantage]]), mask=mask, clip=0.2)
    out.backward()
    assert out.item() == near(loss)
    assert logp.grad.item() == near(slope)


def test_p12_dual_clip_bounds_what_a_bad_token_can_cost():
    case = {"old_logp": t([[0.0]]), "advantage": t([[-1.0]]), "mask": torch.tensor([[True]]), "clip": 0.2}
    assert losses.policy_loss(logp=t([[2.0]]), **case).item() == near(math.exp(2))
    assert losses.policy_loss(logp=t([[2.0]]), dual_clip=3, **case).item() == near(3.0)


def test_p12_a_huge_log_ratio_stays_finite():
    mask = torch.tensor([[True]])
    out = losses.policy_loss(logp=t([[0.0]]), old_logp=t([[-900.0]]), advantage=t([[-1.0]]), mask=mask, clip=0.2)
    assert out.item() == pytest.approx(math.exp(20))


def test_p12_masked_tokens_cost_nothing_even_where_they_are_not_numbers():
    logp = t([[0.1, float("nan")]]).requires_grad_()
    case = {"old_logp": t([[0.0, 0.0]]), "advantage": t([[1.0, 1.0]]), "mask": torch.tensor([[True, False]])}
    out = losses.policy_loss(logp=logp, clip=0.2, **case)
    out.backward()
    assert out.item() == near(naive.policy_term(1.0, 0.1, 0.2))
    assert logp.grad[0, 1].item() == 0


def test_zero_advantages_give_a_zero_gradient_bitwise():
    logp = t([[0.3, -0.2]]).requires_grad_()
    case = {"old_logp": t([[0.0, 0.0]]), "advantage": t([[0.0, 0.0]]), "mask": torch.tensor([[True, True]])}
    losses.policy_loss(logp=logp, clip=0.2, **case).backward()
    assert logp.grad.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize(("value", "old", "target", "expected"), [(1, 0.5, 2, 0.845), (1, 0.5, 0.6, 0.08)])
def test_p13_the_worked_value_loss(value, old, target, expected):
    case = {"value": t([[value]]), "old_value": t([[old]]), "returns": t([[target]]), "mask": torch.tensor([[True]])}
    assert losses.value_loss(clip=0.2, **case).item() == near(expected)
    assert naive.value_term(value, old, target, 0.2) == near(expected)


def test_policy_and_value_losses_pass_finite_differences_away_from_kinks():
    mask = torch.tensor([[True, True, False]])
    x, old = t([[0.31, -0.47, 0.2]]).requires_grad_(), t([[0.0, 0.1, 0.0]])
    sign = t([[1.0, -1.0, 1.0]])
    policy = partial(losses.policy_loss, old_logp=old, advantage=sign, mask=mask, clip=0.2)
    value = partial(losses.value_loss, old_value=old, returns=sign, mask=mask, clip=0.2)
    assert torch.autograd.gradcheck(lambda logp: policy(logp=logp), (x,))
    assert torch.autograd.gradcheck(lambda v: value(value=v), (x,))


def test_p9_the_worked_controller():
    assert losses.next_beta(0.15, kl=9, answers=256, target=6, horizon=10_000) == near(0.150768)


def test_p9_beta_stays_within_its_limits():
    assert losses.next_beta(10.0, kl=99, answers=256, target=6, horizon=100) == 10.0
