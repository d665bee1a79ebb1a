"""How fast and how lean our trainer is beside TRL, on this machine: `python bench/training.py [--size 10m]`.

The same base (random weights), rows, LoRA shape, batch and rate; one thread; runs of all contenders take turns. The
clock is process CPU time, user and system, read from outside at the moment a line of metrics.jsonl appears: from the
end of the first step to the end of the last one (rollouts: from the end of loading), so imports and loading are left
out. Tokens are those of the job, without padding, a prompt once for each of its answers. Memory is the peak of the
resident set after the first step, less that of a process that has imported the same and loaded the base. The share of
the rate is that of the FLOPs that the job needs, a shared prompt counted once, over the best matrix product measured
here.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.path[0] = str(ROOT)  # this folder holds a queue.py, which is also the name of a part of Python

import torch  # noqa: E402
from transformers import AutoTokenizer  # noqa: E402

from bench.bases import CONTEXT, RANK, SHAPES, Shape, random_base  # noqa: E402
from bench.jobs import JOBS, Bench, Job  # noqa: E402
from bench.runs import (  # noqa: E402
    ALONE,
    DATA,
    OFF,
    REFERENCE,
    ROWS_READ,
    Missing,
    Row,
    Watched,
    environment,
    lay,
    ours,
    watch,
    write_json,
    write_lines,
)

NO_RATE = 1e-30  # a rate at which one step leaves the first weights as they are
PER_DEVICE = 8  # TRL's default rows of a forward
QUIET = {"eval_steps": OFF, "sample_steps": OFF, "checkpoint_steps": OFF, "checkpoint_s": OFF}
STEADY = {"schedule": "constant", "warmup_share": 0.0, "clip_norm": 1e6, "rank": RANK, "alpha": 32.0, "min_rows": 1}


@dataclass
class Score:
    """What one contender's runs came to. losses: of the first run's steps."""

    cpu_s: list[float] = field(default_factory=list)
    above_bytes: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)


def main() -> None:
    given = arguments()
    bench = prepared(given)
    rate = product_rate(bench.shape)
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, one thread")
    print(f"base {given.size}: {bench.shape.parameters:,} parameters; matrix products {rate / 1e9:.1f} GFLOP/s")
    print(f"micro-batches of ours {given.microbatch_tokens} tokens, dtype {given.dtype}; TRL's {PER_DEVICE} rows\n")
    kept, begun = {}, time.monotonic()
    for name in given.stage:
        try:
            job = JOBS[name](bench)
            scores = compare(bench, job, rounds=given.rounds, alone=given.alone)
        except Missing as reason:
            print(f"{name}: not there: {reason}\n", flush=True)
            continue
        show(job, scores, rate)
        kept[name] = {who: vars(score) for who, score in scores.items()} | {"units": job.units, "flops": job.flops}
    write_json(bench.home / "scores.json", {"rate": rate, "jobs": kept})
    print(f"{time.monotonic() - begun:.0f} s; all figures in {bench.home / 'scores.json'}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", choices=SHAPES, default="10m")
    parser.add_argument("--stage", nargs="+", choices=JOBS, default=list(JOBS))
    parser.add_argument("--quick", action="store_true", help="one round of two steps")
    parser.add_argument("--steps", type=int, default=3, help="of each run; the first is not timed")
    parser.add_argument("--rounds", type=int, default=2, help="at most; DPO and rollouts are done once")
    parser.add_argument("--alone", action="store_true", help="ours only")
    parser.add_argument("--microbatch-tokens", type=int, default=2_048)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32", help="of our base")
    parser.add_argument("--data", type=Path, default=DATA)
    given = parser.parse_args()
    if given.quick:
        given.steps, given.rounds = 2, 1
    return given


def prepared(given: argparse.Namespace) -> Bench:
    torch.set_num_threads(1)
    os.environ.update(ALONE)
    try:
        base = random_base(given.size, given.data)
    except Missing as reason:
        sys.exit(str(reason))
    inner = AutoTokenizer.from_pretrained(base, local_files_only=True)

    def words(messages: list[Row]) -> int:
        open_ = messages[-1]["role"] == "user"
        return len(inner.apply_chat_template(messages, add_generation_prompt=open_, tokenize=True, return_dict=False))

    return Bench(
        given.size,
        base,
        given.data,
        given.steps,
        given.microbatch_tokens,
        given.dtype,
        words,
        SHAPES[given.size],
    )


def product_rate(shape: Shape) -> float:
    """FLOP/s of the best float32 product of 2,048 tokens with one of the base's weights, one thread."""
    best = 0.0
    for inner, outer in ((shape.width, shape.width), (shape.width, shape.inner), (shape.inner, shape.width)):
        x, w = torch.randn(2_048, inner), torch.randn(outer, inner)
        for _ in range(5):
            begun = time.process_time()
            for _ in range(4):
                torch.nn.functional.linear(x, w)
            best = max(best, 4 * 2 * 2_048 * inner * outer / (time.process_time() - begun))
    return best


