"""The jobs of bench/training.py: each stage's rows, our config, what a peer is told, and the work of every step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from bench.bases import CONTEXT, Shape
from bench.runs import (
    HOME,
    Missing,
    Row,
    comparisons,
    fives,
    in_order_of_run,
    prompt_row,
    questions,
    ranking_row,
    sft_row,
    user,
)
from trainer.contract import configs

NEW_TOKENS = 48
HELD_OUT = 2  # rows that ours wants to see held out; they are measured outside the steps


@dataclass(frozen=True)
class Job:
    """One stage's work for all contenders.

    units, flops: of each step. rows: ours, by file. told: what a peer's script is told beside what all are.
    """

    name: str
    stage: str
    config: Row
    rows: dict[str, list[Row]]
    peer_rows: list[Row]
    told: Row
    units: list[int]
    flops: list[float]
    note: str
    modes: tuple[str, ...] = ("default", "best")
    rounds: int = 1  # at most: what takes a peer minutes is done once

    @property
    def rolls(self) -> bool:
        return self.stage == "ppo"


@dataclass(frozen=True)
class Bench:
    """What all jobs share."""

    size: str
    base: Path
    data: Path
    steps: int
    microbatch_tokens: int
    dtype: str
    words: Callable[[list[Row]], int]  # tokens of a dialogue; an open one where its last message is a question
    shape: Shape

    @property
    def home(self) -> Path:
        return HOME / "training" / self.size


def sft(bench: Bench) -> Job:
    batch, rows, lengths, counted = 16, [], [], []
    for n, (question, answer) in enumerate(questions(bench.data)):
        row = sft_row(f"r{n}", question, answer, split="train")
        if (tokens := bench.words(row["messages"])) <= CONTEXT:
            rows.append(row)
            lengths.append(tokens)
            counted.append(tokens - bench.words(row["messages"][:1]))
        if len(rows) == batch * bench.steps + HELD_OUT:
            break
    held = [{**row, "split": "heldout"} for row in rows[-HELD_OUT:]]
    known = {row["id"]: sizes for row, *sizes in zip(rows, lengths, counted, strict=True)}
    rows = rows[:-HELD_OUT]
    ordered = in_order_of_run(rows)
    steps = [[known[row["id"]] for row in part] for part in in_steps(ordered, batch)]
    config = {"stage": "sft", "epochs": 1, "batch_rows": batch, "lr": 2e-4, "select": "last"}
    return Job(
        name="SFT",
        stage="sft",
        config=config,
        rows={"sft": [*rows, *held]},
        peer_rows=[{"messages": row["messages"]} for row in ordered],
        told={"batch": batch, "lr": 2e-4, "eps": 1e-8},
        units=[sum(length for length, _ in step) for step in steps],
        flops=[sum(bench.shape.learning(0, [size], counted=own) for size, own in step) for step in steps],
        note=f"{batch} rows a step, {fmean(lengths):.0f} tokens each, {sum(counted) / sum(lengths):.0%} counted",
        rounds=2,
    )


def pairs(bench: Bench) -> Job:
    return preferring(bench, "reward", compared(bench, 8), batch=8, name="Reward, pairs")


def rankings(bench: Bench) -> Job:
    return preferring(bench, "reward", ranked(bench, 8), batch=8, name="Reward, rankings of five")


def dpo(bench: Bench) -> Job:
    return preferring(bench, "dpo", compared(bench, 8), batch=8, name="DPO")


def compared(bench: Bench, batch: int) -> list[Row]:
    """People's comparisons that fit the context, as rankings of two."""
    found = (
        ranking_row(f"r{n}", messages, [chosen, rejected], [[0], [1]], split="train")
        for n, (messages, chosen, rejected) in enumerate(comparisons(bench.data))
    )
    return fitting(bench, found, batch * bench.steps + HELD_OUT)


def ranked(bench: Bench, batch: int) -> list[Row]:
    """Five answers to a question, the person's first, then those of ever smaller models."""
    found = (
        ranking_row(f"r{n}", user(question), answers, [[0], [1], [2], [3], [4]], split="train")
        for n, (question, answers) in enumerate(fives(bench.data))
    )
    return fitting(bench, found, batch * bench.steps + HELD_OUT)


def fitting(bench: Bench, found: Iterator[Row], wanted: int) -> list[Row]:
    rows: list[Row] = []
    for row in found:
        if max(sizes_of(bench, row)[1]) + sizes_of(bench, row)[0] <= CONTEXT:
            rows.append(row)
        if len(rows) == wanted:
            return rows
    raise Missing(f"{len(rows)} rows fit {CONTEXT} tokens; {wanted} are needed")


def sizes_of(bench: Bench, row: Row) -> tuple[int, list[int]]:
    """(tokens of the prompt, tokens of each answer with its end token)."""
    prompt = bench.words(row["messages"])
    answers = [[*row["messages"], {"role": "assistant", "content": answer["text"]}] for answer in row["answers"]]
    return prompt, [bench.words(whole) - prompt for whole in answers]


