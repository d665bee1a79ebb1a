"""Rules broken on purpose: each row breaks one, and the test of that rule must fail.

A test that stays green here guards nothing. The tests themselves are those of the other files.
"""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from tests.trainer import test_adapters, test_losses, test_packing, test_ppo, test_reward, test_sampling, test_tokenizer
from trainer import adapter_files, adapters, attention, base, losses, measure, reward, rollout, sampling, tokenizer
from trainer.contract.errors import TrainerError
from trainer.roles import Stage


def mean_kept(x, mask, *, shift_mean):
    return torch.where(mask, F.normalize(x), 0.0)


def clamped_kl(logp, ref_logp, kind):
    return (logp - ref_logp).clamp(min=0)


def mean_of_means(hidden, weight, targets, weights, *, chunk):
    each = F.cross_entropy(hidden @ weight.T, targets, reduction="none")
    return (weights * each).mean(), targets == 0


def score_on_the_first_token(score, kl, mask, *, beta):
    rewards = torch.where(mask, -beta * kl, 0.0)
    rewards[:, 0] += score
    return rewards


def bootstrapped_gae(rewards, values, mask, *, gamma, lam):
    advantage = torch.zeros_like(values)
    later = torch.zeros_like(values[:, 0])
    for t in reversed(range(values.shape[1])):
        beyond = values[:, t + 1] if t + 1 < values.shape[1] else later
        later = rewards[:, t] + gamma * beyond - values[:, t] + gamma * lam * later
        advantage[:, t] = later
    return advantage, advantage + values


def unclipped(*, logp, old_logp, advantage, mask, clip, dual_clip=0):
    return (-(logp - old_logp).exp() * advantage * mask).sum()


def published_slip(width, *, seed):
    return torch.randn(1, width) / (width + 1)


def penalty_before_the_clip(progress, raw, finished, *, clip, missing_eos_penalty):
    rewards = progress.normed(raw)
    return rewards, (rewards[:, 0] - missing_eos_penalty * ~finished).clamp(-clip, clip)


def one_baseline_for_all(rewards, *, kind):
    return rewards - rewards.mean(1, keepdim=True)


def always_two_tokens(logits, uniforms, settings):
    tokens = logits.topk(2, 1).indices[:, 0]
    return tokens, torch.log_softmax(logits, 1).gather(1, tokens[:, None])[:, 0]


def all_pairs(groups, unplaced, *, ties):
    placed = [index for group in groups for index in group] + unplaced
    pairs = [(a, b) for i, a in enumerate(placed) for b in placed[i + 1 :]]
    return torch.tensor(pairs), torch.ones(len(pairs))


def upside_down(rewards, above, line, weights):
    return -(weights * F.logsigmoid(torch.where(above, line - rewards, rewards - line))).sum()


def from_the_worst(rewards):
    rest = rewards.logcumsumexp(0)
    return (rest - rewards)[1:].sum() / (len(rewards) - 1)


