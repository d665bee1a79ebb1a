"""Rows: what is dropped and why, and the seeded order of steps.

Nothing is cut silently and nothing is lost: dropped rows are counted by reason in data_report.json (D1). How rows share
a pass is `packing`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from trainer.contract.configs import (
    DpoConfig,
    EvaluateConfig,
    GenerateConfig,
    PpoConfig,
    PretrainConfig,
    RewardConfig,
    SftConfig,
)
from trainer.contract.errors import TrainerError
from trainer.contract.rows import ROLES, Answer, Message, Split
from trainer.contract.rundir import Run
from trainer.contract.seeds import seed_for
from trainer.tokenizer import Rendered, Tokenizer

Step = list[list[int]]  # micro-batches of row indices
Lengths = Sequence[int]
T = TypeVar("T")


# --- rows, read and sifted (D1)


@dataclass(frozen=True)
class Example:
    """One row to learn from: counted tokens have a True mask; size is the counted text's length in bytes."""

    id: str
    ids: list[int]
    mask: list[bool]
    weight: float = 1.0
    size: int = 0
    prompt: list[Message] = field(default_factory=list)


@dataclass(frozen=True)
class Prompt:
    """One prompt, rendered up to where its answer begins."""

    id: str
    split: Split
    messages: list[Message]
    ids: list[int]


@dataclass(frozen=True)
class Ranking:
    """One person's order of a prompt's answers, as indices into them; best group first, a group is a tie.

    acceptable_groups: groups from there on lie below the line; None where that was not asked. strength: 1 to 3 of a
    pair, None where that was not asked.
    """

    id: str
    groups: list[list[int]]
    unplaced: list[int]
    weight: float
    acceptable_groups: int | None = None
    strength: int | None = None


@dataclass(frozen=True)
class Ranked:
    """One prompt with all its distinct answers, by id, and all rankings of them (R4). Answers end with an end token."""

    prompt_id: str
    messages: list[Message]
    prompt: list[int]
    answer_ids: list[str]
    answers: list[list[int]]
    rankings: list[Ranking]

    def rows(self) -> list[Tensor]:
        """Each answer after the prompt."""
        return [torch.tensor([*self.prompt, *answer]) for answer in self.answers]


@dataclass(frozen=True)
class Parts(Generic[T]):
    """What a stage learns from, and what it is measured on."""

    train: list[T]
    heldout: list[T]