def preferring(bench: Bench, stage: str, rows: list[Row], *, batch: int, name: str) -> Job:
    """A job of rankings; a peer gets every pair that they hold, in the same order."""
    held, rows = [{**row, "split": "heldout"} for row in rows[-HELD_OUT:]], rows[:-HELD_OUT]
    ordered = in_order_of_run(rows)
    steps = [[sizes_of(bench, row) for row in part] for part in in_steps(ordered, batch)]
    each = len(rows[0]["answers"]) * (len(rows[0]["answers"]) - 1) // 2
    dpo = stage == "dpo"
    config = {"stage": stage, "epochs": 1, "batch_prompts": batch, "lr": 1e-4}
    config |= {"beta": 0.1} if dpo else {"head_lr": 1e-4, "center": 0.0, "heads": 1}
    told = {"batch": batch * each, "lr": 1e-4, "eps": 1e-8 if dpo else 1e-5, "beta": 0.1}
    flops = [sum(preferring_flops(bench.shape, *sizes, dpo=dpo) for sizes in step) for step in steps]
    prompts, answers = zip(*[sizes for step in steps for sizes in step], strict=True)
    mean = fmean(size for own in answers for size in own)
    return Job(
        name=name,
        stage=stage,
        config={key: value for key, value in config.items() if key == "stage" or key in known_to(stage)},
        rows={"ranking": [*rows, *held]},
        peer_rows=[pair for row in ordered for pair in pairs_in(row)],
        told=told,
        units=[sum(len(own) * prompt + sum(own) for prompt, own in step) for step in steps],
        flops=flops,
        note=f"{batch} prompts of {fmean(prompts):.0f} tokens a step, answers of {mean:.0f}; {each} pairs each",
        rounds=2 if name == "Reward, pairs" else 1,
    )


def preferring_flops(shape: Shape, prompt: int, answers: list[int], *, dpo: bool) -> float:
    if not dpo:
        return shape.learning(prompt, answers, counted=0)
    counted = sum(answers)
    return shape.learning(prompt, answers, counted=counted) + shape.reading(prompt, answers, counted=counted)


def pairs_in(row: Row) -> list[Row]:
    texts = [[{"role": "assistant", "content": answer["text"]}] for answer in row["answers"]]
    order = [group[0] for group in row["groups"]]
    return [
        {"prompt": row["messages"], "chosen": texts[better], "rejected": texts[worse]}
        for place, better in enumerate(order)
        for worse in order[place + 1 :]
    ]


def ppo(bench: Bench) -> Job:
    return rolling(bench, "PPO", {"epochs": 4, "minibatches": 1}, group=1, modes=("default",))


def rloo(bench: Bench) -> Job:
    return rolling(bench, "RLOO", {"advantage": "rloo", "epochs": 1, "minibatches": 1}, group=4)


def rolling(bench: Bench, name: str, told: Row, *, group: int, modes: tuple[str, ...] = ("default", "best")) -> Job:
    """A job of rollouts: answers of NEW_TOKENS tokens, as random weights hardly ever end one."""
    answers, rollouts = 32, max(1, bench.steps - 1)
    found = [(question, bench.words(user(question))) for question, _ in questions(bench.data)]
    fit = [(question, size) for question, size in found if size <= 128][: answers // group * rollouts + HELD_OUT]
    splits = ["train"] * (len(fit) - HELD_OUT) + ["heldout"] * HELD_OUT
    rows = [
        prompt_row(f"p{n}", text, split=split) for n, ((text, _), split) in enumerate(zip(fit, splits, strict=True))
    ]
    config = {
        "stage": "ppo",
        "reward_adapter": "reward",
        "rollouts": rollouts,
        "rollout_prompts": answers // group,
        "samples_per_prompt": group,
        "max_new_tokens": NEW_TOKENS,
        "lr": 2e-5,
        "value_lr": 2e-5,
        "value_warmup_rollouts": 0,
        "score_norm": "none",
        "approx_kl_stop": 0.0,
        "decode_rows": 64,
        "monitors": False,
        **told,
    }
    if missing := {"advantage"} & set(told) - known_to("ppo"):
        raise Missing(f"our ppo knows no {', '.join(missing)}")
    prompt = fmean(size for _, size in fit)
    per_answer = rolling_flops(bench.shape, round(prompt), epochs=told["epochs"], gae=group == 1)
    return Job(
        name=name,
        stage="ppo",
        config={key: value for key, value in config.items() if key == "stage" or key in known_to("ppo")},
        rows={"prompts": rows},
        peer_rows=[row for row in rows if row["split"] == "train"],
        told={
            "stage": "ppo" if group == 1 else "rloo",
            "answers": answers,
            "group": group,
            "epochs": told["epochs"],
            "max_new_tokens": NEW_TOKENS,
            "kl_coef": 0.05,
            "lr": 2e-5,
            "eps": 1e-5,
        },
        units=[answers] * rollouts,
        flops=[answers * per_answer] * rollouts,
        note=f"{answers} answers a rollout, {group} a prompt of {prompt:.0f} tokens, {NEW_TOKENS} new ones; "
        f"{told['epochs']} epochs of one step",
        modes=modes,
    )


def rolling_flops(shape: Shape, prompt: int, *, epochs: int, gae: bool) -> float:
    """FLOPs of an answer, as M7 counts them: written once, scored by each role, trained in each epoch."""
    written = shape.reading(prompt, [NEW_TOKENS], counted=NEW_TOKENS)
    scored = 2 * shape.reading(prompt, [NEW_TOKENS], counted=NEW_TOKENS)
    scored += (1 + gae) * shape.reading(prompt, [NEW_TOKENS], counted=0)
    trained = shape.learning(prompt, [NEW_TOKENS], counted=NEW_TOKENS)
    trained += gae * shape.learning(prompt, [NEW_TOKENS], counted=0)
    return written + scored + epochs * trained


def known_to(stage: str) -> set[str]:
    """The fields of our stage. Raises Missing where there is no such stage."""
    if stage not in configs.STAGES:
        raise Missing(f"our trainer has no stage {stage} yet")
    return {item.name for item in configs.fields_for_form(stage)}


def in_steps(rows: list[Row], batch: int) -> list[list[Row]]:
    return [rows[start : start + batch] for start in range(0, len(rows), batch)]


JOBS: dict[str, Callable[[Bench], Job]] = {
    "sft": sft,
    "reward": pairs,
    "rankings": rankings,
    "dpo": dpo,
    "ppo": ppo,
    "rloo": rloo,
}
