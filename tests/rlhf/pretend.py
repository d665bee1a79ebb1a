"""A trainer that keeps the contract of the run directory and learns nothing: a child process for tests of the parent.

`python -m tests.rlhf.pretend <what it does> <run directory> --attempt <n>`
"""

import argparse
import os
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

from trainer.contract.rundir import Run


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "does", choices=["finish", "wait", "killed", "refused", "busy", "paused", "crash", "other_config"]
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--attempt", type=int)
    given = parser.parse_args()
    run = Run(given.folder, attempt=given.attempt)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    threading.Thread(target=heed_stdin, args=(stop,), daemon=True).start()
    run.begin()
    run.write_json("estimate.json", {"memory_bytes": 534_000_000, "seconds": 12.0})
    run.event("started", "started", step=0)
    print("a line of the log")  # noqa: T201 what the parent collects
    step(run, 1)
    match given.does:
        case "wait":
            stop.wait(30)
            checkpoint(run)
            return 7
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "refused":
            run.fail(code="too_few_rows", sentence="2 rows; at least 8 are needed.", step=0)
            return 2
        case "crash":
            raise RuntimeError("no such luck")
        case "busy":
            return 8
        case "paused":
            run.write_json("evaluation.json", {"highest_reward": [{"prompt": "q", "answer": "a", "reward": 3.5}]})
            run.fail(code="paused", sentence="KL above 30 nats.", step=1, monitors=["kl_budget"])
            return 6
        case _:
            finish(run, other_config=given.does == "other_config")
    return 0


def heed_stdin(stop: threading.Event) -> None:
    """Its end means that the worker is gone."""
    sys.stdin.read()
    stop.set()


def step(run: Run, number: int) -> None:
    clock = {"at": datetime.now(UTC).isoformat(), "seconds": float(number), "tokens_per_s": 1.0}
    line = {"attempt": run.attempt, "step": number, "kind": "train", "progress": number / 10}
    run.append("metrics.jsonl", {**line, "values": {"loss": 1 / number}, "clock": clock})


def checkpoint(run: Run) -> None:
    folder = run.path / "checkpoints" / "step-00000001"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "state.json").write_text('{"step": 1}')
    run.event("checkpoint", "checkpoint at step 1", step=1)


def finish(run: Run, *, other_config: bool) -> None:
    for number in range(2, 11):
        step(run, number)
    checkpoint(run)
    model = run.path / "model"
    model.mkdir(exist_ok=True)
    (model / "config.json").write_text("{}")
    (run.path / "evaluation.json").write_text('{"after": NaN}')
    if other_config:
        (run.path / "config.json").write_text((run.path / "config.json").read_text().replace('"seed": 1', '"seed": 2'))
    run.finish(
        [("base", "base", "model"), ("evaluation", "evaluation", "evaluation.json")], {"perplexity": 12.5}, steps=10
    )


if __name__ == "__main__":
    sys.exit(main())
