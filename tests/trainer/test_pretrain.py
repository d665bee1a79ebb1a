"""Pretraining on a toy: its loss, its outputs, its invariants."""

import json

import pytest
import torch

from tests.trainer.runs import config_of, corpus_rows, result, values
from trainer import base, data, losses, objectives, packing, tokenizer
from trainer.__main__ import main
from trainer.contract.configs import PretrainConfig
from trainer.contract.rundir import Run
from trainer.measure import nll

CPU = torch.device("cpu")


def test_o1_the_loss_falls_on_held_out_text(pretrain_run):
    path = pretrain_run(rows=corpus_rows(200), max_steps=60, eval_steps=60, fim_share=0.25, batch_tokens=400)
    assert main(["pretrain", str(path)]) == 0
    final = result(path)["final"]
    assert final["heldout_nll_before"] == pytest.approx(6.24, abs=0.1)  # log 512
    assert final["heldout_nll"] < 0.62 * final["heldout_nll_before"]


def test_a_run_leaves_a_base_that_loads_with_its_tokenizer(pretrained):
    model = base.load(pretrained / "model", dtype=torch.float32, device=CPU)
    words = tokenizer.load(pretrained / "model", template="base")
    assert (model.config.vocab_size, model.config.pad_token_id, len(words) <= 512) == (512, 0, True)


def test_e1_the_report_is_that_of_the_model_that_was_left(pretrained):
    run = Run(pretrained)
    model = base.load(pretrained / "model", dtype=torch.float32, device=CPU)
    words = tokenizer.load(pretrained / "model", template="base")
    documents = objectives.encode(data.documents(run, config_of(pretrained, PretrainConfig)).heldout, words)
    pieces = [piece for one in documents for piece in objectives.next_token(one, context=128)]
    report = nll(model, pieces, budget=400, chunk=32, stop=lambda: None)
    assert report.nats_per_token == pytest.approx(result(pretrained)["final"]["heldout_nll"], rel=1e-6)


def test_e1_bits_per_byte_count_the_texts_own_bytes(pretrained):
    report = json.loads((pretrained / "evaluation.json").read_text())["after"]["next"]
    size = sum(len(row["text"].encode()) for row in corpus_rows() if row["split"] == "heldout")
    bits = report["nats_per_token"] * report["tokens"] / 0.6931471805599453 / size
    assert report["bits_per_byte"] == pytest.approx(bits)


def test_o4_losses_are_reported_by_objective(pretrained):
    assert {"eval/next_nats_per_token", "eval/fim_nats_per_token"} < set(values(pretrained, "eval")[-1])


def test_c1_a_train_line_has_what_could_explain_a_bad_run(pretrained):
    lines = [json.loads(line) for line in (pretrained / "metrics.jsonl").read_text().splitlines()]
    train = [line for line in lines if line["kind"] == "train"]
    assert [line["step"] for line in train] == [1, 2, 3, 4, 5, 6]
    assert train[-1]["progress"] == 1.0
    assert set(train[0]["values"]) == {"loss", "grad_norm", "lr", "epoch", "tokens"}


def test_g3_the_micro_batch_changes_no_loss(pretrain_run):
    found = []
    for name, budget in (("small", 64), ("large", 4_096)):
        path = pretrain_run(name, microbatch_tokens=budget, max_steps=3)
        assert main(["pretrain", str(path)]) == 0
        found.append([line["loss"] for line in values(path, "train")])
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_g9_another_seed_gives_another_run(pretrain_run):
    paths = [pretrain_run(str(seed), seed=seed, max_steps=1) for seed in (1, 2)]
    assert [main(["pretrain", str(path)]) for path in paths] == [0, 0]
    assert values(paths[0], "train") != values(paths[1], "train")


def test_d3_a_run_may_go_over_its_corpus_several_times(pretrain_run):
    path = pretrain_run(batch_tokens=600, epochs=100, max_steps=4)
    assert main(["pretrain", str(path)]) == 0
    assert values(path, "train")[-1]["epoch"] >= 2


def test_c3_milestones_are_loadable_and_listed(pretrained):
    steps = [output["name"] for output in result(pretrained)["outputs"] if output["kind"] == "milestone"]
    assert steps == [f"step-{step:08d}" for step in range(1, 7)]
    base.load(pretrained / "milestones" / steps[0], dtype=torch.float32, device=CPU)


def test_e6_evaluation_changes_no_bit_of_the_run(pretrain_run):
    paths = [pretrain_run(str(steps), eval_steps=steps) for steps in (1, 100)]
    assert [main(["pretrain", str(path)]) for path in paths] == [0, 0]
    assert values(paths[0], "train") == values(paths[1], "train")


def test_g10_a_loss_that_is_not_finite_stops_before_the_step(pretrain_run, monkeypatch):
    inner = base.trunk  # the stage's forward; the evaluation has its own name for it
    monkeypatch.setattr(base, "trunk", lambda *given: inner(*given) * float("nan"))
    path = pretrain_run()
    assert main(["pretrain", str(path)]) == 3
    failure = json.loads((path / "failure.json").read_text())
    assert failure["code"] == "not_finite"
    assert "at step 1; first in model.embed_tokens.weight; rows d" in failure["sentence"]
    assert values(path, "train") == []


def test_g11_a_micro_batch_without_counted_tokens_gives_a_connected_zero():
    model = base.make("toy", vocab=512, seed=1)
    batch = packing.collate([data.Example("a", [1, 5, 6], [False] * 3)], [0])
    hidden = base.trunk(model, batch)[batch.at]
    loss, _ = losses.linear_cross_entropy(hidden, base.head_weight(model), batch.targets, batch.weights, chunk=8)
    loss.backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    assert all(gradient is not None and not gradient.any() for gradient in gradients)