class _Sieve:
    """Counts what is kept and what is dropped, by reason, and refuses what cannot be trained on."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._dropped: dict[str, list[str]] = defaultdict(list)
        self._seen: set[Any] = set()  # Any: whatever makes two rows the same
        self._splits: dict[str, Split] = {}

    def drop(self, reason: str, row: Mapping[str, Any]) -> None:  # Any: a row of any type
        self._dropped[reason].append(row["id"])

    def repeated(self, key: object) -> bool:
        """Whether a row of this content came before."""
        known = key in self._seen
        self._seen.add(key)
        return known

    def one_side(self, key: str, split: Split) -> None:
        """Refuse a prompt that stands in both splits; raises heldout_in_train."""
        if self._splits.setdefault(key, split) != split:
            sentence = f"{key} stands among train and heldout rows; freeze the snapshot again so that it has one split."
            raise TrainerError("heldout_in_train", sentence)

    def settle(self, kept: Mapping[str, int], *, min_rows: int, heldout: bool) -> None:
        """Write data_report.json; raises too_few_rows, and no_heldout where held-out rows are needed."""
        dropped = {reason: {"count": len(ids), "ids": ids} for reason, ids in sorted(self._dropped.items())}
        self._run.write_json("data_report.json", {"kept": dict(kept), "dropped": dropped})
        if kept["train"] < min_rows:
            reasons = ", ".join(f"{len(ids)} {reason}" for reason, ids in sorted(self._dropped.items())) or "none"
            sentence = f"{kept['train']} usable training rows; at least {min_rows} are needed. Dropped: {reasons}."
            raise TrainerError("too_few_rows", sentence)
        if heldout and not kept["heldout"]:
            raise TrainerError("no_heldout", "No usable row is held out; nothing could be measured. Add more groups.")


def documents(run: Run, config: PretrainConfig | EvaluateConfig) -> Parts[tuple[str, str]]:
    """(id, text) of a corpus's documents; they are encoded once there is a tokenizer.

    Where nothing learns, any number of them will do.
    """
    sieve, parts = _Sieve(run), Parts[tuple[str, str]]([], [])
    for _, row in run.rows("CorpusRow"):
        sieve.one_side(row["id"], row["split"])
        if not row["text"].strip():
            sieve.drop("empty", row)
        elif sieve.repeated(row["text"]):
            sieve.drop("repeated", row)
        else:
            _side(parts, row["split"]).append((row["id"], row["text"]))
    if isinstance(config, PretrainConfig):
        _settle(sieve, parts, min_rows=config.min_rows)
    return parts


def dialogues(
    run: Run, config: SftConfig | PpoConfig | EvaluateConfig, words: Tokenizer, *, context: int
) -> Parts[Example]:
    """The SFT rows, rendered. In PPO they serve its ptx_coef, and none of them is needed; nor is any to evaluate."""
    overlong = config.overlong if not isinstance(config, EvaluateConfig) else "drop"
    sieve, parts = _Sieve(run), Parts[Example]([], [])
    for _, row in run.rows("SftRow"):
        sieve.one_side(row["prompt_id"], row["split"])
        messages: list[Message] = row["messages"]
        reason = _dialogue_fault(messages, last="assistant")
        if reason or row["weight"] == 0:
            sieve.drop(reason or "zero_weight", row)
        elif sieve.repeated(_key(messages)):
            sieve.drop("repeated", row)
        elif (rendered := _render(words, messages, open=False)) is None:
            sieve.drop("unknown_roles", row)
        elif (fitted := _fit(rendered, context, overlong)) is None:
            sieve.drop("overlong", row)
        else:
            spoken = sum(len(said["content"].encode()) for said in messages if said["role"] == "assistant")
            example = Example(row["id"], fitted.ids, fitted.mask, float(row["weight"]), spoken, messages[:-1])
            _side(parts, row["split"]).append(example)
    if isinstance(config, SftConfig):
        _settle(sieve, parts, min_rows=config.min_rows)
    return parts


def prompts(run: Run, config: PpoConfig | GenerateConfig, words: Tokenizer, *, context: int) -> list[Prompt]:
    """The prompts that leave room for max_new_tokens, of both splits; PPO needs train and held-out ones."""
    room = context - config.max_new_tokens
    if room < 1:
        sentence = f"max_new_tokens is {config.max_new_tokens}; allowed: less than the context of {context} tokens."
        raise TrainerError("bad_config", sentence)
    sieve, parts = _Sieve(run), Parts[Prompt]([], [])
    for _, row in run.rows("PromptRow"):
        sieve.one_side(row["id"], row["split"])
        messages: list[Message] = row["messages"]
        if reason := _dialogue_fault(messages, last="user"):
            sieve.drop(reason, row)
        elif sieve.repeated(_key(messages)):
            sieve.drop("repeated", row)
        elif (rendered := _render(words, messages, open=True)) is None:
            sieve.drop("unknown_roles", row)
        elif (ids := _shorten(rendered.ids, room, config.overlong)) is None:
            sieve.drop("overlong", row)
        else:
            _side(parts, row["split"]).append(Prompt(row["id"], row["split"], messages, ids))
    kept = [*parts.train, *parts.heldout]
    if isinstance(config, PpoConfig):
        _settle(sieve, parts, min_rows=config.min_rows)
    else:
        sieve.settle({"train": len(kept), "heldout": len(parts.heldout)}, min_rows=1, heldout=False)
    return kept


def rankings(
    run: Run, config: RewardConfig | DpoConfig | EvaluateConfig, words: Tokenizer, *, context: int
) -> Parts[Ranked]:
    """The rankings, gathered by prompt: each answer stands once, whoever ranked it (R4).

    Where nothing learns, long prompts are dropped, and no number of train rows is needed.
    """
    overlong, min_rows = (config.overlong, config.min_rows) if not isinstance(config, EvaluateConfig) else ("drop", 0)
    sieve = _Sieve(run)
    found: dict[tuple[str, tuple[int, ...]], Ranked] = {}
    splits: dict[tuple[str, tuple[int, ...]], Split] = {}
    kept = {"train": 0, "heldout": 0}
    for _, row in run.rows("RankingRow"):
        sieve.one_side(row["prompt_id"], row["split"])
        reason = _ranking_fault(row)
        if reason or sieve.repeated(row["id"]):
            sieve.drop(reason or "repeated", row)
            continue
        rendered = render_answers(words, row["messages"], row["answers"])
        if rendered is None:
            sieve.drop("unknown_roles", row)
            continue
        longest = max(map(len, rendered[1]))
        prompt = _shorten(rendered[0], context - longest, overlong)
        if prompt is None:
            sieve.drop("overlong", row)
            continue
        key = (row["prompt_id"], tuple(prompt))
        element = found.setdefault(key, Ranked(row["prompt_id"], row["messages"], prompt, [], [], []))
        splits[key] = row["split"]
        _add_ranking(element, row, rendered[1])
        kept[row["split"]] += 1
    sieve.settle(kept, min_rows=min_rows, heldout=True)
    return Parts(
        [found[key] for key, split in splits.items() if split == "train"],
        [found[key] for key, split in splits.items() if split == "heldout"],
    )


def _side(parts: Parts[T], split: Split) -> list[T]:
    return parts.train if split == "train" else parts.heldout


def _settle(sieve: _Sieve, parts: Parts[Any], *, min_rows: int) -> None:  # Any: rows of any type
    kept = {"train": len(parts.train), "heldout": len(parts.heldout)}
    sieve.settle(kept, min_rows=min_rows, heldout=True)


def _key(messages: list[Message]) -> tuple[tuple[str, str], ...]:
    return tuple((message["role"], message["content"]) for message in messages)


def _dialogue_fault(messages: list[Message], *, last: Literal["user", "assistant"]) -> str:
    """Why a dialogue is dropped, or nothing."""
    if any(message["role"] not in ROLES for message in messages):
        return "unknown_roles"
    if not messages or (last == "user" and messages[-1]["role"] != "user"):
        return "empty" if not messages else "no_question"
    if last == "assistant" and (messages[-1]["role"] != "assistant" or not messages[-1]["content"].strip()):
        return "no_answer"
    asked = messages if last == "user" else messages[:-1]
    return "" if any(message["content"].strip() for message in asked) else "empty"


def _ranking_fault(row: Mapping[str, Any]) -> str:  # Any: a RankingRow
    """Why a ranking is dropped, or nothing."""
    if reason := _dialogue_fault(row["messages"], last="user"):
        return reason
    answers: list[Answer] = row["answers"]
    if any(not answer["text"].strip() for answer in answers):
        return "no_answer"
    placed = sorted([index for group in row["groups"] for index in group] + row["unplaced"])
    if placed != list(range(len(answers))) or len({answer["id"] for answer in answers}) < len(answers):
        return "contradictory"
    asked = row["acceptable_groups"] is not None
    return "one_sided" if len({answer["text"] for answer in answers}) < 2 and not (asked and answers) else ""


def _render(words: Tokenizer, messages: list[Message], *, open: bool) -> Rendered | None:
    """The dialogue as ids; None where the template refuses its roles."""
    try:
        return words.render(messages, open=open)
    except TrainerError as refusal:
        if refusal.code != "no_template":
            raise
        return None


def render_answers(
    words: Tokenizer, messages: list[Message], answers: list[Answer]
) -> tuple[list[int], list[list[int]]] | None:
    """The open prompt, and each answer's ids through the end token that closes it."""
    prompt = _render(words, messages, open=True)
    if prompt is None:
        return None
    start, ends = len(prompt.ids), []
    for answer in answers:
        whole = _render(words, [*messages, Message(role="assistant", content=answer["text"])], open=False)
        if whole is None:
            return None
        ends.append(whole.ids[start : _last_counted(whole.mask) + 1])
    return prompt.ids, ends


def _last_counted(mask: list[bool]) -> int:
    return len(mask) - 1 - mask[::-1].index(True)


def _fit(rendered: Rendered, context: int, overlong: str) -> Rendered | None:
    """The row within the context: whole, or with its prompt cut from the left, or not at all."""
    surplus = len(rendered.ids) - context
    if surplus <= 0:
        return rendered
    last = len(rendered.mask) - rendered.mask[::-1].index(True) - 1
    answer = last - rendered.mask[last::-1].index(False) if False in rendered.mask[: last + 1] else -1
    if overlong == "drop" or 2 + surplus > answer + 1:
        return None
    ids, mask = rendered.ids, rendered.mask
    return Rendered(ids=ids[:1] + ids[1 + surplus :], mask=mask[:1] + mask[1 + surplus :])


def _shorten(ids: list[int], room: int, overlong: str) -> list[int] | None:
    """The prompt within the room: whole, or its first and its last tokens, or not at all."""
    if len(ids) <= room:
        return ids
    if overlong == "drop" or room < 2:
        return None
    return ids[:1] + ids[len(ids) - room + 1 :]


def _add_ranking(element: Ranked, row: Mapping[str, Any], answers: list[list[int]]) -> None:  # Any: a RankingRow
    """Add a row's answers where they are new, and its order of them."""
    place = {}
    for index, (answer, ids) in enumerate(zip(row["answers"], answers, strict=True)):
        if answer["id"] not in element.answer_ids:
            element.answer_ids.append(answer["id"])
            element.answers.append(ids)
        place[index] = element.answer_ids.index(answer["id"])
    groups = [[place[index] for index in group] for group in row["groups"]]
    unplaced = [place[index] for index in row["unplaced"]]
    line, strength = row["acceptable_groups"], row["strength"]
    element.rankings.append(Ranking(row["id"], groups, unplaced, float(row["weight"]), line, strength))


