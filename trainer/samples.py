"""Answers that a run shows, always to the same held-out prompts: the lines of samples.jsonl (C1)."""

from collections.abc import Callable, Sequence
from typing import TypedDict

import torch

from trainer import sampling
from trainer.base import Model
from trainer.contract.rows import Message
from trainer.contract.rundir import Run
from trainer.contract.seeds import seed_for
from trainer.data import Prompt
from trainer.sampling import Settings
from trainer.tokenizer import Tokenizer

SHOWN = 4  # held-out prompts that a stage asks for nothing but to show the answers
SHOWN_TOKENS = 48  # of each of these answers at most


class Sample(TypedDict):
    """One shown answer; prompt: what was said last."""

    prompt_id: str
    sample_index: int
    prompt: str
    answer: str
    tokens: int
    finished: bool


def sample_of(
    prompt_id: str, messages: Sequence[Message], ids: list[int], words: Tokenizer, *, finished: bool, index: int = 0
) -> Sample:
    """An answer's ids to the prompt of these messages, as it is shown."""
    return Sample(
        prompt_id=prompt_id,
        sample_index=index,
        prompt=messages[-1]["content"],
        answer=words.decode(ids),
        tokens=len(ids),
        finished=finished,
    )


def answers(
    model: Model,
    prompts: Sequence[Prompt],
    words: Tokenizer,
    *,
    role: str,
    tokens: int,
    seed: int,
    stop: Callable[[], None],
) -> list[Sample]:
    """What a role answers in at most so many tokens, at temperature 1, always by the same draws."""
    rollout = sampling.sample(
        model,
        [torch.tensor(prompt.ids) for prompt in prompts],
        role=role,
        settings=Settings(max_new_tokens=tokens, temperature=1.0, stop_ids=words.stop_ids()),
        seeds=[seed_for(seed, "sample", prompt.id, 0, 0) for prompt in prompts],
        decode_rows=SHOWN,
        stop=stop,
    )
    return [
        sample_of(prompt.id, prompt.messages, ids.tolist(), words, finished=bool(finished))
        for prompt, ids, finished in zip(prompts, rollout.answers(), rollout.finished, strict=True)
    ]


def write(run: Run, sample: Sample, *, step: int, reward: float | None = None, kl: float | None = None) -> None:
    """Append one line to samples.jsonl."""
    facts = {"attempt": run.attempt, "step": step, "kind": "heldout"}
    run.append("samples.jsonl", {**facts, **sample, "reward": reward, "kl": kl})
