"""C10: a run that is killed, or stopped, or out of disk, anywhere, ends bit for bit as one that nothing disturbed.

`make test` kills and stops each stage at one place; `make test-all` at all of them.
"""

import errno
import functools
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.trainer.conftest import SFT
from tests.trainer.runs import (
    at_call,
    before,
    die,
    events,
    failure,
    in_child,
    lay_out,
    outcome,
    sft_rows,
)
from trainer import checkpoint, dpo, measure, metrics, optimizer, ppo, sampling
from trainer.__main__ import main
from trainer.contract import rundir
from trainer.contract.rundir import Run

Place = tuple[object, str, int]  # the object, its function, and the call (from 0) before which it happens

EVERYWHERE: dict[str, Place] = {
    "at the first step": (optimizer.AdamW, "step", 0),
    "in mid-accumulation": (Run, "check_stop", 14),
    "after a step, before its line": (metrics.Log, "write", 4),
    "in a checkpoint, before its first file": (checkpoint, "_save_tensors", 0),
    "in a checkpoint, before its second file": (checkpoint, "_save_tensors", 1),
    "in a checkpoint, before its facts": (Run, "offsets", 1),
    "in a checkpoint, before its manifest": (checkpoint, "file_sha256", 1),
    "in a checkpoint, before its rename": (checkpoint, "_sync", 3),
    "before an older checkpoint goes": (checkpoint, "prune", 2),
    "before the report": (Run, "write_json", 4),
    "before the result": (rundir, "_output", 0),
}
OF_STAGE: dict[str, dict[str, Place]] = {
    "pretrain": {"while outputs are written": (Run, "folder", 6)},
    "sft": {"in mid-generation": (sampling, "draw", 40), "while outputs are written": (Run, "folder", 6)},
    "reward": {
        "before an older checkpoint goes": (checkpoint, "prune", 1),  # it leaves two in all
        "while outputs are written": (Run, "folder", 0),
    },
    "dpo": {
        "in a checkpoint, before its facts": (Run, "offsets", 0),
        "while the reference is asked": (dpo._Stage, "answer_logps", 1),
        "before what the reference said is kept": (dpo, "save", 0),
        "before an older checkpoint goes": (checkpoint, "prune", 1),
        "while outputs are written": (Run, "folder", 2),
    },
    "ppo": {
        "before the second rollout": (sampling, "sample", 1),
        "in mid-generation": (sampling, "draw", 40),
        "while scoring": (measure, "features", 9),
        "in mid-update": (ppo, "learn_minibatch", 6),
    },
    "rloo": {"in mid-generation": (sampling, "draw", 40), "in mid-update": (ppo, "learn_minibatch", 6)},
}
QUICK = {  # the place of each stage that `make test` looks at, of the kill and of the stop
    "pretrain": ("in mid-accumulation", "in mid-accumulation"),
    "sft": ("in a checkpoint, before its rename", "in mid-generation"),
    "reward": ("at the first step", "in mid-accumulation"),
    "dpo": ("while the reference is asked", "in mid-accumulation"),
    "ppo": ("in mid-update", "in mid-update"),
    "rloo": ("in mid-update", "in mid-generation"),
}
ENDS = (  # nothing is left to stop
    "before an older checkpoint goes",
    "while outputs are written",
    "before the report",
    "before the result",
)
PLACES = {stage: EVERYWHERE | own for stage, own in OF_STAGE.items()}


def table(which: int, *, without: tuple[str, ...] = ()) -> list[object]:
    """Each stage with each place; those beyond QUICK are for `make test-all`."""
    return [
        pytest.param(stage, place, marks=[] if place == QUICK[stage][which] else pytest.mark.full)
        for stage, places in PLACES.items()
        for place in places
        if place not in without
    ]


@pytest.fixture(scope="session")
def finished(tmp_path_factory, lay_stage, pretrained, tuned) -> Callable[[str], Path]:
    """A run of a stage that nothing disturbed; each is made once."""

    @functools.cache
    def finish(stage: str) -> Path:
        if stage in {"pretrain", "sft"}:
            return pretrained if stage == "pretrain" else tuned
        path = lay_stage(stage, tmp_path_factory.mktemp(stage) / "run")
        assert main([command(stage), str(path)]) == 0
        return path

    return finish


