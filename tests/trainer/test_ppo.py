"""PPO on a toy: its numbered steps, what it refuses, and that a run that died or was stopped ends as any other."""

import json
import os
import signal

import pytest
import torch
from safetensors.torch import load_file

from tests.trainer.preferences import Row, prompt_rows
from tests.trainer.runs import (
    at_call,
    before,
    die,
    events,
    failure,
    in_child,
    outcome,
    result,
    run_of,
    sft_rows,
    values,
)
from trainer import adapters, checkpoint, losses, measure, ppo, rollout, sampling, update
from trainer.__main__ import main
from trainer.contract.configs import PpoConfig
from trainer.contract.errors import TrainerError
from trainer.contract.rundir import Run, canonical_lines, folder_sha256
from trainer.contract.seeds import seed_for
from trainer.policies import Answered, policy_report
from trainer.roles import Stage
from trainer.rollout import Progress
from trainer.sampling import Rollout

LOGGED = {
    "objective/kl",
    "objective/kl_token",
    "objective/entropy",
    "objective/scores",
    "objective/rlhf_reward",
    "objective/non_score_reward",
    "policy/approxkl_avg",
    "policy/clipfrac_avg",
    "loss/policy_avg",
    "loss/value_avg",
    "val/clipfrac_avg",
    "val/ratio",
    "val/ratio_var",
    "val/explained_var",
    "answer/length",
    "answer/eos_rate",
    "kl_coef",
    "grad_norm/policy",
    "grad_norm/value",
    "rollout/logprob_gap",
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, lay_ppo):
    """A finished PPO run."""
    return run_of(lay_ppo(tmp_path_factory.mktemp("trained") / "run"))


@pytest.fixture
def stage(ppo_run):
    """What the steps of a run stand on, before the first of them."""
    return stage_of(ppo_run())


def stage_of(path):
    run = Run(path)
    run.begin()
    assert isinstance(run.config, PpoConfig)
    return Stage(run.config, run)


def outputs(path):
    return [output["sha256"] for output in result(path)["outputs"]]


def weights(folder):
    return load_file(folder / "adapter_model.safetensors")


# --- the run


def test_the_result_names_policy_and_value_and_what_changed(trained):
    assert [output["kind"] for output in result(trained)["outputs"]][:3] == ["policy", "value", "evaluation"]
    final = result(trained)["final"]
    assert final["reward_gain_low"] <= final["reward_gain"] <= final["reward_gain_high"]
    assert {"kl_after", "eos_rate_after", "length_after", "distinct_2_after", "net_reward_gain"} <= final.keys()


def test_p19_all_metrics_are_logged_each_rollout(trained):
    lines = values(trained, "rollout")
    assert len(lines) == 3
    assert lines[-1].keys() >= LOGGED


def test_p2_the_ratio_is_1_at_first_and_moves_later(trained):
    assert values(trained, "rollout")[1]["val/ratio_var"] > 0
    assert values(trained, "rollout")[1]["rollout/logprob_gap"] < 1e-4


def test_p14_in_the_warm_up_only_the_value_learns(trained, tuned):
    first = values(trained, "rollout")[0]
    assert "loss/policy_avg" not in first
    assert first["grad_norm/value"] > 0
    milestone = trained / "milestones" / "step-00000001"
    assert all(map(torch.equal, weights(milestone).values(), weights(tuned / "adapter").values()))


def test_the_policy_and_the_value_learned(trained, tuned, rewarded):
    for mine, theirs in ((trained / "adapter", tuned / "adapter"), (trained / "value", rewarded)):
        after, start = weights(mine), weights(theirs)
        assert not any(torch.equal(after[name], start[name]) for name in after)


def test_l3_base_reference_and_reward_are_bitwise_as_before(ppo_run):
    path = ppo_run()
    hashes = {name: folder_sha256(path / "parents" / name) for name in ("base", "sft", "reward")}
    run_of(path)
    assert {name: folder_sha256(path / "parents" / name) for name in ("base", "sft", "reward")} == hashes


def test_l3_frozen_roles_in_memory_stay_bitwise(stage):
    frozen = [p for name in ("reference", "reward") for p in adapters.parameters(stage.model, name)]
    before_ = [p.clone() for p in frozen]
    progress, _ = ppo.start(stage)
    progress.rollout = 1  # beyond the warm-up
    update.learn_minibatch(stage, progress, rollout.roll_out(stage, progress))
    assert all(map(torch.equal, frozen, before_))
    assert not any(p.requires_grad for p in frozen)


