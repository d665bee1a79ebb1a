"""RLOO and GRPO: PPO's steps where answers to one prompt are held against each other, and no value is learned."""

import json

import pytest
import torch
from safetensors.torch import load_file

from tests.trainer.preferences import RLOO
from tests.trainer.runs import failure, run_of, values
from tests.trainer.test_ppo import stage_of
from trainer import adapters, optimizer, ppo, rollout, sampling, update
from trainer.__main__ import main
from trainer.roles import Stage


@pytest.fixture(scope="module")
def compared(tmp_path_factory, lay_ppo):
    """A finished RLOO run."""
    return run_of(lay_ppo(tmp_path_factory.mktemp("compared") / "run", **RLOO))


@pytest.fixture
def stage(ppo_run):
    return stage_of(ppo_run(**RLOO))


def weights(folder):
    return load_file(folder / "adapter_model.safetensors")


def test_p20_no_value_is_learned_or_left(compared):
    kinds = {output["kind"] for output in json.loads((compared / "result.json").read_text())["outputs"]}
    assert kinds == {"policy", "evaluation", "milestone"}
    assert not (compared / "value").exists()
    assert not [key for line in values(compared, "rollout") for key in line if "value" in key or "explained" in key]


def test_p20_the_policy_learns_from_the_first_rollout_on(compared, tuned):
    assert values(compared, "rollout")[0]["grad_norm/policy"] > 0  # there is no value to warm up
    after, start = weights(compared / "adapter"), weights(tuned / "adapter")
    assert not any(torch.equal(after[name], start[name]) for name in after)


def test_p20_the_advantages_of_a_prompts_answers_sum_to_0_and_stand_on_every_token(stage):
    batch = rollout.roll_out(stage, ppo.start(stage)[0])
    first = batch.advantage[:, 0].view(-1, 3)
    assert first.abs().sum() > 0
    torch.testing.assert_close(first.sum(1), torch.zeros(4), rtol=0, atol=1e-5)
    assert torch.equal(batch.advantage, torch.where(batch.mask, batch.advantage[:, :1], 0.0))


def test_p20_three_answers_to_each_prompt_stand_side_by_side(stage):
    prompts = rollout.prompts_of(stage, 0)[0]
    assert prompts == [prompt for prompt in prompts[::3] for _ in range(3)]
    assert len(set(prompts)) == 4


def test_p20_the_price_of_kl_is_part_of_what_answers_are_compared_by(ppo_run, monkeypatch):
    inner, seen = rollout.by_group, []

    def spied(config, reward, mask):
        seen.append(reward)
        return inner(config, reward, mask)

    monkeypatch.setattr(rollout, "by_group", spied)
    for way in ("reward", "loss"):
        stage = stage_of(ppo_run(way, kl_coef=0.5, kl_in=way, **RLOO))
        progress, _ = ppo.start(stage)
        batch = rollout.roll_out(stage, progress)
        update.learn_minibatch(stage, progress, batch)  # off the reference
        progress.minibatch = 0
        batch = rollout.roll_out(stage, progress)
    kl = torch.where(batch.mask, batch.logp - batch.ref_logp, 0.0).sum(1)
    assert kl.abs().max() > 0
    torch.testing.assert_close(seen[1], seen[3] - 0.5 * kl, rtol=0, atol=1e-4)


def test_p20_groups_of_equal_rewards_are_counted(ppo_run, monkeypatch):
    equal = torch.tensor([1.0, 1.0, 1.0, 2.0, 1.0, 1.0, 3.0, 3.0, 3.0, 0.0, 1.0, 2.0])[:, None]
    monkeypatch.setattr(Stage, "raw_scores", lambda stage, prompts, rollout: equal[: len(prompts)])
    stage = stage_of(ppo_run(score_norm="none", missing_eos_penalty=0.0, **RLOO))
    progress, _ = ppo.start(stage)
    rollout.roll_out(stage, progress)
    assert progress.values["group/flat"] == 0.5


def test_p20_grpo_ends_with_a_result(ppo_run):
    path = run_of(ppo_run(**{**RLOO, "advantage": "grpo", "rollouts": 2, "kl_in": "loss"}))
    assert values(path, "rollout")[1]["grad_norm/policy"] > 0


# --- what may not move


