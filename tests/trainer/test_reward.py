"""The reward stage on a toy: its batch element, its head, its report, and that what is saved is what was trained."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.trainer.preferences import REWARD, lay, ranking_rows
from tests.trainer.runs import failure, result, run_of, values
from trainer import adapters, base, measure, rankings, reward
from trainer.__main__ import main
from trainer.contract.configs import RewardConfig
from trainer.contract.errors import TrainerError
from trainer.contract.rundir import Run, folder_sha256
from trainer.rankings import Rules

TWO = ranking_rows(answers=2)  # pairs, each with its strength


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
        together = (measure.features(model, rows) @ head.T)[:, 0]
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


def stage_of(path):
    config = Run(path).config
    assert isinstance(config, RewardConfig)
    return reward._Stage(config, Run(path))


@pytest.fixture
def scored(trained, toy_base):
    """(the saved scorer, its stage) with the adapter read from disk."""
    stage = stage_of(trained)
    place = trained / "adapter"
    return measure.load_scorer(stage.model, place, "read", base_sha256=folder_sha256(toy_base)), stage


def test_r11_each_heads_rewards_of_training_answers_have_mean_0_and_deviation_1(scored):
    scorer, stage = scored
    r = scorer.rewards(torch.cat(stage.scores(stage.train, scorer=scorer)))
    assert r.mean(0).tolist() == pytest.approx([0] * 5, abs=1e-5)
    assert r.std(0, unbiased=False).tolist() == pytest.approx([1] * 5, abs=1e-5)
    assert (scorer.gain, scorer.bias) == (scorer.gains[0], scorer.biases[0])


def test_r11_the_manifest_has_the_line_where_rewards_have_theirs(trained):
    facts, last = manifest(trained), values(trained, "train")[-1]
    head = load_file(max((trained / "checkpoints").iterdir()) / "head.safetensors")["weight"]
    assert last["line"] != 0
    assert facts["line"] == pytest.approx(facts["gain"] * float(head[-1]) + facts["bias"], abs=1e-6)


def test_r11_the_manifest_has_the_percentiles_of_head_0s_raw_training_scores(scored, trained):
    scorer, stage = scored
    raw = torch.cat(stage.scores(stage.train, scorer=scorer))[:, 0].double().sort().values
    places = [share * (len(raw) - 1) for share in (0.001, 0.999)]  # between two scores, by their distances
    wanted = [
        float(raw[int(at)] + (at - int(at)) * (raw[min(int(at) + 1, len(raw) - 1)] - raw[int(at)])) for at in places
    ]
    assert manifest(trained)["percentiles"] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ({}, {}),
        ({"ties": "half"}, {"ties": "half"}),
        ({"loss": "plackett_luce"}, {"plackett_luce": True}),
        ({"margin": "strength"}, {"margin": True}),
        ({"line_weight": 0.5}, {"line_weight": 0.5}),
        ({"center": 0.2}, {"center": 0.2}),
    ],
)
def test_r5_to_r10_rankings_are_read_as_the_config_says(told, read):
    rules = reward.rules_of(RewardConfig(seed=1, base_sha256="0" * 64, **told))
    assert rules == replace(Rules(ties="drop", line_weight=0.25, center=0.01), **read)


def test_the_trunk_and_the_heads_learn_at_rates_of_their_own(reward_run):
    path = run_of(reward_run(max_steps=1, lr=1e-3, head_lr=2e-3, schedule="constant", warmup_share=0.0))
    (line,) = values(path, "train")
    assert [line[f"lr/{role}"] for role in ("reward", "head", "heads")] == [1e-3, 2e-3, 2e-3]


def test_g6_the_epsilon_of_reward_models_is_1e_5(reward_run):
    stage = stage_of(reward_run())
    assert {group["eps"] for own in stage.optimizers.values() for group in own._inner.param_groups} == {1e-5}


def manifest(path):
    return json.loads((path / "adapter" / "manifest.json").read_text())


def test_r7_without_a_line_in_the_rankings_nothing_is_said_of_one(reward_run):
    path = run_of(reward_run(rows=TWO_WITHOUT_LINES, max_steps=1, parent_adapter=""))
    assert manifest(path)["line"] is None
    assert all("line" not in line for line in values(path, "train"))
    assert "line_accuracy" not in result(path)["final"]


TWO_WITHOUT_LINES = [{**row, "acceptable_groups": None} for row in TWO]


# --- R12


def test_r12_adapter_head_0_and_line_are_bitwise_the_same_with_1_head_and_with_5(reward_run, trained):
    one = run_of(reward_run(heads=1))
    mine, theirs = (load_file(path / "adapter" / "adapter_model.safetensors") for path in (one, trained))
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert {key: manifest(one)[key] for key in ("gain", "bias", "line", "percentiles")} == {
        key: manifest(trained)[key] for key in ("gain", "bias", "line", "percentiles")
    }
    assert "spread" not in result(one)["final"]


def test_r12_the_other_heads_start_apart_and_learn(trained):
    heads = load_file(trained / "adapter" / "reward_head.safetensors")["heads"]
    first = [reward.first_head(64, seed=7, number=n) for n in range(5)]
    assert heads.shape == (5, 64)
    assert len({tuple(head[0].tolist()) for head in first}) == 5
    assert all(not torch.equal(head, own[0]) for head, own in zip(heads, first, strict=True))
    assert all(line["grad_norm/heads"] > 0 for line in values(trained, "train"))
    assert result(trained)["final"]["spread"] > 0


@pytest.mark.parametrize(
    ("u", "count"), [(0.0, 0), (0.36, 0), (0.37, 1), (0.73, 1), (0.74, 2), (0.919, 2), (0.92, 3), (1 - 2**-53, 18)]
)
def test_r12_a_draw_is_poissons(u, count):
    # cumulative at mean 1: 0.367879, 0.735759, 0.919699, …
    assert reward.poisson(u) == count


def test_r12_a_prompts_draws_follow_from_its_id(trained):
    config = Run(trained).config
    assert isinstance(config, RewardConfig)
    draws = [count for n in range(1_000) for count in reward.draws_of(f"p{n}", config)]
    assert len(draws) == 4_000
    assert sum(draws) / 4_000 == pytest.approx(1, abs=0.05)  # its deviation is 1/√4,000 = 0.016
    assert reward.draws_of("p1", config) == reward.draws_of("p1", config)


def test_r12_a_head_learns_each_prompt_as_often_as_it_was_drawn(scored):
    _, stage = scored
    for own in stage.optimizers.values():
        own.zero()
    group, states = stage.train[:6], torch.randn(24, 64, generator=torch.Generator().manual_seed(1))
    stage._teach_others(states, group, group)
    line = stage.line.detach()
    for m, head in enumerate(stage.others):
        plain = torch.zeros(1, 64).copy_(head.detach()).requires_grad_()
        scores = [(states[4 * n : 4 * n + 4] @ plain.T)[:, 0] for n in range(6)]
        counts = [float(stage.draws[one.ranked.prompt_id][m]) for one in group]
        each = [rankings.loss(own, [one], line=line)[0] for own, one in zip(scores, group, strict=True)]
        total = sum(count * one.weight for count, one in zip(counts, group, strict=True))
        (sum(count * loss for count, loss in zip(counts, each, strict=True)) / total).backward()
        torch.testing.assert_close(head.grad, plain.grad, rtol=0, atol=1e-6)


def test_r12_an_adapter_that_lost_its_heads_is_refused(trained, tmp_path, toy_base):
    lost = shutil.copytree(trained / "adapter", tmp_path / "lost")
    (lost / "reward_head.safetensors").unlink()
    model = base.load(toy_base, dtype=torch.float32, device=torch.device("cpu"))
    with pytest.raises(TrainerError) as refusal:
        measure.load_scorer(model, lost, "reward", base_sha256="")
    assert (refusal.value.code, adapters.names(model)) == ("bad_adapter", [])


def test_l7_r12_every_head_comes_back_from_disk(tmp_path):
    model = base.make("toy", vocab=512, seed=1)
    adapters.attach(model, "reward", rank=4, alpha=8.0, seed=5)
    heads = torch.cat([reward.first_head(64, seed=1, number=n) for n in range(3)])
    facts = {"heads": 3, "gains": [1.0, 2.0, 3.0], "biases": [0.0, 0.5, 1.0], "line": 0.25}
    adapters.save_adapter(model, "reward", tmp_path / "a", heads={"score": heads[:1], "heads": heads}, facts=facts)
    scorer = measure.load_scorer(model, tmp_path / "a", "again", base_sha256="")
    assert torch.equal(scorer.heads, heads)
    assert scorer.rewards(torch.ones(1, 3)).tolist() == [[1.0, 2.5, 4.0]]
    assert scorer.line == 0.25


def test_r12_one_head_has_no_spread():
    assert measure.spread(torch.tensor([[1.0], [2.0]])) == [None, None]


# --- R10


def test_r10_rankings_that_are_no_strict_order_are_learned_as_pairs_and_counted(reward_run):
    strict = [{**row, "groups": [[0], [2], [1], [3]]} if n % 4 else row for n, row in enumerate(ranking_rows())]
    path = run_of(reward_run(rows=strict, loss="plackett_luce", max_steps=1, parent_adapter=""))
    ties = sum(row["split"] == "train" and len(row["groups"]) == 2 for row in strict)
    assert result(path)["final"]["rankings_learned_as_pairs"] == ties


# --- R4


def test_r4_a_prompt_larger_than_a_pass_learns_the_same(reward_run):
    rows = judged_by_three()
    paths = [
        run_of(reward_run(f"of {n}", rows=rows, microbatch_tokens=n, max_steps=2, parent_adapter=""))
        for n in (128, 2_048)
    ]
    torn, whole = ([line["loss"] for line in values(path, "train")] for path in paths)
    assert torn == pytest.approx(whole, rel=1e-5)


def judged_by_three():
    """Rankings of three people each, of two answers of the prompt's six."""
    rows = []
    for row in ranking_rows(answers=6):
        for judge in range(3):
            own = [row["answers"][i] for i in (2 * judge, 2 * judge + 1)]
            rows.append({**row, "id": f"{row['id']}-{judge}", "answers": own, "groups": [[0], [1]]})
    return rows


# --- base and parents


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
        save(model, name, folder, heads={key: head * 1.01 for key, head in heads.items()}, facts=facts)

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