def test_g3_the_micro_batch_changes_no_loss(ppo_run, trained):
    other = run_of(ppo_run(microbatch_tokens=4_096))
    names = ("loss/policy_avg", "loss/value_avg", "objective/kl", "objective/scores")
    mine, theirs = ([values(path, "rollout")[1][name] for name in names] for path in (other, trained))
    assert mine == pytest.approx(theirs, rel=1e-4, abs=1e-6)


def test_samples_show_the_same_held_out_prompts_from_start_to_end(trained):
    lines = canonical_lines(trained / "samples.jsonl")
    shown = {step: [line["prompt_id"] for line in lines if line["step"] == step] for step in range(4)}
    assert all(prompts == ["p0", "p5", "p10", "p15"] for prompts in shown.values())
    assert all(line["kl"] == 0 for line in lines if line["step"] == 0)


def test_d8_the_first_batch_shows_that_answers_alone_count(trained):
    rows = json.loads((trained / "first_batch.json").read_text())["rows"]
    assert len(rows) == 6
    assert all([token["text"] for token in row["tokens"] if not token["mask"]][-1] == "<|assistant|>" for row in rows)


def test_e4_the_evaluation_compares_the_same_prompts(trained):
    report = json.loads((trained / "evaluation.json").read_text())
    assert report["heldout_prompts"] == 4
    assert report["kl_before"] == 0
    assert report["reward_gain"] == pytest.approx(report["reward_after"] - report["reward_before"])


OTHER_WAYS: dict[str, Row] = {
    "KL in the loss": {"kl_in": "loss"},
    "adaptive KL": {"kl_control": "adaptive"},
    "no scale": {"score_norm": "none", "value_from": "zero"},
    "the saved scale": {"score_norm": "saved", "whiten_rewards": True, "samples_per_prompt": 2},
    "a shadow copy": {"ema": 0.9, "entropy_coef": 0.01, "dual_clip": 3.0},
    "no parent": {"parent_adapter": ""},
    "a base in bfloat16": {"dtype": "bfloat16"},
}


@pytest.mark.parametrize("way", OTHER_WAYS)
def test_each_other_way_through_the_steps_ends_with_a_result(ppo_run, way):
    path = run_of(ppo_run(rollouts=2, **OTHER_WAYS[way]))
    assert result(path)["steps"] == 2


def test_p16_ptx_learns_from_sft_rows_beside(ppo_run, trained):
    path = run_of(ppo_run(ptx_coef=1.0, rollouts=2, sft=sft_rows()))
    assert outputs(path)[0] != outputs(run_of(ppo_run("other", rollouts=2)))[0]


def test_p16_the_output_of_a_shadow_copy_lags_behind(ppo_run, tuned):
    start = torch.cat([t.flatten() for t in weights(tuned / "adapter").values()])
    moved = []
    for ema in (0.0, 0.9):
        path = run_of(ppo_run(f"ema{ema}", rollouts=2, ema=ema))
        end = torch.cat([t.flatten() for t in weights(path / "adapter").values()])
        moved.append((end - start).norm().item())
    assert 0 < moved[1] < moved[0]


def test_p9_adaptive_beta_follows_the_kl(ppo_run):
    lines = values(run_of(ppo_run(kl_control="adaptive", kl_target=1e5, kl_horizon=6)), "rollout")
    # far below the target: β · (1 − 0.2 · 6/6) each rollout
    assert [line["kl_coef"] for line in lines] == pytest.approx([0.05, 0.04, 0.032])


# --- the steps


def test_p17_prompts_come_from_the_train_split_each_once_an_epoch(stage):
    chosen = [rollout.prompts_of(stage, number)[0] for number in range(3)]  # 3 · 6 of 16
    flat = [prompt for prompts in chosen for prompt in prompts]
    assert sorted(flat[:16]) == list(range(16))
    assert all(prompt.split == "train" for prompt in stage.train)


def test_g9_no_two_answers_of_a_rollout_share_a_seed(ppo_run):
    _, seeds = rollout.prompts_of(stage_of(ppo_run(samples_per_prompt=3, rollout_prompts=20)), 0)
    assert len(set(seeds)) == 60


def test_p3_values_are_read_before_each_token_and_the_score_on_the_last(stage):
    prompt, answer = torch.tensor([1, 4, 50, 2, 5]), torch.tensor([60, 61, 2])
    with torch.no_grad(), stage.using("value"):
        states = stage.model.get_decoder()(torch.cat([prompt, answer])[None]).last_hidden_state[0]
        stage.value_weight.normal_()
        values_ = stage.values_of([prompt], [answer])
        expected = (states @ stage.value_weight[0])[4:7] + stage.value_bias
    torch.testing.assert_close(values_, expected, rtol=0, atol=1e-5)