# Runs


def compare(bench: Bench, job: Job, *, rounds: int, alone: bool) -> dict[str, Score]:
    """Run all contenders in turns; by name, ours first."""
    python = None if alone else environment("trl-ppo" if job.rolls else "trl")
    adapter = first_adapter(bench, "reward" if job.rolls else job.stage)
    loaded = loaded_bytes(bench, job.stage)
    scores = {who: Score() for who in ("ours", *(job.modes if python else ()))}
    for turn in range(min(rounds, job.rounds)):
        for who, score in scores.items():
            path = bench.home / f"{job.name.split()[-1].lower()}-{job.stage}-{who}-{turn}"
            if python is None or who == "ours":
                add(score, job, ours(job.stage, laid(bench, job, adapter, path)), loaded)
            else:
                watched = run_peer(bench, job, adapter, path, python, mode=who)
                add(score, job, watched, watched.marks[0].values["rss_bytes"])
    return scores


def laid(bench: Bench, job: Job, adapter: Path, path: Path) -> Path:
    """Our run directory of a job."""
    config = {**STEADY, **QUIET, "microbatch_tokens": bench.microbatch_tokens, "dtype": bench.dtype, **job.config}
    parents = {"reward": adapter} if job.rolls else {}
    return lay(path, config, base=bench.base, parents=parents, **job.rows)


def run_peer(bench: Bench, job: Job, adapter: Path, path: Path, python: Path, *, mode: str) -> Watched:
    """TRL on the same job. Raises Missing where its script fails."""
    script = ROOT / "bench" / "peers" / ("trl_policies.py" if job.rolls else "trl_trainers.py")
    lay(path, {"stage": job.stage})
    write_lines(path / "rows.jsonl", job.peer_rows)
    told = {
        "stage": job.stage,
        "mode": mode,
        "base": str(bench.base),
        "adapter": str(adapter),
        "reward": str(adapter),
        "rows": str(path / "rows.jsonl"),
        "out": str(path),
        "steps": len(job.units),
        "per_device": PER_DEVICE,
        "context": CONTEXT,
        "clip_norm": STEADY["clip_norm"],
        **job.told,
    }
    write_json(path / "job.json", told)
    watched = watch([str(python), str(script), str(path / "job.json")], path)
    if watched.code:
        raise Missing(f"TRL ({mode}) failed; see {path / 'bench.log'}")
    return watched


def first_adapter(bench: Bench, stage: str) -> Path:
    """The adapter that our run starts from: one step at a rate that moves nothing (B is at most 1e-30)."""
    first = JOBS["sft" if stage == "sft" else "reward" if stage == "reward" else "dpo"](bench)
    config = {**STEADY, **QUIET, **first.config, "lr": NO_RATE, "max_steps": 1}
    config |= {"head_lr": NO_RATE} if stage == "reward" else {}
    path = bench.home / f"first-{stage}"
    return ours(stage, lay(path, config, base=bench.base, parents={}, **first.rows)).path / "adapter"