def command(stage: str) -> str:
    return "ppo" if stage == "rloo" else stage


def at(place: Place, act: Callable[[], None]) -> Callable[[], None]:
    """A sabotage that acts at a place."""
    owner, name, call = place
    return lambda: before(owner, name, at_call(call, act))


def killed_at(path: Path, stage: str, place: Place) -> None:
    owner, name, call = place
    code = in_child([command(stage), str(path)], sabotage=lambda: before(owner, name, die(call)))
    assert code == -signal.SIGKILL


@pytest.mark.parametrize(("stage", "place"), table(0))
def test_c10_a_killed_run_ends_as_one_that_is_not(tmp_path, lay_stage, finished, stage, place):
    path = lay_stage(stage, tmp_path / "run")
    killed_at(path, stage, PLACES[stage][place])
    assert not (path / "result.json").exists()
    assert in_child([command(stage), str(path)]) == 0
    assert outcome(path) == outcome(finished(stage))


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


def ask_to_stop(times: int = 1) -> None:
    """Send SIGTERM, and leave with 99 where a second micro-batch or a 17th decode step begins after it (C5)."""
    before(torch.Tensor, "backward", at_call(1, lambda: os._exit(99)))
    before(sampling, "draw", at_call(16, lambda: os._exit(99)))
    for _ in range(times):
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(("stage", "place"), table(1, without=ENDS))
def test_c5_a_stopped_run_saves_within_a_micro_batch_and_goes_on(tmp_path, lay_stage, finished, stage, place):
    path = lay_stage(stage, tmp_path / "run")
    assert in_child([command(stage), str(path)], sabotage=at(PLACES[stage][place], ask_to_stop)) == 7
    assert events(path)[-2:] == ["checkpoint", "cancelled"]
    assert in_child([command(stage), str(path)]) == 0
    assert outcome(path) == outcome(finished(stage))


def test_c5_a_second_signal_ends_at_once(sft_run):
    path = sft_run()
    assert in_child(["sft", str(path)], sabotage=at(EVERYWHERE["at the first step"], lambda: ask_to_stop(2))) == 143


def test_c6_of_two_processes_on_one_directory_one_is_busy(sft_run, tuned):
    path = sft_run()
    codes: list[int] = []

    def start_another() -> None:
        before(optimizer.AdamW, "step", at_call(0, lambda: codes.append(in_child(["sft", str(path)]))))
        before(optimizer.AdamW, "step", at_call(1, lambda: os._exit(codes[0])))

    assert in_child(["sft", str(path)], sabotage=start_another) == 8
    assert in_child(["sft", str(path)]) == 0
    assert outcome(path) == outcome(tuned)


def fill_the_disk() -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


FULL: dict[str, Place] = {
    "while weights are saved": (checkpoint, "save_file", 3),
    "in a checkpoint's facts": (Run, "offsets", 1),
    "in a log": (Run, "append", 9),
    "in an output": (Run, "folder", 2),
}


@pytest.mark.parametrize(
    "place", [pytest.param(name, marks=[] if name == "in a log" else pytest.mark.full) for name in FULL]
)
def test_c6_a_full_disk_is_said_and_the_run_goes_on_afterwards(sft_run, tuned, place):
    path = sft_run()
    assert in_child(["sft", str(path)], sabotage=at(FULL[place], fill_the_disk)) == 5
    assert failure(path)["code"] == "disk_full"
    assert in_child(["sft", str(path)]) == 0
    assert outcome(path) == outcome(tuned)


def test_c6_a_disk_that_cannot_hold_the_failure_has_it_said(toy_base, tmp_path, capfd, monkeypatch):
    path = lay_out(tmp_path / "run", SFT, base=toy_base, sft=sft_rows())
    monkeypatch.setattr(Run, "write_atomic", lambda *_: fill_the_disk())
    assert main(["sft", str(path)]) == 5
    assert '"code": "disk_full"' in capfd.readouterr().err.splitlines()[-1]
    assert not (path / "failure.json").exists()