def test_g13_the_reward_reads_the_ids_that_were_sampled(stage, monkeypatch):
    seen = []

    def scored(model, rows, scorer, *, budget, stop):
        seen.extend(rows)
        return torch.zeros(len(rows), 1)

    monkeypatch.setattr(measure, "scores_by_head", scored)
    letters = [ids[0] for ids in stage.words.encode(list("the"))]  # what is written at once becomes one token
    assert stage.words.encode([stage.words.decode(letters)]) != [letters]
    answer = torch.tensor([letters])
    stage.raw_scores(stage.train[:1], Rollout(answer, torch.zeros(1, 3), torch.tensor([3]), torch.tensor([False])))
    assert seen[0].tolist() == [*stage.train[0].ids, *letters]


def test_p14_the_value_starts_as_the_normalised_reward(stage):
    progress, _ = ppo.start(stage)
    torch.testing.assert_close(stage.value_weight.data, progress.gains[0] * stage.scorer.head)
    assert stage.value_bias.item() == pytest.approx(progress.biases[0])


def test_p5_reference_answers_have_mean_0_and_deviation_1(ppo_run):
    stage = stage_of(ppo_run(norm_samples=16))
    progress, _ = ppo.start(stage)
    order = rollout.order_of(stage, epoch=0)
    prompts = [stage.train[i] for i in order]
    seeds = [seed_for(7, "sample", prompt.id, 0, "norm") for prompt in prompts]
    r = progress.normed(stage.raw_scores(prompts, stage.sample(prompts, seeds, "reference")))[:, 0].double()
    assert (r.mean().item(), r.std(unbiased=False).item()) == pytest.approx((0, 1), abs=1e-5)


def test_p4_scores_are_clipped_first_then_answers_that_do_not_end_pay():
    # 9 is clipped to 5; the penalty is taken from that, not from 9
    raw, ended = torch.tensor([[9.0], [9.0], [-1.0]]), torch.tensor([True, False, False])
    assert rollout.scores_of(Progress(), raw, ended, clip=5, missing_eos_penalty=1)[1].tolist() == [5.0, 4.0, -2.0]


def test_p15_each_epoch_passes_every_answer_once(stage):
    seen = [update.rows_of(stage, Progress(minibatch=number), answers=6) for number in range(4)]
    assert [len(rows) for rows in seen] == [3, 3, 3, 3]
    assert sorted(seen[0] + seen[1]) == sorted(seen[2] + seen[3]) == list(range(6))
    assert seen[:2] != seen[2:]


def test_p15_beyond_the_kl_stop_policy_steps_are_skipped_and_the_value_goes_on(ppo_run):
    lines = values(run_of(ppo_run(approx_kl_stop=1e-9, rollouts=2)), "rollout")
    # the first minibatch is on policy, KL 0 but for rounding; from the second or third on none is left
    assert lines[1]["policy/skipped"] >= 2
    assert lines[1]["grad_norm/value"] > 0


def test_p9_a_kl_below_what_chance_allows_is_a_defect():
    rollout.check_kl(torch.tensor([0.5, -0.5, 0.2, -0.3]))
    with pytest.raises(TrainerError) as refusal:
        rollout.check_kl(torch.tensor([-0.5, -0.6, -0.5, -0.4]))
    assert refusal.value.code == "negative_kl"


@pytest.mark.parametrize(("widest", "mean", "exact"), [(2e-4, 0, True), (1, 2e-2, False), (float("nan"), 0, True)])
def test_p2_a_first_ratio_off_1_is_a_defect(widest, mean, exact):
    with pytest.raises(TrainerError) as refusal:
        update.check_ratio(widest, mean, exact=exact)
    assert refusal.value.code == "ratio_gate"


def test_p2_another_temperature_in_training_is_caught_by_the_gate(ppo_run, monkeypatch):
    calls, inner = [], sampling.answer_logprobs

    def hotter(*given, temperature, chunk):
        calls.append(torch.is_grad_enabled())
        return inner(*given, temperature=temperature * (1.01 if calls[-1] else 1), chunk=chunk)

    monkeypatch.setattr(sampling, "answer_logprobs", hotter)
    path = ppo_run()
    assert main(["ppo", str(path)]) == 3
    assert failure(path)["code"] == "ratio_gate"
    assert not (path / "result.json").exists()


def test_one_epoch_of_one_minibatch_is_the_plain_policy_gradient():
    logp = torch.tensor([[-1.0, -2.0]], dtype=torch.float64, requires_grad=True)
    advantage, mask = torch.tensor([[1.5, -0.5]], dtype=torch.float64), torch.tensor([[True, True]])
    loss = losses.policy_loss(logp=logp, old_logp=logp.detach(), advantage=advantage, mask=mask, clip=0.2)
    assert torch.equal(torch.autograd.grad(loss, logp)[0], -advantage)


