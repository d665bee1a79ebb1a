"""Checkpoints: whole or absent, refused where they are not this run's."""

import json

import pytest
import torch

from tests.trainer.runs import corpus_rows, events, lay_out
from trainer import checkpoint
from trainer.checkpoint import Keeper, State
from trainer.contract.errors import TrainerError
from trainer.contract.rundir import Run

TENSORS = {"weight": torch.arange(5.0)}


@pytest.fixture
def run(tmp_path):
    run = Run(lay_out(tmp_path / "run", {"stage": "pretrain", "size": "toy"}, corpus=corpus_rows(4)))
    run.begin()
    return run


def save(run, step, **given):
    return checkpoint.save(run, State(step=step, roles={"base": TENSORS}, optimizers={"base": TENSORS}, **given))


def again(run):
    return Run(run.path)


def newest(run):
    state = checkpoint.latest(again(run))
    assert state is not None
    return state


def refusal_of(run):
    with pytest.raises(TrainerError) as refusal:
        checkpoint.latest(again(run))
    return refusal.value.code


def test_c3_a_state_comes_back_as_it_was(run):
    save(run, 3, epoch=1, phase={"beta": 0.1}, rollout={"ids": torch.tensor([[1, 2]])})
    state = newest(run)
    assert (state.step, state.epoch, state.phase) == (3, 1, {"beta": 0.1})
    assert torch.equal(state.roles["base"]["weight"], TENSORS["weight"])
    assert torch.equal(state.optimizers["base"]["weight"], TENSORS["weight"])
    assert state.rollout["ids"].tolist() == [[1, 2]]


def test_c3_every_file_stands_in_the_manifest(run):
    place = save(run, 3)
    named = set(json.loads((place / "manifest.json").read_text()))
    assert named == {file.name for file in place.iterdir()} - {"manifest.json"}


def test_c3_the_two_newest_are_kept(run):
    for step in (1, 2, 3):
        save(run, step)
    assert sorted(path.name for path in (run.out / "checkpoints").iterdir()) == ["step-00000002", "step-00000003"]


@pytest.mark.parametrize("spoilt", ["base.safetensors", "state.json", "manifest.json"])
def test_c3_a_damaged_checkpoint_is_passed_over_with_a_warning(run, spoilt):
    save(run, 1)
    (save(run, 2) / spoilt).write_bytes(b"torn")
    assert newest(run).step == 1
    assert events(run.path)[-1] == "warning"


def test_c3_an_unfinished_checkpoint_does_not_exist(run):
    save(run, 1)
    save(run, 2).rename(run.out / "checkpoints" / ".step-00000002.tmp")
    assert newest(run).step == 1


def test_c3_a_foreign_file_refuses_the_resume(run):
    (save(run, 1) / "extra.bin").write_bytes(b"x")
    assert refusal_of(run) == "foreign_file"


def test_c4_another_config_refuses_the_resume(run):
    save(run, 1)
    (run.path / "config.json").write_text(json.dumps({"stage": "pretrain", "seed": 8, "size": "toy"}))
    assert refusal_of(run) == "changed_run"


def test_c4_other_data_refuse_the_resume(run, tmp_path):
    save(run, 1)
    other = lay_out(tmp_path / "other", {}, corpus=corpus_rows(5)) / "data"
    (run.path / "data").rename(tmp_path / "old")
    other.rename(run.path / "data")
    assert refusal_of(run) == "changed_run"


def test_c4_a_changed_micro_batch_is_an_event_with_a_warning(run):
    save(run, 1)
    config = json.loads((run.path / "config.json").read_text())
    (run.path / "config.json").write_text(json.dumps({**config, "microbatch_tokens": 64}))
    assert newest(run).step == 1
    last = json.loads((run.path / "events.jsonl").read_text().splitlines()[-1])
    assert (last["kind"], last["text"]) == (
        "warning",
        "changed since the checkpoint: microbatch_tokens; the result may differ in its last bits",
    )


def test_c2_a_resume_says_from_which_step(run):
    save(run, 4)
    second = again(run)
    second.begin()
    checkpoint.resume(second)
    last = json.loads((run.path / "events.jsonl").read_text().splitlines()[-1])
    assert (last["kind"], last["from_step"], last["attempt"]) == ("resumed", 4, 2)


def test_c6_a_disk_without_room_for_three_checkpoints_is_refused(run):
    with pytest.raises(TrainerError, match=r"^no_space: .* MiB are free"):
        checkpoint.require_space(run, weights=2**60, outputs=0)


def test_c4_a_checkpoint_is_due_by_steps_or_by_time():
    assert [Keeper(steps=3, seconds=1e9).due(step) for step in (1, 2, 3)] == [False, False, True]
    assert Keeper(steps=1_000, seconds=0).due(1)


@pytest.mark.parametrize(("total", "count"), [(1, 1), (6, 6), (800, 12), (100_000, 12)])
def test_c3_milestones_are_at_most_12_and_include_the_last_step(total, count):
    spots = checkpoint.milestones(total)
    assert len(spots) == count
    assert total in spots