def test_a_reward_that_is_constant_and_free_kl_change_nothing_bitwise(ppo_run, tuned, monkeypatch):
    monkeypatch.setattr(Stage, "raw_scores", lambda stage, prompts, rollout: torch.full((len(prompts), 1), -0.9))
    quiet = {"kl_coef": 0.0, "missing_eos_penalty": 0.0, "score_norm": "none"}
    path = run_of(ppo_run(**RLOO, **quiet))
    after, start = weights(path / "adapter"), weights(tuned / "adapter")
    assert all(torch.equal(after[name], start[name]) for name in start)
    assert values(path, "rollout")[-1]["group/flat"] == 1.0


def test_a_rate_of_0_leaves_every_weight_bitwise(ppo_run, monkeypatch):
    monkeypatch.setattr(optimizer, "rate", lambda *given, **named: 0.0)
    stage = stage_of(ppo_run())
    progress, _ = ppo.start(stage)
    progress.rollout = 1  # beyond the warm-up
    before_ = {role: own.weight.clone() for role, own in stage.optimizers.items()}
    update.learn_minibatch(stage, progress, rollout.roll_out(stage, progress))
    assert before_.keys() == {"policy", "value"}
    assert all(torch.equal(own.weight, before_[role]) for role, own in stage.optimizers.items())


def test_zero_advantages_give_the_policy_a_zero_gradient_bitwise(stage):
    progress, _ = ppo.start(stage)
    batch = rollout.roll_out(stage, progress)
    batch.advantage.zero_()
    update.policy_gradient(stage, progress, batch, list(range(12)))
    assert not stage.optimizers["policy"].grad.any()


def test_one_epoch_of_one_minibatch_is_the_plain_policy_gradient_of_the_rollout(stage):
    progress, _ = ppo.start(stage)
    batch = rollout.roll_out(stage, progress)
    update.policy_gradient(stage, progress, batch, list(range(12)))
    found = stage.optimizers["policy"].grad.clone()
    stage.optimizers["policy"].zero()
    prompts = [torch.tensor(stage.train[place].ids) for place in batch.prompts]
    with adapters.using(stage.model, "policy"):
        logp, _ = stage.logprobs_of(prompts, [batch.answer(row) for row in range(12)])
        (-(batch.flat(batch.advantage, list(range(12))) * logp).sum() / batch.lengths.sum()).backward()
    plain = stage.optimizers["policy"].grad
    assert plain.norm() > 0
    assert (found - plain).norm() <= 1e-6 * plain.norm()


def test_p2_one_pass_scores_the_rollout_and_is_the_first_epochs_forward(ppo_run, monkeypatch):
    stage = stage_of(ppo_run(**RLOO, minibatches=1, microbatch_tokens=4_096))
    progress, _ = ppo.start(stage)
    batch = rollout.roll_out(stage, progress)
    calls, inner = [], sampling.answer_logprobs

    def counted(*given, **more):
        calls.append(given)
        return inner(*given, **more)

    monkeypatch.setattr(sampling, "answer_logprobs", counted)
    sums, widest = update.policy_gradient(stage, progress, batch, list(range(12)))
    kept = stage.optimizers["policy"].grad.clone()
    again, also = update.policy_gradient(stage, progress, batch, list(reversed(range(12))))
    assert (widest, also) == (0.0, 0.0)  # a forward of its own, as after a resume, has the same bits
    assert sums == again
    assert len(calls) == 1
    assert torch.equal(kept, stage.optimizers["policy"].grad)
    assert kept.norm() > 0


@pytest.mark.parametrize("other", [{"microbatch_tokens": 4_096}, {"minibatches": 1}])
def test_p2_no_graph_is_kept_where_the_first_minibatch_is_not_one_pass_of_the_rollout(ppo_run, other):
    stage = stage_of(ppo_run(**RLOO | other))
    rollout.roll_out(stage, ppo.start(stage)[0])
    assert stage.kept is None


def test_p16_a_price_on_sft_rows_without_any_is_refused(ppo_run):
    path = ppo_run(ptx_coef=1.0)
    assert main(["ppo", str(path)]) == 2
    assert failure(path)["code"] == "bad_data"
    assert "ptx_coef is 1" in failure(path)["sentence"]
