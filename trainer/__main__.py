"""`python -m trainer <stage> <run dir>`: one stage on one run directory, and how it ends.

A refusal is said before torch is imported, where config and data alone show it. Exit codes are C6's.
"""

import argparse
import contextlib
import errno
import importlib
import json
import os
import signal
import stat
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from trainer.contract import configs, rows
from trainer.contract.errors import Paused, Stopped, TrainerError
from trainer.contract.exits import BUSY, CANCELLED, EXIT_OF, FINISHED, KILLED_TWICE, UNEXPECTED, lacks_memory
from trainer.contract.rundir import Run, folder_sha256

# stage: the module and the function that do it; imported when asked for
STAGES = {
    "pretrain": ("trainer.pretrain", "train"),
    "sft": ("trainer.sft", "train"),
    "reward": ("trainer.reward", "train"),
    "ppo": ("trainer.ppo", "train"),
    "dpo": ("trainer.dpo", "train"),
    "generate": ("trainer.generate", "generate"),
    "evaluate": ("trainer.evaluate", "evaluate"),
    "map": ("trainer.map", "place"),
}


def main(argv: Sequence[str]) -> int:
    """Do what the arguments say; returns the exit code."""
    given = _parser().parse_args(argv)
    if given.command == "wait":
        return _wait()
    if given.command == "init":
        return _init(given.stage, given.dir, preset=given.preset)
    if given.command == "doctor":
        return _doctor()
    run = Run(given.dir.absolute(), attempt=getattr(given, "attempt", 0), steps=getattr(given, "steps", 0))
    if given.command == "check":
        return _check(run)
    if given.command == "merge":
        return _merge(run, given.folder)
    if getattr(given, "serve", False):
        return _serve(run)
    try:
        with run.lock():
            return _attempt(run, given.command, watch_stdin=given.attempt > 0)
    except TrainerError as refusal:  # busy: another process owns the directory, so nothing is written there
        _say(json.dumps({"code": refusal.code, "sentence": refusal.sentence}))
        return EXIT_OF[refusal.code]
    except OSError as error:
        _say(f"{given.dir} cannot be used: {error}")
        return BUSY if error.errno == errno.EAGAIN else UNEXPECTED


def _attempt(run: Run, stage: str, *, watch_stdin: bool) -> int:
    """Run a stage to one of its ends."""
    if (run.out / "result.json").exists() and not run.steps:
        _say(f"{run.path} is finished; result.json is there.")
        return FINISHED
    try:
        run.begin()
        _heed_signals(run)
        if watch_stdin:
            _heed_stdin(run)
        config = _config_for(run, stage)
        module, name = STAGES[stage]
        work = getattr(importlib.import_module(module), name)
        with importlib.import_module("trainer.doctor").foreseen(run, config):
            work(config, run)
    except Stopped:
        run.event("cancelled", "stopped as asked; the same command goes on from the last whole step", step=run.step)
        return CANCELLED
    except Paused as pause:
        return _failed(run, pause.code, pause.sentence, monitors=pause.monitors)
    except TrainerError as error:
        return _failed(run, error.code, error.sentence)
    except MemoryError:
        return _failed(run, "out_of_memory", _MEMORY_SENTENCE)
    except Exception as error:  # the one broad catch: an end without a reason helps nobody
        code, sentence = _reason(error)
        return _failed(run, code, sentence, trace=traceback.format_exc())
    return FINISHED


_MEMORY_SENTENCE = "The memory did not suffice; a smaller microbatch_tokens needs less and changes no result."


def _failed(run: Run, code: str, sentence: str, *, trace: str = "", monitors: Sequence[str] = ()) -> int:
    """Leave the failure in its file, and as the last line of standard error."""
    if trace:
        _say(trace)
    _say(run.fail(code=code, sentence=sentence, step=run.step, trace=trace, monitors=monitors))
    return EXIT_OF.get(code, UNEXPECTED)