WORKED = test_losses
BROKEN = {
    "the mean added back in whitening": (losses, "whiten", mean_kept, WORKED.test_p11_the_worked_whitening, {}),
    "KL clamped at 0": (losses, "kl", clamped_kl, WORKED.test_p6_k1_is_not_clamped_at_0, {}),
    "the score on the first token": (
        losses,
        "token_rewards",
        score_on_the_first_token,
        WORKED.test_p7_the_score_stands_on_the_last_counted_token,
        {},
    ),
    "what lies beyond the end, bootstrapped": (
        losses,
        "gae",
        bootstrapped_gae,
        WORKED.test_p10_nothing_behind_the_end_reaches_back,
        {},
    ),
    "no clip": (
        losses,
        "policy_loss",
        unclipped,
        WORKED.test_p12_the_worked_policy_loss,
        {"advantage": 1, "log_ratio": 0.5, "loss": -1.2, "slope": 0},
    ),
    "pairs of unplaced answers": (losses, "pairs_of", all_pairs, WORKED.test_r5_unplaced_answers_give_no_pair, {}),
    "the line upside down": (losses, "line_loss", upside_down, WORKED.test_r7_the_worked_line, {}),
    "an order from its worst": (losses, "plackett_luce_loss", from_the_worst, WORKED.test_r10_the_worked_order, {}),
    "a head of deviation 1/(D+1)": (
        reward,
        "first_head",
        published_slip,
        test_reward.test_r3_first_scores_have_deviation_1_on_features_of_unit_rms,
        {},
    ),
    "the penalty within the clip": (
        rollout,
        "scores_of",
        penalty_before_the_clip,
        test_ppo.test_p4_scores_are_clipped_first_then_answers_that_do_not_end_pay,
        {},
    ),
    "an answer within its own baseline": (
        losses,
        "group_advantage",
        one_baseline_for_all,
        WORKED.test_p20_the_worked_rloo,
        {},
    ),
    "truncated sampling": (
        sampling,
        "draw",
        always_two_tokens,
        test_sampling.test_a2_the_token_is_the_first_whose_cumulative_probability_exceeds_u,
        {"u": 0.81, "token": 2},
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_rule_is_noticed(monkeypatch, broken):
    owner, name, wrong, test, given = BROKEN[broken]
    monkeypatch.setattr(owner, name, wrong)
    with pytest.raises(AssertionError):
        test(**given)


@pytest.mark.parametrize("lost", ["base_model.model.score.weight", "heads"])
def test_a_head_that_is_not_saved_is_noticed(monkeypatch, tmp_path, lost):
    def forgetful(tensors, path, metadata):
        save_file({name: own for name, own in tensors.items() if name != lost}, path, metadata)

    monkeypatch.setattr(adapter_files, "save_file", forgetful)
    with pytest.raises((AssertionError, TrainerError, KeyError)):
        test_reward.test_l7_r12_every_head_comes_back_from_disk(tmp_path)


def test_a_mean_of_means_is_noticed(monkeypatch):
    monkeypatch.setattr(losses, "linear_cross_entropy", mean_of_means)
    draw = torch.Generator().manual_seed(3)
    hidden, weight = torch.randn(7, 5, generator=draw).double(), torch.randn(11, 5, generator=draw).double()
    with pytest.raises(AssertionError):
        test_losses.test_g2_cross_entropy_is_the_weighted_sum_of_the_naive_loop(
            (hidden, weight, torch.arange(7), torch.ones(7).double()), 3
        )


def test_a_set_adapter_before_the_backward_pass_is_noticed(monkeypatch):
    """peft's own switch takes requires_grad from the adapter that it leaves (L4)."""
    inner = adapters._live

    def switching(model, live):
        for layer in live:
            layer.set_adapter(["other"])
        return inner(model, live)

    model = base.make("toy", vocab=512, seed=1)
    for name in ("sft", "other"):
        adapters.attach(model, name, rank=4, alpha=8.0, seed=5)
        test_adapters.stir(model, name)
    monkeypatch.setattr(adapters, "_live", switching)
    with pytest.raises((AssertionError, RuntimeError)):
        test_adapters.test_l4_two_roles_in_one_sum_get_the_gradients_of_two_separate_models(model)


def test_a_score_on_padding_is_noticed(monkeypatch, toy_base):
    def last_column(model, rows):
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        return model.model(ids).last_hidden_state[:, -1]

    monkeypatch.setattr(measure, "features", last_column)
    with pytest.raises(AssertionError):
        test_reward.test_r1_r15_the_score_is_read_on_the_last_token_whatever_stands_beside_it(toy_base)


def test_dropout_in_the_value_is_noticed(monkeypatch, ppo_run):
    inner = adapters.using
    stage = test_ppo.stage_of(ppo_run())
    monkeypatch.setattr(adapters, "using", lambda model, name: inner(model, name, dropout=0.5))
    with pytest.raises(AssertionError):
        test_ppo.test_p3_values_are_read_before_each_token_and_the_score_on_the_last(stage)


def test_an_answer_that_is_encoded_again_is_noticed(monkeypatch, ppo_run):
    inner, stage = Stage.raw_scores, test_ppo.stage_of(ppo_run())

    def read_as_text(stage, prompts, rollout):
        (ids,) = stage.words.encode([stage.words.decode(rollout.ids[0].tolist())])
        again = replace(rollout, ids=torch.tensor([ids]), lengths=torch.tensor([len(ids)]))
        return inner(stage, prompts, again)

    monkeypatch.setattr(Stage, "raw_scores", read_as_text)
    with pytest.raises(AssertionError):
        test_ppo.test_g13_the_reward_reads_the_ids_that_were_sampled(stage, monkeypatch)


def test_pad_as_end_token_is_noticed(monkeypatch, words):
    monkeypatch.setattr(tokenizer.Tokenizer, "pad_id", property(lambda own: min(own.stop_ids())))
    with pytest.raises(AssertionError):
        test_tokenizer.test_g1_padding_is_no_end_token(words)


def test_a_value_head_that_is_not_saved_is_noticed(monkeypatch, tmp_path):
    save = adapters.save_adapter
    model = base.make("toy", vocab=512, seed=1)
    adapters.attach(model, "sft", rank=4, alpha=8.0, seed=5)
    monkeypatch.setattr(
        adapters, "save_adapter", lambda model, name, path, *, heads, facts: save(model, name, path, facts=facts)
    )
    with pytest.raises(AssertionError):
        test_adapters.test_l7_a_value_head_keeps_its_bias(model, tmp_path)


def test_neighbours_that_leak_are_noticed(monkeypatch):
    """Stock attention takes packed rows for one document, or guesses documents from positions (D5, D6)."""

    def one_document(query, key, value, layout, scale):
        return F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale)

    monkeypatch.setattr(attention._Slices, "apply", one_document)
    with pytest.raises(AssertionError):
        test_packing.test_d5_a_row_has_the_same_states_packed_and_alone(base.make("toy", vocab=512, seed=3))
    with pytest.raises(AssertionError):
        test_packing.test_d5_changing_one_document_changes_no_bit_of_another(base.make("toy", vocab=512, seed=3))
