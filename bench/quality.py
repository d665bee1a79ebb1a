"""What our stages learn from real data: `python bench/quality.py [--size nano]`.

A base is pretrained once on the texts of ../shared/data, but for what is held out, and kept below var/bench/. Then:
SFT on dolly (held-out answer loss, beside tuning all weights); reward models on dolly (a person's answer against four
of flan-t5) and on hh (people's comparisons), with held-out accuracy, its interval, the length-only baseline, and TRL's
RewardTrainer from the same start with the same number of steps; PPO from that SFT and reward model, over some seeds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

ROOT = Path(__file__).parents[1]
if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # this folder holds a queue.py, which is also the name of a part of Python

from transformers import AutoTokenizer  # noqa: E402

from bench.bases import texts, trained_base  # noqa: E402
from bench.runs import (  # noqa: E402
    ALONE,
    DATA,
    HOME,
    OFF,
    Missing,
    Row,
    comparisons,
    environment,
    fives,
    in_order_of_run,
    lay,
    ours,
    prompt_row,
    questions,
    ranking_row,
    sft_row,
    user,
    watch,
    write_json,
    write_lines,
)
from trainer.contract.configs import SIZES  # noqa: E402
from trainer.contract.rundir import canonical_lines  # noqa: E402

NO_RATE = 1e-30  # a rate at which one step leaves the first weights as they are
BATCH = 16
SALT = "bench/"  # the plain hash has been used up: rows below a tenth of it are missing from the real data


@dataclass(frozen=True)
class Plan:
    """What suits a size: steps of pretraining and their tokens, rates, and PPO's shape."""

    pretrain: Row
    sft_lr: float
    reward_lr: float
    ppo: Row
    most_prompts: int  # of a reward model's training, 0 for all


PLANS = {
    "nano": Plan(
        pretrain={"max_steps": 2_000, "batch_tokens": 1_024, "lr": 3e-3, "epochs": 100, "warmup_share": 0.1},
        sft_lr=2e-3,
        reward_lr=1e-3,
        ppo={"rollouts": 12, "lr": 1e-3, "value_lr": 1e-3},
        most_prompts=1_200,
    ),
    "micro": Plan(
        pretrain={"max_steps": 3_000, "batch_tokens": 2_048, "lr": 1e-3, "epochs": 100, "warmup_share": 0.05},
        sft_lr=1e-3,
        reward_lr=5e-4,
        ppo={"rollouts": 12, "lr": 3e-4, "value_lr": 5e-4},
        most_prompts=1_600,
    ),
}
QUICK = Plan(
    pretrain={"max_steps": 60, "batch_tokens": 512, "lr": 3e-3, "epochs": 100},
    sft_lr=2e-3,
    reward_lr=1e-3,
    ppo={"rollouts": 2, "lr": 1e-3, "value_lr": 1e-3},
    most_prompts=64,
)


@dataclass(frozen=True)
class Bench:
    """What all parts share. rows: at most so many of each training set, 0 for all."""

    size: str
    data: Path
    plan: Plan
    base: Path
    words: object
    peers: bool
    seeds: list[int]
    rows: int
    tag: str

    @property
    def home(self) -> Path:
        return HOME / "quality" / self.tag

    @property
    def context(self) -> int:
        return SIZES[self.size].context

    def tokens(self, messages: list[Row]) -> int:
        open_ = messages[-1]["role"] == "user"
        told = {"add_generation_prompt": open_, "tokenize": True, "return_dict": False}
        return len(self.words.apply_chat_template(messages, **told))  # type: ignore[attr-defined]


