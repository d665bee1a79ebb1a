"""Checkpoints: whole, hashed, atomic; and the exact way back into a run (C3, C4, C10).

All randomness is counted (G9), so a checkpoint holds no generator's state: weights, optimizers and positions suffice.
"""

import json
import math
import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from trainer.contract import configs
from trainer.contract.errors import TrainerError
from trainer.contract.rundir import Run, file_sha256

KEPT = 2
MILESTONES = 12
Tensors = dict[str, Tensor]


@dataclass
class State:
    """A run after `step` whole steps.

    phase: JSON that the stage needs to go on: best evaluation, β, g and b, minibatch …
    roles, optimizers: named tensors by role. rollout: PPO's, in mid-update.
    """

    step: int
    epoch: int = 0
    phase: dict[str, Any] = field(default_factory=dict)  # Any: JSON
    roles: dict[str, Tensors] = field(default_factory=dict)
    optimizers: dict[str, Tensors] = field(default_factory=dict)
    rollout: Tensors = field(default_factory=dict)


class Keeper:
    """Knows when a checkpoint is due: every checkpoint_steps, and after checkpoint_s."""

    def __init__(self, *, steps: int, seconds: float) -> None:
        self._steps, self._seconds, self._last = steps, seconds, time.monotonic()

    def due(self, step: int) -> bool:
        """Whether the state after this step is to be saved now."""
        return step % self._steps == 0 or self.late()

    def late(self) -> bool:
        """Whether the last checkpoint is older than checkpoint_s."""
        return time.monotonic() - self._last >= self._seconds

    def saved(self) -> None:
        """Count the time from here."""
        self._last = time.monotonic()


def save(run: Run, state: State) -> Path:
    """Write one checkpoint beside its place, sync every file, rename, and prune older ones."""
    folder = run.out / "checkpoints"
    name = f"step-{state.step:08d}"
    beside, place = folder / f".{name}.tmp", folder / name
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    _write_files(beside, run, state)
    files = sorted(path for path in beside.iterdir())
    manifest = {path.name: file_sha256(path) for path in files}
    (beside / "manifest.json").write_text(json.dumps(manifest, indent=1))
    for path in (*files, beside / "manifest.json", beside):
        _sync(path)
    if place.exists():
        shutil.rmtree(place)
    beside.rename(place)
    _sync(folder)
    run.event("checkpoint", f"checkpoint after step {state.step}", step=state.step)
    prune(run, KEPT)
    return place


def latest(run: Run) -> State | None:
    """The newest valid checkpoint; None where there is none.

    An invalid one is passed over with a warning. Raises foreign_file where one holds a file that its manifest does not
    name, changed_run where it belongs to another config, base or data.
    """
    for path in reversed(_places(run)):
        if fault := _fault(path):
            run.event("warning", f"{path.name} is passed over: {fault}", step=0)
            continue
        return _read(run, path)
    return None


def resume(run: Run) -> State | None:
    """`latest`, told as an event: `resumed` with from_step, or `started`."""
    state = latest(run)
    if state is None:
        run.event("started", f"attempt {run.attempt} starts at step 0", step=0)
    else:
        text = f"attempt {run.attempt} goes on after step {state.step}"
        run.event("resumed", text, step=state.step, from_step=state.step)
    return state


def prune(run: Run, keep: int) -> None:
    """Keep the newest checkpoints."""
    for path in _places(run)[:-keep]:
        shutil.rmtree(path)
    for path in (run.out / "checkpoints").glob(".step-*.tmp"):
        shutil.rmtree(path)


def require_space(run: Run, *, weights: int, outputs: int) -> None:
    """Refuse a disk without room for three checkpoints and the outputs. Raises no_space.

    weights: bytes of what is trained; a checkpoint holds three times as much, with both moments.
    """
    needed, free = 3 * 3 * weights + outputs, shutil.disk_usage(run.out).free
    if free < needed:
        sentence = (
            f"{free / 2**20:,.0f} MiB are free where the run writes; three checkpoints and the outputs need "
            f"{needed / 2**20:,.0f} MiB. Free some, or move the runs' folder."
        )
        raise TrainerError("no_space", sentence)


def milestones(total: int) -> frozenset[int]:
    """At most 12 steps, evenly spaced in log from 1 to total, at which weights are left for comparison (C3)."""
    spots = [round(math.exp(math.log(total) * place / (MILESTONES - 1))) for place in range(MILESTONES)]
    return frozenset(spots) if total else frozenset()


