"""The DPO stage on a toy: its loss, its reference, its metrics, and that it learns what people chose."""

import json
import math
import os
import signal
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.trainer import naive
from tests.trainer.preferences import DPO, Row, answer, lay, ranking_row, ranking_rows
from tests.trainer.runs import at_call, before, config_of, events, in_child, outcome, result, run_of, split_of, values
from trainer import checkpoint, dpo
from trainer.contract.configs import DpoConfig
from trainer.contract.rundir import Run, folder_sha256
from trainer.rankings import Rules


@pytest.fixture
def dpo_run(tmp_path, toy_base, tuned):
    """Lays out a small DPO run on the tuned adapter; keywords change its config, rows= its rows."""

    def lay_dpo(name="run", *, rows=None, **changed):
        config = {**DPO, "parent_adapter": "sft", **changed}
        rows = ranking_rows() if rows is None else rows
        return lay(tmp_path / name, config, base=toy_base, parents={"sft": tuned / "adapter"}, ranking=rows)

    return lay_dpo


@pytest.fixture(scope="module")
def trained(tmp_path_factory, toy_base, tuned):
    """A finished DPO run."""
    path = tmp_path_factory.mktemp("preferred") / "run"
    config = {**DPO, "parent_adapter": "sft"}
    return run_of(lay(path, config, base=toy_base, parents={"sft": tuned / "adapter"}, ranking=ranking_rows()))


def stage_of(path):
    stage = dpo._Stage(config_of(path, DpoConfig), Run(path))
    stage.restore(checkpoint.State(step=0))
    return stage


def test_the_result_names_the_policy_and_how_it_orders_held_out_answers(trained):
    kinds = [output["kind"] for output in result(trained)["outputs"]]
    final = result(trained)["final"]
    assert kinds[:2] == ["policy", "evaluation"]
    assert set(kinds[2:]) == {"milestone"}
    assert final["accuracy_low"] <= final["accuracy"] <= final["accuracy_high"]
    assert {"length_accuracy", "heldout_loss_before", "heldout_loss", "heldout_logps_chosen"} <= final.keys()
    manifest = json.loads((trained / "adapter" / "manifest.json").read_text())
    assert (manifest["kind"], manifest["parent_sha256"]) == ("policy", folder_sha256(trained / "parents" / "sft"))


# --- the loss (Q1)


def test_q1_before_the_first_step_nothing_is_preferred(trained):
    first = values(trained, "eval")[0]
    assert first["heldout/loss"] == pytest.approx(math.log(2), abs=1e-7)
    assert first["heldout/accuracy"] == 0.5


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_q1_of_two_answers_the_loss_is_the_published_one(dpo_run, smoothing):
    path = dpo_run(rows=ranking_rows(answers=2), label_smoothing=smoothing, beta=0.3)
    stage = stage_of(path)
    stage.ask_reference()
    stir(stage)
    before_, elements = stage.optimizer.weight.clone(), [stage.train[place] for place in stage.steps[0][1]]
    logps = stage.logps(elements, "policy")
    stage.learn(0)
    assert not torch.equal(stage.optimizer.weight, before_)
    quads = [(*own, *stage.reference_of([element])) for element, own in zip(elements, logps, strict=True)]
    terms = [naive.dpo_loss(float(a), float(b), float(c), float(d), 0.3, smoothing) for a, b, c, d in quads]
    assert values(path, "train")[0]["loss"] == pytest.approx(sum(terms) / len(terms), abs=1e-5)


def stir(stage):
    """Move the policy away from the reference."""
    draw = torch.Generator().manual_seed(1)
    stage.optimizer.load_weight(stage.optimizer.weight + torch.randn(stage.optimizer.weight.shape, generator=draw) / 50)