def main() -> None:
    given = arguments()
    os.environ.update({name: value for name, value in ALONE.items() if "THREADS" not in name})
    begun = time.monotonic()
    try:
        bench = prepared(given)
        for part in given.part:
            PARTS[part](bench)
    except Missing as reason:
        sys.exit(str(reason))
    print(f"{time.monotonic() - begun:.0f} s in all")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", choices=PLANS, default="nano")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seeds", default="1,2,3,4,5", help="of PPO")
    parser.add_argument("--alone", action="store_true", help="without TRL")
    parser.add_argument("--quick", action="store_true", help="a few steps of everything: whether it runs")
    parser.add_argument("--data", type=Path, default=DATA)
    return parser.parse_args()


def prepared(given: argparse.Namespace) -> Bench:
    plan, tag = (QUICK, f"{given.size}-quick") if given.quick else (PLANS[given.size], given.size)
    corpus = corpus_rows(given.data)
    base, seconds = trained_base(given.size, tag, corpus, **plan.pretrain)
    final = json.loads((base.parent / "result.json").read_text())["final"]
    figures = ", ".join(f"{name} {value:.3f}" for name, value in final.items() if "heldout" in name)
    kept = "kept from before" if not seconds else f"{seconds:.0f} s"
    held = sum(row["split"] == "heldout" for row in corpus)
    steps = plan.pretrain["max_steps"]
    print(f"base {given.size}, {len(corpus) - held:,} documents and {held} held out, {steps:,} steps; {kept}")
    print(f"  {figures}\n", flush=True)
    words = AutoTokenizer.from_pretrained(base, local_files_only=True)
    seeds = [int(seed) for seed in given.seeds.split(",")]
    return Bench(
        given.size, given.data, plan, base, words, not given.alone, seeds, plan.most_prompts if given.quick else 0, tag
    )


def held_out(text: str, *, share: float = 0.1) -> bool:
    """The same questions are held out in every part, and in pretraining."""
    digest = hashlib.sha256(f"{SALT}{text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share


def split_of(text: str, *, share: float = 0.1) -> str:
    return "heldout" if held_out(text, share=share) else "train"


def corpus_rows(data: Path) -> list[Row]:
    """All texts; of questions with answers the held-out ones are measured only."""
    return [
        {"id": f"d{n}", "split": split_of(text.partition("\n\n")[0]), "text": text}
        for n, text in enumerate(texts(data))
    ]


# SFT


def sft(bench: Bench) -> None:
    rows = []
    for n, (question, answer) in enumerate(questions(bench.data)):
        row = sft_row(f"r{n}", question, answer, split=split_of(question))
        if bench.tokens(row["messages"]) <= bench.context:
            rows.append(row)
    rows = limited(bench, rows)
    begun = time.monotonic()
    final = run_sft(bench, rows)
    seconds = time.monotonic() - begun
    train = [row for row in rows if row["split"] == "train"]
    held = len(rows) - len(train)
    print(f"SFT on dolly: {len(train):,} rows, one epoch of {BATCH} rows a step; {held} held out")
    print("{:<36}{:>12}{:>12}{:>9}".format("", "before", "after", "seconds"))
    told = (final["heldout_nll_before"], final["heldout_nll"])
    print("{:<36}{:>12.4f}{:>12.4f}{:>9.0f}".format("ours, LoRA r 16, nats a token", *told, seconds))
    for part in (0.1, 0.3):
        begun = time.monotonic()
        found = all_weights(bench, rows, lr=part * bench.plan.sft_lr)
        name = f"all weights tuned, lr {part * bench.plan.sft_lr:.0e}"
        seconds = time.monotonic() - begun
        print("{:<36}{:>12.4f}{:>12.4f}{:>9.0f}".format(name, found["before"], found["after"], seconds))
    print(flush=True)


def limited(bench: Bench, rows: list[Row]) -> list[Row]:
    """Of each split the first ones, where the bench is told to be short."""
    if not bench.rows:
        return rows
    train, held = ([row for row in rows if row["split"] == split] for split in ("train", "heldout"))
    return [*train[: bench.rows], *held[: bench.rows]]


def run_sft(bench: Bench, rows: list[Row]) -> Row:
    config = {"stage": "sft", "epochs": 1, "batch_rows": BATCH, "lr": bench.plan.sft_lr, "eval_steps": 50}
    config |= {"sample_steps": OFF, "microbatch_tokens": 1_536}
    final: Row = ours("sft", lay(bench.home / "sft", config, base=bench.base, sft=rows)).result()["final"]
    return final


def sft_adapter(bench: Bench) -> Path:
    """The adapter of part sft, made here where that part was left out."""
    path = bench.home / "sft"
    if not (path / "result.json").exists():
        sft(bench)
    return path / "adapter"


def all_weights(bench: Bench, rows: list[Row], *, lr: float) -> Row:
    """The same rows in the same order, without LoRA."""
    path = lay(bench.home / "all-weights", {"stage": "sft"})
    train = in_order_of_run([row for row in rows if row["split"] == "train"])
    write_lines(path / "train.jsonl", train)
    write_lines(path / "held.jsonl", [row for row in rows if row["split"] == "heldout"])
    job = {"base": str(bench.base), "train": str(path / "train.jsonl"), "held": str(path / "held.jsonl")}
    write_json(path / "job.json", {**job, "out": str(path), "batch": BATCH, "lr": lr, "threads": 1})
    script = ROOT / "bench" / "peers" / "full_tuning.py"
    if watch([sys.executable, str(script), str(path / "job.json")], path).code:
        raise Missing(f"tuning all weights failed; see {path / 'bench.log'}")
    found: Row = json.loads((path / "result.json").read_text())
    return found


# Reward


def reward(bench: Bench) -> None:
    judge(bench, "dolly", dolly_rankings(bench), "the person's answer against four of flan-t5", pairs=4)
    judge(bench, "hh", hh_comparisons(bench), "people's comparisons", pairs=1)


def dolly_rankings(bench: Bench) -> list[Row]:
    """A person's answer above four models', which are not told apart."""
    found = [
        ranking_row(f"r{n}", user(question), answers, [[0], [1, 2, 3, 4]], split=split_of(question))
        for n, (question, answers) in enumerate(fives(bench.data))
    ]
    return short(bench, [row for row in found if longest(bench, row) <= bench.context])


def hh_comparisons(bench: Bench) -> list[Row]:
    """People's comparisons, their dialogues cut from the left by whole turns until they fit."""
    found = []
    for n, (messages, chosen, rejected) in enumerate(comparisons(bench.data)):
        split = split_of(messages[0]["content"], share=0.3)
        row = ranking_row(f"r{n}", messages, [chosen, rejected], [[0], [1]], split=split)
        while longest(bench, row) > bench.context and len(row["messages"]) > 1:
            row = {**row, "messages": row["messages"][2:]}
        if longest(bench, row) <= bench.context:
            found.append(row)
    return short(bench, found)


def short(bench: Bench, rows: list[Row]) -> list[Row]:
    train, held = ([row for row in rows if row["split"] == split] for split in ("train", "heldout"))
    return [*train[: bench.plan.most_prompts], *held[: bench.rows or len(held)]]


def longest(bench: Bench, row: Row) -> int:
    answers = ([*row["messages"], {"role": "assistant", "content": answer["text"]}] for answer in row["answers"])
    return max(map(bench.tokens, answers))


def judge(bench: Bench, name: str, rows: list[Row], what: str, *, pairs: int) -> None:
    """Train ours and TRL's from the same start for as many steps; show both beside the length of answers."""
    train = [row for row in rows if row["split"] == "train"]
    print(f"Reward on {name}: {what}; {len(train):,} prompts, {len(rows) - len(train)} held out, {BATCH} a step")
    print(
        "{:<22}{:>10}{:>20}{:>14}{:>22}{:>9}".format("", "accuracy", "95 %", "length only", "gain over it", "seconds")
    )
    config = {"stage": "reward", "epochs": 1, "batch_prompts": BATCH, "parent_adapter": "sft", "min_rows": 1}
    config |= {"lr": bench.plan.reward_lr, "head_lr": bench.plan.reward_lr, "warmup_share": 0.0, "schedule": "constant"}
    config |= {"eval_steps": OFF, "microbatch_tokens": 1_536}
    parents = {"sft": sft_adapter(bench)}
    begun = time.monotonic()
    path = lay(bench.home / f"reward-{name}", config, base=bench.base, parents=parents, ranking=rows)
    row_of("ours", ours("reward", path).result()["final"], time.monotonic() - begun)
    if bench.peers:
        first = {**config, "lr": NO_RATE, "head_lr": NO_RATE, "max_steps": 1}
        start = lay(bench.home / f"first-{name}", first, base=bench.base, parents=parents, ranking=rows)
        begun = time.monotonic()
        final = peer_reward(bench, name, rows, ours("reward", start).path / "adapter", pairs=pairs)
        row_of("TRL RewardTrainer", final, time.monotonic() - begun)
    print(flush=True)


def row_of(who: str, final: Row, seconds: float) -> None:
    interval = f"{final['accuracy_low']:.1%} to {final['accuracy_high']:.1%}"
    low, high = final["gain_over_length_low"], final["gain_over_length_high"]
    gain = f"{100 * final['gain_over_length']:+.1f} [{100 * low:.1f}, {100 * high:.1f}]"
    told = (who, f"{final['accuracy']:.1%}", interval, f"{final['length_accuracy']:.1%}", gain, f"{seconds:.0f}")
    print("{:<22}{:>10}{:>20}{:>14}{:>22}{:>9}".format(*told), flush=True)


def peer_reward(bench: Bench, name: str, rows: list[Row], start: Path, *, pairs: int) -> Row:
    """TRL's trainer on every pair, shuffled as it does by default; measured by our stage evaluate."""
    path = lay(bench.home / f"trl-{name}", {"stage": "reward"})
    train = in_order_of_run([row for row in rows if row["split"] == "train"])
    write_lines(path / "rows.jsonl", [pair for row in train for pair in strict_pairs(row)])
    job = {
        "stage": "reward",
        "mode": "best",
        "base": str(bench.base),
        "adapter": str(start),
        "rows": str(path / "rows.jsonl"),
        "out": str(path),
        "save": str(path / "adapter"),
        "shuffle": True,
        "steps": -(-len(train) // BATCH),
        "batch": BATCH * pairs,
        "per_device": BATCH,
        "context": bench.context,
        "clip_norm": 1.0,
        "lr": bench.plan.reward_lr,
        "eps": 1e-5,
    }
    write_json(path / "job.json", job)
    script = ROOT / "bench" / "peers" / "trl_trainers.py"
    if watch([str(environment("trl")), str(script), str(path / "job.json")], path).code:
        raise Missing(f"TRL failed; see {path / 'bench.log'}")
    config = {"stage": "evaluate", "reward_adapter": "trl"}
    measured = lay(
        bench.home / f"measured-{name}", config, base=bench.base, parents={"trl": path / "adapter"}, ranking=rows
    )
    ours("evaluate", measured)
    report: Row = json.loads((measured / "evaluation.json").read_text())["ranking"]["trl"]
    return report


def strict_pairs(row: Row) -> list[Row]:
    said = [[{"role": "assistant", "content": answer["text"]}] for answer in row["answers"]]
    return [
        {"prompt": row["messages"], "chosen": said[better], "rejected": said[worse]}
        for place, group in enumerate(row["groups"])
        for better in group
        for worse in (index for later in row["groups"][place + 1 :] for index in later)
    ]


# PPO


def ppo(bench: Bench) -> None:
    """Mean reward against KL over seeds, held-out prompts before and after, and whether any seed collapsed."""
    judge_ = bench.home / "reward-dolly"
    if not (judge_ / "result.json").exists():
        reward(bench)
    found = [(question, split_of(question)) for question, _ in questions(bench.data)]
    rows = [
        prompt_row(f"p{n}", question, split=split)
        for n, (question, split) in enumerate(found)
        if bench.tokens(user(question)) <= 96
    ]
    train = [row for row in rows if row["split"] == "train"]
    held = [row for row in rows if row["split"] == "heldout"][:100]
    told = bench.plan.ppo
    print(f"PPO on dolly: {told['rollouts']} rollouts of 64 prompts, 48 new tokens; {len(held)} prompts held out")
    head = ("seed", "reward", "KL", "reward less KL", "tokens", "EOS", "distinct-2", "entropy", "ends", "seconds")
    print("{:<6}{:>18}{:>8}{:>16}{:>14}{:>14}{:>16}{:>14}{:>11}{:>9}".format(*head))
    rises = [one_seed(bench, seed, [*train, *held], judge_ / "adapter") for seed in bench.seeds]
    ended = [rise for rise in rises if rise == rise]
    spread = f", ± {stdev(ended):.2f} over seeds" if len(ended) > 1 else ""
    mean_rise = f"{fmean(ended):+.2f}" if ended else "nothing"
    print(f"{len(ended)} of {len(rises)} ended; held-out reward rises by {mean_rise}{spread}\n", flush=True)


def one_seed(bench: Bench, seed: int, rows: list[Row], judge_: Path) -> float:
    config = {
        "stage": "ppo",
        "seed": seed,
        "parent_adapter": "sft",
        "reward_adapter": "reward",
        "rollout_prompts": 64,
        "max_new_tokens": 48,
        "microbatch_tokens": 1_536,
        "value_warmup_rollouts": 1,
        "norm_samples": 64 if bench.rows else 256,
        "eval_steps": OFF,
        "sample_steps": OFF,
        **bench.plan.ppo,
    }
    parents = {"sft": sft_adapter(bench), "reward": judge_}
    begun = time.monotonic()
    path = lay(bench.home / f"ppo-{seed}", config, base=bench.base, parents=parents, prompts=rows)
    try:
        ours("ppo", path)
    except Missing as reason:  # a monitor may have paused it
        print(f"{seed:<6}did not end: {reason}", flush=True)
        return float("nan")
    seconds = time.monotonic() - begun
    lines_ = canonical_lines(path / "metrics.jsonl")
    rollouts = [line["values"] for line in lines_ if line["kind"] == "rollout"]
    first, last = rollouts[: len(rollouts) // 3 or 1], rollouts[-(len(rollouts) // 3 or 1) :]
    final = json.loads((path / "result.json").read_text())["final"]

    def both(name: str, digits: int = 2) -> str:
        return f"{mean(first, name):.{digits}f} > {mean(last, name):.{digits}f}"

    before, after = final["reward_before"], final["reward_after"]
    lowest = {"objective/entropy": 0.2, "answer/distinct_2": 0.5, "answer/eos_rate": 0.5}  # the monitors' bars
    broken = [name for name, bar in lowest.items() if mean(last, name) < bar * mean(first, name)]
    told = (
        seed,
        f"{before:.2f} > {after:.2f}",
        f"{mean(last, 'objective/kl'):.1f}",
        both("objective/rlhf_reward"),
        both("answer/length", 1),
        both("answer/eos_rate"),
        both("answer/distinct_2"),
        both("objective/entropy"),
        "collapsed" if broken else "well",
        f"{seconds:.0f}",
    )
    print("{:<6}{:>18}{:>8}{:>16}{:>14}{:>14}{:>16}{:>14}{:>11}{:>9}".format(*told), flush=True)
    return float(after - before)


def mean(rollouts: list[Row], name: str) -> float:
    return fmean(values[name] for values in rollouts)


PARTS = {"sft": sft, "reward": reward, "ppo": ppo}


if __name__ == "__main__":
    main()