def loaded_bytes(bench: Bench, stage: str) -> int:
    """Resident bytes of a process that has imported our stage, loaded the base and passed eight tokens."""
    path = lay(bench.home / "loaded", {"stage": stage})
    code = (
        "import json, sys, time, torch; from importlib import import_module; from pathlib import Path\n"
        "from transformers import AutoModelForCausalLM\n"
        "import_module('trainer.' + sys.argv[1]); torch.set_num_threads(1)\n"
        f"model = AutoModelForCausalLM.from_pretrained(sys.argv[2], dtype=torch.{bench.dtype})\n"
        "with torch.no_grad(): model(input_ids=torch.arange(40, 48)[None])\n"
        "line = json.dumps({'kind': 'loaded', 'step': 0, 'values': {}})\n"
        "Path(sys.argv[3], 'metrics.jsonl').write_text(line + '\\n'); time.sleep(0.2)\n"
    )
    watched = watch([sys.executable, "-c", code, stage, str(bench.base), str(path)], path)
    if not watched.marks:
        raise Missing(f"the base did not load; see {path / 'bench.log'}")
    return watched.marks[0].rss_bytes


def add(score: Score, job: Job, watched: Watched, loaded: int) -> None:
    """Take the CPU time and the memory of a run's steps."""
    marks = watched.steps("rollout" if job.rolls else "train")
    if len(marks) != len(job.units):
        raise Missing(f"{watched.path.name} took {len(marks)} steps, not {len(job.units)}")
    before = [mark for mark in watched.marks if mark.step == 0 and mark.kind in ("start", "eval")]
    if job.rolls and not before:
        raise Missing(f"{watched.path.name} wrote no line between loading and its first rollout")
    first = before[-1] if job.rolls else marks[0]
    score.cpu_s.append(marks[-1].cpu_s - first.cpu_s + reference_s(job, watched))
    score.above_bytes.append(marks[-1].peak_bytes - loaded)
    if not job.rolls and not score.losses:
        score.losses = [float(mark.values["loss"]) for mark in marks]


def reference_s(job: Job, watched: Watched) -> float:
    """Ours passes the reference once before DPO's first step (Q3): the timed steps' share of that.

    Loading and the trial pass (M5) are in it.
    """
    if job.stage != "dpo" or watched.steps("start"):  # a peer says when it starts
        return 0.0
    if REFERENCE not in watched.files:
        raise Missing(f"{watched.path.name} left no {REFERENCE}; its cost is not known")
    whole = watched.files[REFERENCE] - watched.files[ROWS_READ]
    return whole * sum(job.units[1:]) / sum(job.units)


# The table


def show(job: Job, scores: dict[str, Score], rate: float) -> None:
    units, flops = (sum(values if job.rolls else values[1:]) for values in (job.units, job.flops))
    what = "samples" if job.rolls else "tokens"
    print(f"{job.name}: {job.note}")
    head = ("", f"{what}/CPU-s", "runs", "ours is", "of rate", "peak above base", "ours is", "loss differs by")
    print("{:<14}{:>14}{:>20}{:>9}{:>9}{:>17}{:>9}{:>17}".format(*head))
    mine = scores["ours"]
    for who, score in scores.items():
        each = [units / seconds for seconds in score.cpu_s]
        speed, peak = units * len(each) / sum(score.cpu_s), max(score.above_bytes)
        faster = sum(score.cpu_s) / len(score.cpu_s) / (sum(mine.cpu_s) / len(mine.cpu_s))
        row = (
            "ours" if who == "ours" else f"TRL {who}",
            f"{speed:,.2f}" if job.rolls else f"{speed:,.0f}",
            f"{min(each):,.2f} to {max(each):,.2f}" if job.rolls else f"{min(each):,.0f} to {max(each):,.0f}",
            "" if who == "ours" else f"{faster:.2f} ×",
            f"{flops / units * speed / rate:.2f}",
            f"{peak / 2**20:,.0f} MiB",
            "" if who == "ours" else f"{max(mine.above_bytes) / peak:.2f} ×",
            "" if who == "ours" or job.rolls else difference(mine.losses, score.losses),
        )
        print("{:<14}{:>14}{:>20}{:>9}{:>9}{:>17}{:>9}{:>17}".format(*row))
    if not job.rolls:
        print("our losses: " + ", ".join(f"{loss:.6f}" for loss in mine.losses))
    print(flush=True)


def difference(mine: list[float], theirs: list[float]) -> str:
    """The largest relative difference of any step's loss."""
    return f"{max(abs(a - b) / abs(b) for a, b in zip(mine, theirs, strict=True)):.1e}"


if __name__ == "__main__":
    main()