def test_q1_sums_run_over_the_answers_tokens_and_the_end(dpo_run, toy_base):
    stage = stage_of(dpo_run(parent_adapter=""))
    element = stage.train[0]
    (found,) = stage.logps([element], "reference")
    head = stage.model.get_output_embeddings().weight
    for row, own, prompt in zip(element.rows, found.tolist(), [len(element.ranked.prompt)] * 4, strict=True):
        with torch.no_grad():
            states = stage.model.get_decoder()(row[None]).last_hidden_state[0]
        logp = torch.log_softmax(states @ head.T, 1)[torch.arange(prompt - 1, len(row) - 1), row[prompt:]]
        assert own == pytest.approx(float(logp.sum()), abs=1e-4)
        assert row[-1] == 2  # the end token is among them


def test_g3_the_micro_batch_changes_no_loss(dpo_run, trained):
    other = run_of(dpo_run(microbatch_tokens=2_048))
    mine, theirs = ([line["loss"] for line in values(path, "train")] for path in (other, trained))
    assert mine == pytest.approx(theirs, rel=1e-5)


def test_rows_of_weight_2_teach_what_the_row_twice_does(dpo_run):
    rows = ranking_rows(10)
    heavy = [{**row, "weight": 2.0} if row["id"] == "j1" else row for row in rows]
    twice = [*rows, {**rows[1], "id": "again"}]
    small = {"min_rows": 1, "batch_prompts": 1, "max_steps": 8, "eval_steps": 100, "sample_steps": 100}
    one, two = (run_of(dpo_run(name, rows=own, **small)) for name, own in (("heavy", heavy), ("twice", twice)))
    mine, theirs = ([line["loss"] for line in values(path, "train")] for path in (one, two))
    assert mine == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ({}, {}),
        ({"ties": "half"}, {"ties": "half"}),
        ({"label_smoothing": 0.1}, {"smoothing": 0.1}),
        ({"below_line_pairs": "drop"}, {"below_line": "drop"}),
    ],
)
def test_q2_rankings_are_read_as_the_config_says(told, read):
    rules = dpo.rules_of(DpoConfig(seed=1, base_sha256="0" * 64, **told))
    assert rules == replace(Rules(ties="drop"), **read)


def test_q1_held_out_rewards_are_over_the_reference(dpo_run):
    stage = stage_of(dpo_run())
    stage.ask_reference()
    elsewhere = [own + 3.0 for own in stage.logps(stage.heldout, dpo.POLICY)]  # 3 nats above the reference, which it is
    rewards = torch.cat(stage.implicit_rewards(elsewhere))
    torch.testing.assert_close(rewards, torch.full_like(rewards, 3 * stage.config.beta), rtol=1e-4, atol=1e-4)


# --- the reference (Q3)