def test_the_policys_and_the_values_gradients_are_those_of_separate_passes(stage):
    progress, _ = ppo.start(stage)
    progress.rollout = 1
    batch = rollout.roll_out(stage, progress)
    update.value_gradient(stage, batch, [0, 1, 2])
    alone = stage.optimizers["value"].grad.clone()
    update.policy_gradient(stage, progress, batch, [0, 1, 2])
    policy = stage.optimizers["policy"].grad.clone()
    update.value_gradient(stage, batch, [0, 1, 2])
    assert torch.equal(stage.optimizers["value"].grad, alone)
    assert torch.equal(stage.optimizers["policy"].grad, policy)
    assert policy.any()
    assert alone.any()


def test_g10_a_gradient_that_is_not_finite_is_not_applied(ppo_run, monkeypatch):
    inner = losses.value_loss
    monkeypatch.setattr(losses, "value_loss", lambda **given: inner(**given) * float("nan"))
    path = ppo_run()
    assert main(["ppo", str(path)]) == 3
    assert failure(path)["code"] == "not_finite"
    assert "rows p" in failure(path)["sentence"]


def test_prompts_without_a_held_out_one_are_refused(ppo_run):
    path = ppo_run(rows=[{**row, "split": "train"} for row in prompt_rows()])
    assert main(["ppo", str(path)]) == 2
    assert failure(path)["code"] == "no_heldout"


def test_a_reward_adapter_without_a_head_is_refused(ppo_run):
    path = ppo_run(reward_adapter="sft")
    assert main(["ppo", str(path)]) == 2
    assert failure(path)["code"] == "bad_adapter"


# --- dying and stopping

STOPS = {
    "in the first rollout": (ppo, "roll_out", 0),
    "in mid-generation": (sampling, "draw", 60),
    "in mid-update": (update, "value_gradient", 6),
    "in the evaluation": (ppo, "_tell", 1),
}


@pytest.mark.parametrize("place", STOPS)
def test_p18_a_stopped_run_goes_on_to_the_same_end(ppo_run, trained, place):
    path = ppo_run()
    owner, name, call = STOPS[place]
    ask = at_call(call, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert in_child(["ppo", str(path)], sabotage=lambda: before(owner, name, ask)) == 7
    assert events(path)[-2:] == ["checkpoint", "cancelled"]
    assert in_child(["ppo", str(path)]) == 0
    assert outcome(path) == outcome(trained)


def test_p18_in_mid_update_the_checkpoint_holds_the_rollout(ppo_run):
    path = ppo_run()
    ask = at_call(6, lambda: os.kill(os.getpid(), signal.SIGTERM))
    in_child(["ppo", str(path)], sabotage=lambda: before(update, "value_gradient", ask))
    newest = max((path / "checkpoints").iterdir())
    assert (newest / "rollout.safetensors").is_file()
    assert json.loads((newest / "state.json").read_text())["phase"]["minibatch"] == 2


def test_p18_where_a_rollout_takes_long_each_minibatch_is_kept(ppo_run, trained):
    path = ppo_run()

    def late_and_dying():
        setattr(checkpoint.Keeper, "late", lambda keeper: True)  # noqa: B010  # mypy allows no other way
        before(ppo, "learn_minibatch", die(6))

    assert in_child(["ppo", str(path)], sabotage=late_and_dying) == -signal.SIGKILL
    newest = max((path / "checkpoints").iterdir())
    assert json.loads((newest / "state.json").read_text())["phase"]["minibatch"] == 2
    assert in_child(["ppo", str(path)]) == 0
    assert outcome(path) == outcome(trained)


# --- E4, worked by hand


def test_e4_the_report_pairs_each_prompt_with_itself():
    before_ = [Answered([1, 2, 1, 2], 0.0, 0.0, finished=True), Answered([3], 1.0, 0.0, finished=False)]
    after = [Answered([1, 2], 1.0, 2.0, finished=True), Answered([3, 4], 3.0, 4.0, finished=True)]
    report = policy_report(before_, after, beta=0.1, seed=1)
    assert report["reward_gain"] == pytest.approx(1.5)
    assert report["net_reward_gain"] == pytest.approx(1.2)  # 1.5 − 0.1 · 3
    assert (report["eos_rate_before"], report["eos_rate_after"]) == (0.5, 1.0)
    assert report["distinct_2_before"] == pytest.approx(2 / 3)  # 12, 21, 12
    assert report["better"] == 1.0
    assert (report["reward_gain_low"], report["reward_gain_high"]) == (1.0, 2.0)