# --- order and steps (D3, G3)


def steps_of(
    lengths: Lengths, *, epoch: int, seed: int, batch: int, by: Literal["rows", "tokens"] = "rows"
) -> list[list[int]]:
    """The rows of each step of an epoch: consecutive rows of its permutation, the last, smaller step used too.

    by "tokens": until the rows' lengths reach `batch`.
    """
    order = np.random.default_rng(seed_for(seed, "order", epoch)).permutation(len(lengths)).tolist()
    if by == "rows":
        return [order[start : start + batch] for start in range(0, len(order), batch)]
    steps: list[list[int]] = []
    held = batch
    for row in order:
        if held >= batch:
            steps.append([])
            held = 0
        steps[-1].append(row)
        held += lengths[row]
    return steps


def steps_of_run(
    lengths: Lengths, *, epochs: int, limit: int, seed: int, batch: int, by: Literal["rows", "tokens"] = "rows"
) -> list[tuple[int, list[int]]]:
    """(epoch, rows) of each step of a run, at most `limit` of them (0: all). Its length is the schedule's."""
    steps: list[tuple[int, list[int]]] = []
    for epoch in range(epochs):
        if limit and len(steps) >= limit:
            break
        steps += [(epoch, rows) for rows in steps_of(lengths, epoch=epoch, seed=seed, batch=batch, by=by)]
    return steps[: limit or None]


def counted_weight(examples: Sequence[Example], rows: Sequence[int]) -> float:
    """What a step's loss is divided by (G2): the sum of weight × counted tokens of its rows."""
    return sum(examples[row].weight * sum(examples[row].mask[1:]) for row in rows)
