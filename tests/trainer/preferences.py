"""Rankings and prompts for tests: a hidden rule orders answers, and run directories bring the adapters they need."""

import hashlib
from pathlib import Path
from typing import Any

from tests.trainer.runs import WORDS, lay_out, split_of

Row = dict[str, Any]  # a JSON object
LIKED = "cat"  # the hidden rule: an answer with this word is better
REWARD: Row = {
    "stage": "reward",
    "batch_prompts": 8,
    "microbatch_tokens": 256,
    "eval_steps": 2,
    "checkpoint_steps": 2,
    "lr": 5e-3,
    "head_lr": 5e-3,
    "rank": 4,
    "alpha": 8,
}
DPO: Row = {
    "stage": "dpo",
    "batch_prompts": 8,
    "microbatch_tokens": 256,
    "eval_steps": 2,
    "sample_steps": 4,
    "checkpoint_steps": 2,
    "lr": 5e-3,
    "rank": 4,
    "alpha": 8,
}
PPO: Row = {
    "stage": "ppo",
    "rollouts": 3,
    "rollout_prompts": 6,
    "max_new_tokens": 8,
    "epochs": 2,
    "minibatches": 2,
    "value_warmup_rollouts": 1,
    "norm_samples": 16,
    "microbatch_tokens": 128,
    "eval_steps": 2,
    "sample_steps": 1,
    "checkpoint_steps": 1,
    "lr": 5e-3,
    "value_lr": 5e-3,
    "rank": 4,
    "alpha": 8,
    "reward_adapter": "reward",
}
RLOO: Row = {
    "advantage": "rloo",
    "samples_per_prompt": 3,
    "rollout_prompts": 4,
    "monitors_off": ["outside_reward"],  # a toy babbles: its scorer never learned from such answers
}  # over PPO's


def answer(seed: str, *, liked: bool) -> str:
    """A sentence of five words, with or without the liked one."""
    digest = hashlib.sha256(seed.encode()).digest()
    others = [word for word in WORDS if word != LIKED]
    said = [others[byte % len(others)] for byte in digest[:5]]
    if liked:
        said[digest[5] % 5] = LIKED
    return " ".join(said) + "."


def ranking_rows(count: int = 40, *, answers: int = 4, reversed_share: float = 0.0) -> list[Row]:
    """Rankings by the hidden rule: half of the answers are liked, both halves are ties. Every other one has a line.

    Of training rows a share is reversed. Two answers also have a strength, of 1 to 3.
    """
    rows = []
    for n in range(count):
        texts = [answer(f"{n}/{i}", liked=i % 2 == 0) for i in range(answers)]
        groups = [[i for i in range(answers) if i % 2 == 0], [i for i in range(answers) if i % 2]]
        turned = bool(n % 5) and (n % 100) / 100 < reversed_share
        rows.append(ranking_row(n, texts, groups[::-1] if turned else groups, line=None if n % 2 else 1))
    return rows


def ranking_row(n: int, texts: list[str], groups: list[list[int]], *, line: int | None = None, split: str = "") -> Row:
    """A ranking of these answers to prompt n."""
    return {
        "id": f"j{n}",
        "prompt_id": f"p{n}",
        "split": split or split_of(n),
        "messages": [{"role": "user", "content": f"What of the {WORDS[n % len(WORDS)]} {n}?"}],
        "answers": [{"id": f"a{n}-{i}", "text": text} for i, text in enumerate(texts)],
        "groups": groups,
        "unplaced": [],
        "acceptable_groups": line,
        "strength": 1 + n % 3 if len(texts) == 2 else None,
        "weight": 1.0,
        "source": "pair" if len(texts) == 2 else "rank",
    }


def prompt_rows(count: int = 20) -> list[Row]:
    return [
        {
            "id": f"p{n}",
            "split": split_of(n),
            "messages": [{"role": "user", "content": f"What of the {WORDS[n % len(WORDS)]} {n}?"}],
        }
        for n in range(count)
    ]


def lay(path: Path, config: Row, *, base: Path, parents: dict[str, Path] | None = None, **files: list[Row]) -> Path:
    """A run directory with links to adapters, by the names that the config uses."""
    lay_out(path, config, base=base, packed=False, **files)
    for name, folder in (parents or {}).items():
        (path / "parents" / name).symlink_to(folder)
    return path