def _write_files(folder: Path, run: Run, state: State) -> None:
    for role, tensors in state.roles.items():
        _save_tensors(tensors, folder / f"{role}.safetensors")
    for role, tensors in state.optimizers.items():
        _save_tensors(tensors, folder / f"{role}.optimizer.safetensors")
    if state.rollout:
        _save_tensors(state.rollout, folder / "rollout.safetensors")
    facts = {
        "step": state.step,
        "epoch": state.epoch,
        "phase": state.phase,
        "offsets": run.offsets(),
        "monitors": run.watched,
        "identity": _identity(run),
        "circumstances": _circumstances(run),
    }
    (folder / "state.json").write_text(json.dumps(facts, indent=1))


def _read(run: Run, path: Path) -> State:
    facts = json.loads((path / "state.json").read_text())
    for name, now in _identity(run).items():
        if facts["identity"][name] != now:
            sentence = f"{name} is not that of the checkpoints; start a new run, or put the old one back."
            raise TrainerError("changed_run", sentence)
    _warn_of_changes(run, facts)
    run.watched = facts.get("monitors", {})
    roles: dict[str, Tensors] = {}
    optimizers: dict[str, Tensors] = {}
    rollout: Tensors = {}
    for file in sorted(path.glob("*.safetensors")):
        name = file.name.removesuffix(".safetensors")
        if name == "rollout":
            rollout = load_file(file)
        elif name.endswith(".optimizer"):
            optimizers[name.removesuffix(".optimizer")] = load_file(file)
        else:
            roles[name] = load_file(file)
    return State(facts["step"], facts["epoch"], facts["phase"], roles, optimizers, rollout)


def _identity(run: Run) -> dict[str, str]:
    """What makes two attempts the same run (C4)."""
    parents = json.dumps(run.parents, sort_keys=True)
    return {"config_sha256": configs.sha256(run.config), "parents": parents, "data_sha256": run.data_sha256}


def _circumstances(run: Run) -> dict[str, Any]:  # Any: JSON
    """What may change between attempts at the price of bit equality."""
    free = {name: value for name, value in configs.dump(run.config).items() if name in configs.FREE}
    return {**free, "torch": torch.__version__, "torch_threads": torch.get_num_threads()}


def _warn_of_changes(run: Run, facts: dict[str, Any]) -> None:  # Any: JSON
    before, now = facts["circumstances"], _circumstances(run)
    changed = sorted(name for name in now if before.get(name) != now[name])
    if changed:
        exact = all(name.startswith(("checkpoint_", "monitors_")) for name in changed)
        text = f"changed since the checkpoint: {', '.join(changed)}"
        text += "" if exact else "; the result may differ in its last bits"
        run.event("warning", text, step=facts["step"])


def _places(run: Run) -> list[Path]:
    folder = run.out / "checkpoints"
    found = folder.iterdir() if folder.is_dir() else iter(())
    return sorted(path for path in found if path.is_dir() and not path.name.startswith("."))


def _fault(path: Path) -> str:
    """Why a checkpoint cannot be used, or nothing. Raises foreign_file."""
    try:
        manifest: dict[str, str] = json.loads((path / "manifest.json").read_text())
    except (OSError, ValueError):
        return "its manifest cannot be read"
    extra = {file.name for file in path.iterdir()} - set(manifest) - {"manifest.json"}
    if extra:
        sentence = f"checkpoints/{path.name} holds {min(extra)}, which its manifest does not name; take it away."
        raise TrainerError("foreign_file", sentence)
    for name, sha256 in manifest.items():
        if not (path / name).is_file() or file_sha256(path / name) != sha256:
            return f"{name} is missing or damaged"
    return ""


def _save_tensors(tensors: Tensors, path: Path) -> None:
    save_file({name: _own(tensor) for name, tensor in tensors.items()}, path)


def _own(tensor: Tensor) -> Tensor:
    """The tensor as a file may hold it: on the CPU, and the whole of its storage; copied only where it is not."""
    tensor = tensor.detach().cpu().contiguous()
    return tensor if tensor.nbytes == tensor.untyped_storage().nbytes() else tensor.clone()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def folders_of(run: Run, parent: str) -> Iterable[Path]:
    """The finished folders that a run left below one of its own, oldest first."""
    folder = run.out / parent
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []
