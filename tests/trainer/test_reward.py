"""The reward stage on a toy: its batch element, its head, its report, and that what is saved is what was trained."""

import json
import os
import signal

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.trainer import naive
from tests.trainer.preferences import REWARD, lay, ranking_rows
from tests.trainer.runs import at_call, before, die, events, failure, in_child, outcome, values
from trainer import adapters, base, checkpoint, measure, reward
from trainer.__main__ import main
from trainer.contract.configs import RewardConfig
from trainer.contract.errors import TrainerError
from trainer.contract.rundir import Run, folder_sha256
from trainer.data import Ranked, Ranking
from trainer.measure import Judged

near = 1e-6


@pytest.fixture
def reward_run(tmp_path, toy_base, tuned):
    """Lays out a small reward run on the tuned adapter; keywords change its config, rows= its rows."""

    def lay_reward(name="run", *, rows=None, **changed):
        config = {**REWARD, "parent_adapter": "sft", **changed}
        rows = ranking_rows() if rows is None else rows
        return lay(tmp_path / name, config, base=toy_base, parents={"sft": tuned / "adapter"}, ranking=rows)

    return lay_reward


def run_of(path):
    assert main(["reward", str(path)]) == 0
    return path


def result(path):
    return json.loads((path / "result.json").read_text())


def ranked(*groups_and_weights, answers=3):
    rankings = [
        Ranking(f"j{n}", groups, unplaced, weight) for n, (groups, unplaced, weight) in enumerate(groups_and_weights)
    ]
    ids = [[40 + n, 2] for n in range(answers)]
    return Ranked("p", [], [1, 4, 9, 2, 5], [str(n) for n in range(answers)], ids, rankings)


# --- the batch element


def test_r4_answers_pass_once_however_many_judges_there_are():
    element = reward.element_of(ranked(([[0], [1, 2]], [], 1.0), ([[2], [0]], [1], 1.0)), ties="drop")
    assert len(element.rows) == 3
    assert element.pairs.tolist() == [[0, 1], [0, 2], [2, 0]]


def test_r6_the_prompts_loss_is_the_mean_of_its_rankings_each_weighted():
    element = reward.element_of(ranked(([[0], [1, 2]], [], 0.5), ([[2], [0]], [1], 1.0)), ties="drop")
    scores = [2.0, 1.0, 0.5]
    loss, _ = reward.group_loss(torch.tensor(scores), [element], center=0.01)
    first = naive.ranking_loss(scores, [[0], [1, 2]], "drop", 0.01)
    second = naive.ranking_loss(scores, [[2], [0]], "drop", 0.01)
    assert loss.item() == pytest.approx((0.5 * first + 1.0 * second) / 2, abs=near)
    assert element.weight == 0.75


def test_r6_a_prompt_weighs_at_most_1_whatever_its_answers_and_judges():
    order = [[n] for n in range(6)]
    element = reward.element_of(ranked((order, [], 1.0), (order, [], 1.0), (order, [], 1.0), answers=6), ties="drop")
    assert element.weights.sum().item() == pytest.approx(1.0)


def test_r6_a_ranking_without_pairs_leaves_both_sums():
    element = reward.element_of(ranked(([[0], [1]], [2], 1.0), ([[0, 1, 2]], [], 1.0)), ties="drop")
    assert element.weight == 1.0
    assert element.weights.tolist() == [1.0]


def test_g11_prompts_without_pairs_give_a_zero_that_reaches_the_scores():
    element = reward.element_of(ranked(([[0, 1, 2]], [], 1.0)), ties="drop")
    scores = torch.ones(3, requires_grad=True)
    loss, _ = reward.group_loss(scores, [element], center=0.01)
    assert loss.item() == 0
    assert torch.autograd.grad(loss, scores)[0].tolist() == [0, 0, 0]


def test_two_prompts_in_one_pass_lose_what_they_lose_alone():
    elements = [reward.element_of(ranked(([[0], [1], [2]], [], 1.0)), ties="drop") for _ in range(2)]
    scores = torch.tensor([2.0, 1.0, 0.5, 0.0, 3.0, 1.0])
    together, _ = reward.group_loss(scores, elements, center=0.0)
    alone = [reward.group_loss(part, [elements[0]], center=0.0)[0].item() for part in (scores[:3], scores[3:])]
    assert together.item() == pytest.approx(sum(alone), abs=near)


def test_d4_elements_share_a_pass_within_the_budget_and_none_is_split():
    elements = [reward.element_of(ranked(([[0], [1]], [], 1.0), answers=2 + n), ties="drop") for n in range(4)]
    # a prompt of 5 tokens, once, and 2 to 5 answers of 2: 9, 11, 13 and 15 tokens
    assert [element.tokens for element in elements] == [9, 11, 13, 15]
    assert reward.element_groups(elements, range(4), budget=26) == [[3, 1], [2, 0]]


