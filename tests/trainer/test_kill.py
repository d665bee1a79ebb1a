"""C10: a run that is killed, or stopped, anywhere ends bit for bit as one that nothing disturbed."""

import os
import signal
from pathlib import Path

import pytest

from tests.trainer.runs import at_call, before, die, events, failure, in_child, outcome
from trainer import checkpoint, metrics, optimizer
from trainer.contract.rundir import Run

# where a child dies: the object, its function, and the call (from 0) before which it happens
PLACES = {
    "first step": (optimizer.AdamW, "step", 0),
    "between micro-batches": (Run, "check_stop", 13),
    "after a step, before its line": (metrics.Log, "write", 4),
    "in a checkpoint, after its files": (checkpoint, "file_sha256", 0),
    "in a checkpoint, before its rename": (checkpoint, "_sync", 3),
    "before an older checkpoint goes": (checkpoint, "prune", 2),
    "while outputs are written": (Run, "folder", 6),
    "before the result": (Run, "write_json", 4),
}


def killed_at(path: Path, stage: str, place: tuple[object, str, int]) -> None:
    owner, name, call = place
    code = in_child([stage, str(path)], sabotage=lambda: before(owner, name, die(call)))
    assert code == -signal.SIGKILL


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_c10_pretraining_survives_kill_9(pretrain_run, pretrained, place):
    path = pretrain_run()
    killed_at(path, "pretrain", place)
    assert not (path / "result.json").exists()
    assert in_child(["pretrain", str(path)]) == 0
    assert outcome(path) == outcome(pretrained)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_c10_sft_survives_kill_9(sft_run, tuned, place):
    path = sft_run()
    killed_at(path, "sft", place)
    assert not (path / "result.json").exists()
    assert in_child(["sft", str(path)]) == 0
    assert outcome(path) == outcome(tuned)


def test_c10_a_run_survives_being_killed_again_and_again(sft_run, tuned):
    path = sft_run()
    for call in (3, 2, 1):
        killed_at(path, "sft", (optimizer.AdamW, "step", call))
    assert in_child(["sft", str(path)]) == 0
    assert outcome(path) == outcome(tuned)


def test_c10_dropout_is_drawn_again_after_a_resume(sft_run):
    whole, torn = sft_run("whole", lora_dropout=0.3), sft_run("torn", lora_dropout=0.3)
    assert in_child(["sft", str(whole)]) == 0
    killed_at(torn, "sft", (optimizer.AdamW, "step", 5))
    assert in_child(["sft", str(torn)]) == 0
    assert outcome(torn) == outcome(whole)


def stopped_at(path: Path, stage: str, place: tuple[object, str, int], *, times: int = 1) -> int:
    owner, name, call = place

    def stop() -> None:
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGTERM)

    return in_child([stage, str(path)], sabotage=lambda: before(owner, name, at_call(call, stop)))


@pytest.mark.parametrize(
    "place", [PLACES["first step"], PLACES["between micro-batches"], (metrics.Log, "write", 0)], ids=str
)
def test_c5_a_stopped_run_saves_its_last_whole_step_and_goes_on(sft_run, tuned, place):
    path = sft_run()
    assert stopped_at(path, "sft", place) == 7
    assert events(path)[-2:] == ["checkpoint", "cancelled"]
    assert in_child(["sft", str(path)]) == 0
    assert outcome(path) == outcome(tuned)


def test_c5_a_stopped_pretraining_goes_on(pretrain_run, pretrained):
    path = pretrain_run()
    assert stopped_at(path, "pretrain", PLACES["between micro-batches"]) == 7
    assert in_child(["pretrain", str(path)]) == 0
    assert outcome(path) == outcome(pretrained)


def test_c5_a_second_signal_ends_at_once(sft_run):
    assert stopped_at(sft_run(), "sft", PLACES["first step"], times=2) == 143


def test_c6_a_full_disk_is_said_and_the_run_goes_on_afterwards(sft_run, tuned):
    path = sft_run()

    def fill() -> None:
        raise OSError(28, "No space left on device")

    full = lambda: before(checkpoint, "save_file", at_call(3, fill))  # noqa: E731  # one use, one line
    assert in_child(["sft", str(path)], sabotage=full) == 5
    assert failure(path)["code"] == "disk_full"
    assert in_child(["sft", str(path)]) == 0
    assert outcome(path) == outcome(tuned)