def _reason(error: Exception) -> tuple[str, str]:
    """(code, sentence) of an error that is not ours."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "disk_full", "The disk is full; free some space, then resume: nothing that was saved is lost."
    if lacks_memory(error):
        return "out_of_memory", _MEMORY_SENTENCE
    if "no space left on device" in str(error).lower():  # safetensors wraps the system's error
        return "disk_full", "The disk is full; free some space, then resume: nothing that was saved is lost."
    return "unexpected", f"{type(error).__name__}: {error}"


def _config_for(run: Run, stage: str) -> configs.Config:
    """The run's config, after what shows without torch. Raises bad_config, bad_data."""
    if run.config.stage != stage:
        sentence = f"stage is {run.config.stage} in config.json; the command asks for {stage}."
        raise TrainerError("bad_config", sentence)
    found = {file["type"] for file in run.data_files}
    needed = rows.NEEDED.get(stage)
    if needed and needed not in found:
        there = ", ".join(sorted(found)) or "none"
        raise TrainerError("bad_data", f"data/manifest.json names no file of type {needed}; its types are {there}.")
    return run.config


def _heed_signals(run: Run) -> None:
    """SIGTERM and SIGINT ask the run to stop; a second one ends it at once (C5)."""

    def heed(number: int, frame: FrameType | None) -> None:
        if run.stop_requested():
            os._exit(KILLED_TWICE)
        run.request_stop()

    signal.signal(signal.SIGTERM, heed)
    signal.signal(signal.SIGINT, heed)


def _heed_stdin(run: Run) -> None:
    """The end of a worker's pipe counts as SIGTERM, so that no child outlives its worker."""
    mode = os.fstat(0).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return

    def watch() -> None:
        while os.read(0, 4_096):
            pass
        run.request_stop()

    threading.Thread(target=watch, daemon=True).start()