# --- the head


def test_r3_first_scores_have_deviation_1_on_features_of_unit_rms():
    # 4,096 draws: the deviation of their deviation is 1/√8192 = 1.1 %
    head = reward.first_head(4_095, seed=1)
    assert head.std().item() == pytest.approx(1 / 64, rel=0.04)


def test_r1_r15_the_score_is_read_on_the_last_token_whatever_stands_beside_it(toy_base):
    model = base.load(toy_base, dtype=torch.float32, device=torch.device("cpu"))
    rows = [torch.tensor([1, 4, 50, 2, 5, *range(60, 60 + n), 2]) for n in (1, 5, 3)]
    head = reward.first_head(64, seed=1)
    with torch.no_grad():
        together = measure.score(model, rows, head)
        alone = [float(model.get_decoder()(row[None]).last_hidden_state[0, -1] @ head[0]) for row in rows]
    assert together.tolist() == pytest.approx(alone, abs=1e-5)


# --- the stage


@pytest.fixture(scope="module")
def trained(tmp_path_factory, toy_base, tuned):
    """A finished reward run."""
    path = tmp_path_factory.mktemp("rewarded") / "run"
    config = {**REWARD, "parent_adapter": "sft"}
    return run_of(lay(path, config, base=toy_base, parents={"sft": tuned / "adapter"}, ranking=ranking_rows()))


def test_the_result_names_the_adapter_and_its_accuracy(trained):
    final = result(trained)["final"]
    assert [output["kind"] for output in result(trained)["outputs"]] == ["reward", "evaluation"]
    assert final["accuracy_low"] <= final["accuracy"] <= final["accuracy_high"]
    assert {"length_accuracy", "heldout_prompts", "heldout_loss_before", "heldout_loss"} <= final.keys()


def test_r2_the_trunk_starts_as_the_sft_adapter_and_learns(trained, tuned):
    before_ = load_file(tuned / "adapter" / "adapter_model.safetensors")
    after = load_file(trained / "adapter" / "adapter_model.safetensors")
    moved = [name for name in before_ if not torch.equal(before_[name], after[name])]
    assert len(moved) == len(before_)
    assert max(float((before_[name] - after[name]).abs().max()) for name in before_) < 0.1


def test_r2_the_trunk_gets_a_gradient_at_every_step(trained):
    assert all(line["grad_norm/reward"] > 0 for line in values(trained, "train"))


def test_r11_normalised_training_scores_have_mean_0_and_deviation_1(trained, toy_base):
    model = base.load(toy_base, dtype=torch.float32, device=torch.device("cpu"))
    scorer = measure.load_scorer(model, trained / "adapter", "reward", base_sha256=folder_sha256(toy_base))
    config = Run(trained).config
    assert isinstance(config, RewardConfig)
    stage = reward._Stage(config, Run(trained))
    stage.model = model
    r = (scorer.gain * torch.cat(stage.scores(stage.train, scorer=scorer)) + scorer.bias).double()
    assert r.mean().item() == pytest.approx(0, abs=1e-5)
    assert r.std(unbiased=False).item() == pytest.approx(1, abs=1e-5)


def test_l3_base_and_parent_are_bitwise_as_before(reward_run):
    path = reward_run()
    before_ = {name: folder_sha256(path / "parents" / name) for name in ("base", "sft")}
    run_of(path)
    assert {name: folder_sha256(path / "parents" / name) for name in ("base", "sft")} == before_


def test_g3_the_micro_batch_changes_no_loss(reward_run, trained):
    other = run_of(reward_run(microbatch_tokens=2_048))
    mine, theirs = ([line["loss"] for line in values(path, "train")] for path in (other, trained))
    assert mine == pytest.approx(theirs, rel=1e-5)


def test_d8_the_first_batch_shows_where_scores_are_read(trained):
    rows = json.loads((trained / "first_batch.json").read_text())["rows"]
    assert all(
        [token["mask"] for token in row["tokens"]] == [False] * (len(row["tokens"]) - 1) + [True] for row in rows
    )
    assert all(row["tokens"][-1]["text"] == "<|eos|>" for row in rows)


def test_r14_an_adapter_that_scores_otherwise_from_disk_fails_the_run(reward_run, monkeypatch):
    path, save = reward_run(), adapters.save_adapter

    def lossy(model, name, folder, *, heads, facts):
        save(model, name, folder, heads={"score": heads["score"] * 1.01}, facts=facts)

    monkeypatch.setattr(adapters, "save_adapter", lossy)
    assert main(["reward", str(path)]) == 1
    assert failure(path)["code"] == "reload_differs"
    assert not (path / "result.json").exists()


