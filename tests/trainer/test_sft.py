"""SFT on a toy: its loss, what is trained, what is chosen."""

import json

import pytest
import torch

from tests.trainer.runs import config_of, result, run_of, sft_rows, values
from trainer import adapters, base, data, losses, sft, tokenizer
from trainer.contract.configs import PretrainConfig, SftConfig
from trainer.contract.rundir import Run, folder_sha256
from trainer.measure import nll


def weights(path):
    return bytes_of(path / "adapter")


def bytes_of(folder):
    return (folder / "adapter_model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def loud_base(tmp_path_factory, words):
    """An untrained toy with large weights: its random features tell prompts apart, so an adapter can learn by heart."""
    model = base.make("toy", vocab=512, seed=3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 2:
                parameter.mul_(10 if "embed" in name else 5)
    folder = tmp_path_factory.mktemp("loud") / "base"
    base.save(model, folder)
    words.save(folder)
    return folder


def test_sft_learns_16_pairs_by_heart(sft_run, loud_base):
    long_run = {"epochs": 50, "max_steps": 200, "batch_rows": 4, "eval_steps": 1_000, "checkpoint_steps": 1_000}
    path = sft_run(base=loud_base, rows=sft_rows(20), lr=1e-2, rank=16, alpha=32, schedule="linear", **long_run)
    found = [line["loss"] for line in values(run_of(path), "train")]
    assert found[0] > 6
    assert max(found[-4:]) < 0.05


def test_s1_the_loss_is_the_weighted_sum_over_the_weighted_count(sft_run, toy_base):
    rows = [{**row, "weight": 1.0 + n % 3} for n, row in enumerate(sft_rows())]
    path = run_of(sft_run(rows=rows, batch_rows=100, max_steps=1))
    model = base.load(toy_base, dtype=torch.float32, device=torch.device("cpu"))
    words = tokenizer.load(toy_base, template="base")
    total = count = 0.0
    for row in rows:
        if row["split"] == "train":
            rendered = words.render(row["messages"], open=False)
            logits = model(torch.tensor([rendered.ids])).logits[0].log_softmax(-1)
            for t in range(1, len(rendered.ids)):
                if rendered.mask[t]:
                    total -= row["weight"] * logits[t - 1, rendered.ids[t]].item()
                    count += row["weight"]
    assert values(path, "train")[0]["loss"] == pytest.approx(total / count, rel=1e-5)


def test_a_row_of_weight_2_is_the_row_twice(sft_run):
    rows = sft_rows(20)
    twin = {**rows[1], "id": "twin", "prompt_id": "twin"}
    twin["messages"] = [{"role": "user", "content": "What of the cat 1?"}, rows[1]["messages"][1]]
    assert rows[1]["messages"][0]["content"] == "What of the cat 1?"
    heavy = run_of(sft_run("heavy", rows=[*rows[:1], {**rows[1], "weight": 2}, *rows[2:]], batch_rows=100, max_steps=1))
    assert values(heavy, "train")[0]["loss"] == pytest.approx(loss_with(rows, 1, heavy), rel=1e-6)


def loss_with(rows, twice, path):
    """The step's loss of the untrained base with one train row counted twice."""
    run = Run(path)
    words = tokenizer.load(path / "parents" / "base", template="base")
    model = base.load(path / "parents" / "base", dtype=torch.float32, device=torch.device("cpu"))
    train = data.dialogues(run, config_of(path, SftConfig), words, context=128).train
    doubled = [*train, *(example for example in train if example.id == rows[twice]["id"])]
    return nll(model, doubled, budget=512, chunk=64, stop=lambda: None).nats_per_token


def test_g3_the_micro_batch_changes_no_loss(sft_run):
    found = [
        [line["loss"] for line in values(run_of(sft_run(str(budget), microbatch_tokens=budget)), "train")]
        for budget in (64, 4_096)
    ]
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_s2_only_states_that_predict_a_counted_token_reach_the_head(sft_run, monkeypatch):
    seen = []
    inner = losses.linear_cross_entropy

    def watched(hidden, weight, targets, weights, *, chunk):
        seen.append(len(hidden))
        return inner(hidden, weight, targets, weights, chunk=chunk)

    monkeypatch.setattr(losses, "linear_cross_entropy", watched)
    path = run_of(sft_run(max_steps=1, eval_steps=100, microbatch_tokens=4_096))
    heldout, train = seen[1], seen[2]  # after the trial pass
    assert heldout == values(path, "eval")[0]["eval/answer_tokens"]
    assert train == values(path, "train")[0]["tokens"]


def test_s3_a_new_adapter_starts_as_the_base(tuned, toy_base):
    words = tokenizer.load(toy_base, template="base")
    model = base.load(toy_base, dtype=torch.float32, device=torch.device("cpu"))
    heldout = data.dialogues(Run(tuned), config_of(tuned, SftConfig), words, context=128).heldout
    bare = nll(model, heldout, budget=128, chunk=1_024, stop=lambda: None)
    assert values(tuned, "eval")[0]["eval/answer_nats_per_token"] == bare.nats_per_token


def test_l3_the_base_is_not_touched(tuned, toy_base):
    assert folder_sha256(toy_base) == result(tuned)["parents"]["base"]


def test_s3_a_parent_adapter_is_continued_and_not_touched(sft_run, tuned):
    path = sft_run(parent_adapter="older", max_steps=1)
    (path / "parents" / "older").symlink_to(tuned / "adapter")
    before = folder_sha256(tuned / "adapter")
    run_of(path)
    assert folder_sha256(tuned / "adapter") == before
    first = values(path, "eval")[0]["eval/answer_nats_per_token"]
    assert first == pytest.approx(result(tuned)["final"]["heldout_nll"], rel=1e-6)


def drifting(sft_run, **changed):
    """A run whose held-out answers are unlike its training rows: they grow likelier for three steps, then less so."""
    rows = sft_rows()
    for row in rows[::5]:
        row["messages"][1] = {"role": "assistant", "content": f"{row['id']} 0123456789 9876543210"}
    path = run_of(sft_run(rows=rows, lr=3e-2, schedule="constant", **changed))
    start, middle, end = (line["eval/answer_nats_per_token"] for line in values(path, "eval"))
    assert middle < min(start, end)
    return path


def test_s4_the_best_evaluations_weights_are_the_output(sft_run):
    path = drifting(sft_run)
    assert result(path)["final"]["chosen_step"] == 3
    assert weights(path) == bytes_of(path / "milestones" / "step-00000003")


def test_s4_the_last_weights_are_the_output_if_asked(sft_run):
    path = drifting(sft_run, select="last")
    assert result(path)["final"]["chosen_step"] == 6
    assert weights(path) == bytes_of(path / "milestones" / "step-00000006")


def test_s4_ties_between_evaluations_go_to_the_earlier():
    stage = object.__new__(sft._Stage)
    stage.evaluations = {str(step): {"nats_per_token": value} for step, value in ((0, 3.0), (9, 2.0), (10, 2.0))}
    assert stage.best_step() == 9


def test_s4_held_out_answers_are_measured_at_each_eval_step(tuned):
    lines = [json.loads(line) for line in (tuned / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "eval"] == [0, 3, 6]


def test_c1_the_same_held_out_prompts_are_shown_each_time(tuned):
    shown = [json.loads(line) for line in (tuned / "samples.jsonl").read_text().splitlines()]
    assert [line["prompt_id"] for line in shown] == ["r0", "r5", "r10", "r15"] * 3


def test_g4_dropout_moves_the_training_loss_and_no_evaluation(sft_run, tuned):
    path = run_of(sft_run(lora_dropout=0.5, lr=1e-9))
    plain = run_of(sft_run("plain", lr=1e-9))
    assert values(path, "eval")[0] == values(plain, "eval")[0]
    assert values(path, "train")[0]["grad_norm"] != values(plain, "train")[0]["grad_norm"]


def test_l8_the_saved_adapter_is_the_trained_one(tuned, toy_base):
    run = Run(tuned)
    model = base.load(toy_base, dtype=torch.float32, device=torch.device("cpu"))
    words = tokenizer.load(toy_base, template="base")
    adapters.load_adapter(model, tuned / "adapter", "sft", base_sha256=config_of(tuned, SftConfig).base_sha256)
    with adapters.using(model, "sft"):
        heldout = data.dialogues(run, config_of(tuned, SftConfig), words, context=128).heldout
        report = nll(model, heldout, budget=128, chunk=1_024, stop=lambda: None)
    assert report.nats_per_token == pytest.approx(result(tuned)["final"]["heldout_nll"], rel=1e-6)


def test_pretraining_and_sft_agree_on_the_template(tuned, pretrained):
    assert isinstance(Run(pretrained).config, PretrainConfig)
    assert result(tuned)["template_sha256"] == result(pretrained)["template_sha256"]