def _wait() -> int:
    """Import what the stages need, then do the one command that comes on standard input: {argv, log}, a line of JSON.

    What is printed goes to the end of the log. Without a command, standard input ends, and so does this process.
    """
    for module, _ in STAGES.values():
        if module != "trainer.map":  # its scikit-learn takes as long again
            importlib.import_module(module)
    line = sys.stdin.buffer.readline()
    if not line:
        return FINISHED
    asked = json.loads(line)
    log = os.open(asked["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    return main(asked["argv"])


def _serve(run: Run) -> int:
    """Answer requests on standard input until it ends (A10); a server holds no lock and writes no file."""
    _heed_signals(run)
    answers, sys.stdout = sys.stdout, sys.stderr  # nothing but answers goes to standard output
    try:
        config = _config_for_server(run)
        module = importlib.import_module("trainer.serve")
        module.serve(config, run, sys.stdin, answers)
    except TrainerError as refusal:
        _say(json.dumps({"code": refusal.code, "sentence": refusal.sentence}))
        return EXIT_OF[refusal.code]
    except BrokenPipeError:
        return FINISHED
    return FINISHED


def _config_for_server(run: Run) -> configs.Config:
    if run.config.stage != "generate":
        raise TrainerError("bad_config", f"stage is {run.config.stage} in config.json; a server needs generate.")
    return run.config


def _init(stage: str, path: Path, *, preset: str) -> int:
    """Write config.json with every field, its sentence beside it."""
    if (path / "config.json").exists():
        _say(f"{path / 'config.json'} is there already; take it away first.")
        return EXIT_OF["bad_config"]
    path.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_proposed(stage, path, preset=preset), indent=1, ensure_ascii=False)
    (path / "config.json").write_text(text + "\n", encoding="utf-8")
    return FINISHED


def _proposed(stage: str, path: Path, *, preset: str) -> dict[str, Any]:  # Any: JSON
    """The config that `init` writes: the preset over the defaults, and what the folder shows."""
    base, parents = path / "parents" / "base", path / "parents"
    shown: dict[str, configs.Value] = {"seed": 1, "adapters": [""], "reward_adapter": ""}
    if stage == "ppo":
        shown["reward_adapter"] = "reward"
    if (parents / "sft").is_dir() and stage in ("reward", "ppo", "dpo"):
        shown["parent_adapter"] = "sft"
    shown["base_sha256"] = folder_sha256(base) if base.is_dir() else ""
    if stage == "sft" and (base / "config.json").is_file():
        shown["lr"] = sft_rate(json.loads((base / "config.json").read_text())["hidden_size"])
    values = shown | configs.preset(stage, preset)
    proposed: dict[str, Any] = {"schema": configs.SCHEMA, "stage": stage}  # Any: JSON
    for item in configs.fields_for_form(stage):
        proposed[f"// {item.name}"] = f"{item.help} Allowed: {item.limits}{f' {item.unit}' if item.unit else ''}."
        proposed[item.name] = values.get(item.name, item.default)
    return proposed


def sft_rate(width: int) -> float:
    """The learning rate that `init` proposes for SFT on a base of this width (S4)."""
    return float(f"{min(3e-4, max(5e-5, 2e-4 * (2_000 / width) ** 0.3)):.2g}")


def _check(run: Run) -> int:
    """Say what would refuse the run: config, data, base."""
    try:
        config = _config_for(run, run.config.stage)
        count = sum(1 for type_ in rows.READS[config.stage] for _ in run.rows(type_))
        if not isinstance(config, configs.PretrainConfig):
            importlib.import_module("trainer.base").check_parent(run, config)
        foreseen = importlib.import_module("trainer.doctor").foresee(run, config)
    except TrainerError as refusal:
        _say(json.dumps({"code": refusal.code, "sentence": refusal.sentence}, ensure_ascii=False))
        return EXIT_OF[refusal.code]
    print(f"{config.stage}: {count:,} rows, ready to start; {_needs(foreseen)}")  # noqa: T201  # the answer to a command
    return FINISHED


def _needs(foreseen: dict[str, Any]) -> str:  # Any: JSON
    """What an estimate says, in words."""
    if foreseen["memory_bytes"] is None:
        return f"its needs are unknown: {foreseen['reason']}"
    return f"about {foreseen['memory_bytes'] / 2**20:,.0f} MiB and {foreseen['seconds']:,.0f} s"


def _merge(run: Run, folder: Path) -> int:
    """Write base and adapter of a run as one plain model."""
    try:
        importlib.import_module("trainer.merge").merge(run, folder)
    except TrainerError as refusal:
        _say(json.dumps({"code": refusal.code, "sentence": refusal.sentence}, ensure_ascii=False))
        return EXIT_OF[refusal.code]
    print(f"{folder}: a plain transformers model")  # noqa: T201  # the answer to a command
    return FINISHED


def _doctor() -> int:
    """Say what this machine can do, and keep it for estimates (C9)."""
    print(json.dumps(importlib.import_module("trainer.doctor").report(), indent=1))  # noqa: T201  # the answer to a command
    return FINISHED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainer", description="One stage on one run directory.")
    commands = parser.add_subparsers(dest="command", required=True)
    for stage in STAGES:
        command = commands.add_parser(stage, help=(configs.STAGES[stage].__doc__ or "").splitlines()[0])
        if stage == "generate":
            command.add_argument("--serve", action="store_true", help="answer JSON lines on standard input")
        command.add_argument("dir", type=Path)
        command.add_argument("--attempt", type=int, default=0, help="the number that a worker counts by")
        command.add_argument("--steps", type=int, default=0, help="a dry run of so many steps, into dry/")
    commands.add_parser("wait", help="import the stages, then do the command that standard input brings")
    init = commands.add_parser("init", help="write config.json")
    init.add_argument("stage", choices=list(STAGES))
    init.add_argument("dir", type=Path)
    init.add_argument("--preset", choices=configs.PRESETS, default="full")
    check = commands.add_parser("check", help="say what would refuse the run, and what it needs")
    check.add_argument("dir", type=Path)
    merge = commands.add_parser("merge", help="write base and adapter of a finished run as one plain model")
    merge.add_argument("dir", type=Path)
    merge.add_argument("folder", type=Path, help="where to; it must not be there yet")
    commands.add_parser("doctor", help="measure what this machine can do, for estimates")
    return parser


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