def test_q3_the_reference_is_asked_once_and_then_read(dpo_run, trained):
    path = dpo_run()
    stop = at_call(2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert in_child(["dpo", str(path)], sabotage=lambda: before(dpo._Stage, "learn", stop)) == 7

    def refuse(stage, elements, role):
        assert role == "policy"

    assert in_child(["dpo", str(path)], sabotage=lambda: before(dpo._Stage, "logps", refuse)) == 0
    assert outcome(path) == outcome(trained)


@pytest.mark.parametrize("damage", ["torn", "of another run"])
def test_q3_a_cache_that_is_no_use_is_made_again(dpo_run, trained, damage):
    path, place = dpo_run(), trained / dpo.CACHE
    (path / "cache").mkdir()
    if damage == "torn":
        (path / dpo.CACHE).write_bytes(place.read_bytes()[:-8])
    if damage == "of another run":
        save_file({"logp": load_file(place)["logp"] - 1}, path / dpo.CACHE, metadata={"key": "another"})
    run_of(path)
    assert outcome(path) == outcome(trained)
    assert (path / dpo.CACHE).read_bytes() == place.read_bytes()


def test_q3_another_parent_is_another_cache(dpo_run):
    keys = {stage_of(dpo_run(name, parent_adapter=name))._cache_key() for name in ("", "sft")}
    assert len(keys) == 2


def test_l3_base_and_reference_are_bitwise_as_before(dpo_run):
    path = dpo_run(max_steps=2)
    before_ = {name: folder_sha256(path / "parents" / name) for name in ("base", "sft")}
    run_of(path)
    assert {name: folder_sha256(path / "parents" / name) for name in ("base", "sft")} == before_


# --- what is logged (Q4)


def test_q4_the_fields_own_names_are_logged(trained):
    lines = values(trained, "train")
    assert {"rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies", "logps/chosen"} <= lines[
        0
    ].keys()
    assert lines[0]["rewards/margins"] == pytest.approx(0, abs=1e-5)
    assert lines[-1]["rewards/margins"] > 0
    for line in lines:
        gap = DpoConfig(seed=1, base_sha256="0" * 64).beta * (line["logps/chosen"] - line["logps/chosen_start"])
        assert line["rewards/chosen"] == pytest.approx(gap, abs=1e-4)


def test_q4_the_policy_starts_as_the_parent(dpo_run, tuned):
    stage = stage_of(dpo_run())
    parent = load_file(tuned / "adapter" / "adapter_model.safetensors")
    assert float(stage.optimizer.weight.sum()) == pytest.approx(sum(float(own.sum()) for own in parent.values()))


@pytest.mark.parametrize(("now", "warns"), [(-11.9, False), (-12.1, True)])
def test_q4_chosen_answers_that_fall_by_a_fifth_are_told_once(dpo_run, now, warns):
    stage = stage_of(path := dpo_run())
    for _ in range(2):
        stage._warn_of_fall({"logps/chosen": now, "logps/chosen_start": -10.0})
    found = events(path) if (path / "events.jsonl").exists() else []
    assert found.count("warning") == int(warns)


def test_a_step_of_ties_alone_is_a_step(dpo_run):
    rows = [{**row, "groups": [[0, 1, 2, 3]]} if row["split"] == "train" else row for row in ranking_rows(20)]
    path = run_of(dpo_run(rows=rows, ties="half", max_steps=1))
    (line,) = values(path, "train")
    assert line["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert "rewards/chosen" not in line


def test_samples_show_what_the_policy_writes_before_and_after(trained):
    lines = [json.loads(line) for line in (trained / "samples.jsonl").read_text().splitlines()]
    assert {line["step"] for line in lines} == {0, 4}
    assert [line["prompt_id"] for line in lines[:4]] == ["p0", "p5", "p10", "p15"]


def test_d8_the_first_batch_shows_whose_log_probabilities_count(trained):
    rows = json.loads((trained / "first_batch.json").read_text())["rows"]
    masks = [[token["mask"] for token in row["tokens"]] for row in rows]
    assert all(mask == sorted(mask) and mask[-1] for mask in masks)
    spoken = rows[0]["tokens"][masks[0].index(True) - 1]
    assert spoken["text"] == "<|assistant|>"


def test_r4_a_prompt_larger_than_a_pass_is_split_and_learns_the_same(dpo_run):
    rows = [
        {**row, "id": f"{row['id']}-{n}", "answers": [row["answers"][i] for i in pair], "groups": [[0], [1]]}
        for row in ranking_rows(20)
        for n, pair in enumerate([(0, 1), (2, 3)])
    ]
    paths = [run_of(dpo_run(f"of {n}", rows=rows, microbatch_tokens=n, max_steps=1)) for n in (64, 2_048)]
    torn, whole = ([line["loss"] for line in values(path, "train")] for path in paths)
    assert torn == pytest.approx(whole, rel=1e-5)


# --- what it must learn


def test_dpo_learns_separable_pairs(dpo_run):
    rows: list[Row] = [
        ranking_row(n, [answer(f"{n}/{i}", liked=i == 0) for i in range(2)], [[0], [1]], split=split_of(n))
        for n in range(300)
    ]
    learns = {"rank": 8, "alpha": 16, "lr": 5e-3, "microbatch_tokens": 2_048, "eval_steps": 1_000, "beta": 0.5}
    path = run_of(dpo_run(rows=rows, parent_adapter="", sample_steps=1_000, **learns))
    assert result(path)["final"]["accuracy"] > 0.95