def test_an_adapter_without_a_head_cannot_score(tuned, toy_base):
    model = base.load(toy_base, dtype=torch.float32, device=torch.device("cpu"))
    with pytest.raises(TrainerError) as refusal:
        measure.load_scorer(model, tuned / "adapter", "reward", base_sha256="")
    assert refusal.value.code == "bad_adapter"
    assert adapters.names(model) == []


def test_a_spoilt_parent_is_refused(reward_run, tuned, tmp_path):
    path = reward_run()
    spoilt = tmp_path / "spoilt"
    (path / "parents" / "sft").unlink()
    spoilt.mkdir()
    for file in (tuned / "adapter").iterdir():
        (spoilt / file.name).write_bytes(file.read_bytes())
    tensors = load_file(spoilt / "adapter_model.safetensors")
    save_file({name: tensor[:1] for name, tensor in tensors.items()}, spoilt / "adapter_model.safetensors")
    (path / "parents" / "sft").symlink_to(spoilt)
    assert main(["reward", str(path)]) == 2
    assert failure(path)["code"] == "bad_adapter"


DEATHS = {
    "in the first step": (lambda: measure, "score", 0),
    "in mid-accumulation": (lambda: measure, "score", 9),
    "while a checkpoint is written": (lambda: checkpoint, "_save_tensors", 5),
    "before the result": (lambda: reward, "check_reloaded", 0),
}


@pytest.mark.parametrize("place", DEATHS)
def test_c10_a_run_that_is_killed_ends_as_one_that_is_not(reward_run, trained, place):
    path = reward_run()
    owner, name, call = DEATHS[place]
    code = in_child(["reward", str(path)], sabotage=lambda: before(owner(), name, die(call)))
    assert code == -signal.SIGKILL
    assert in_child(["reward", str(path)]) == 0
    assert {**outcome(path), "outputs": 0} == {**outcome(trained), "outputs": 0}
    assert outputs(path) == outputs(trained)


def outputs(path):
    return [output["sha256"] for output in result(path)["outputs"]]


def test_c5_a_stop_saves_the_last_whole_step(reward_run, trained):
    path = reward_run()
    ask = at_call(9, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert in_child(["reward", str(path)], sabotage=lambda: before(measure, "score", ask)) == 7
    assert events(path)[-2:] == ["checkpoint", "cancelled"]
    assert in_child(["reward", str(path)]) == 0
    assert outputs(path) == outputs(trained)


# --- what it must learn


LEARNS = {"batch_prompts": 8, "lr": 1e-2, "head_lr": 1e-2, "microbatch_tokens": 4_096, "eval_steps": 1_000}


def test_the_reward_model_finds_a_hidden_rule(reward_run):
    path = run_of(reward_run(rows=ranking_rows(400), parent_adapter="", rank=8, alpha=16, **LEARNS))
    assert result(path)["final"]["accuracy"] > 0.95


@pytest.mark.full
def test_the_reward_model_finds_a_rule_behind_20_percent_of_wrong_rankings(reward_run):
    rows = ranking_rows(400, reversed_share=0.2)
    path = run_of(reward_run(rows=rows, parent_adapter="", rank=8, alpha=16, **LEARNS))
    assert result(path)["final"]["accuracy"] > 0.85


@pytest.mark.full
def test_shuffled_labels_teach_nothing(reward_run):
    # 80 held-out prompts of four pairs; 50 ± 12 % is three standard errors of 160 independent pairs
    rows = ranking_rows(400, reversed_share=0.5)
    path = run_of(reward_run(rows=rows, parent_adapter="", rank=8, alpha=16, **LEARNS))
    assert result(path)["final"]["accuracy"] == pytest.approx(0.5, abs=0.12)


# --- R13, worked by hand


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


def test_r13_calibration_of_scores_that_promise_nothing():
    # σ(0) = ½ and both orders are counted: nothing promised, nothing off
    even = [judged([0.0, 0.0], [1, 1], [[0], [1]])]
    assert measure.ranking_report(TRAIN, even, seed=1)["calibration_error"] == pytest.approx(0)


def test_r13_calibration_of_scores_that_promise_too_much():
    # σ(3) = 0.9526 for the worse answer: both orders are off by 0.9526
    wrong = [judged([0.0, 3.0], [1, 1], [[0], [1]])]
    assert measure.ranking_report(TRAIN, wrong, seed=1)["calibration_error"] == pytest.approx(0.952574, abs=1e-6)
