"""Evaluate runs as the trainer leaves them: tokens, rewards and cloze figures in `Run.result`, made up but whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.utils.timezone import now

from rlhf import storage
from rlhf.beliefs import planned
from rlhf.models import Model, Run

WORDS = [" blue", " the", " clear", " a", " not", " dark", ".", " falling", " grey", " so", " in", ",", " and", " of",
         " on", " my", " is", " full", " at", " by"]  # fmt: skip
LOGPS = {" blue": -1.0, " and": -2.0, ".": -0.5, " green": -4.0}
Json = dict[str, Any]  # Any: a JSON object


def tops(rank: int = 0, *, other: float = 0.1) -> Json:
    """Twenty tokens whose probabilities halve, with other sum to 1; rank: how many places the words are turned."""
    words = [*WORDS[rank:], *WORDS[:rank]]
    masses = [0.5**place for place in range(20)]
    shares = [(1 - other) * mass / sum(masses) for mass in masses]
    top = [{"id": WORDS.index(word), "text": word, "p": p} for word, p in zip(words, shares, strict=True)]
    return {"entropy": 2.25, "other": other, "next": top, "error": None}


def weighed(*words: str, shift: float = 0.0) -> Json:
    tokens = [{"id": place, "text": word, "logp": LOGPS[word] + shift} for place, word in enumerate(words)]
    total = sum(one["logp"] for one in tokens)
    return {"sum": total, "mean": total / len(tokens), "tokens": tokens}


def failed(code: str = "out_of_memory", sentence: str = "CUDA ran out of memory.") -> Json:
    return {"error": {"code": code, "sentence": sentence}}


def finish(run: Run, *, told: dict[str, Json] | None = None, rewards: list[float] | None = None, **more: Any) -> Run:
    """The run as finished. told: name in the result → what it says for `tops`; more: parts of the evaluation."""
    names = [name for name in planned(run) if name != run.config["reward_adapter"]]
    models = [
        {"name": name, "step": _step(name), "sha256": "0" * 64} | (told or {}).get(name, tops(rank % 20))
        for rank, name in enumerate(names)
    ]
    answered = [[{**weighed(" blue", "."), "text": one} for one in run.config["answers"]]]
    for at, model in enumerate(models):
        if run.config["answers"] and "answers" not in model and not model.get("error"):
            model["answers"] = answered[0] if at == 0 else [weighed(" blue", ".", shift=0.25) for _ in answered[0]]
    tokens: Json = {
        "as_question": run.config["as_question"],
        "prompts": [{"prompt": prompt, "models": models} for prompt in run.config["prompts"]],
    }
    if rewards:
        scored = [{"reward": reward, "spread": None} for reward in rewards]
        tokens["rewards"] = [{"name": run.config["reward_adapter"], "sha256": "0" * 64, "answers": scored}]
    said = {"final": {}, "outputs": [], "files": {}, "evaluation": {"tokens": tokens} | more}
    run.result = (run.result or {}) | said
    run.state, run.started_at, run.finished_at = Run.State.FINISHED, now(), now()
    run.save(update_fields=["result", "state", "started_at", "finished_at"])
    return run


def fail(run: Run, code: str = "out_of_memory") -> Run:
    run.state, run.failure = Run.State.FAILED, {"code": code, "sentence": "CUDA ran out of memory."}
    run.save(update_fields=["state", "failure"])
    return run


def leave_items(run: Run, folder: Path, rows: list[Json]) -> None:
    """As `cloze.jsonl` of a finished run."""
    path = folder / f"cloze-{run.pk}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run.result = (run.result or {"final": {}}) | {
        "outputs": [{"name": "cloze", "kind": "cloze", "path": "cloze.jsonl"}],
        "files": {"cloze": storage.put_folder(path)},
    }
    run.save(update_fields=["result"])


def leave_milestones(base: Model, *steps: int) -> None:
    """As if base's run had stopped for a picture at these steps."""
    run = base.run
    assert run is not None
    names = [f"step-{step:08d}" for step in steps]
    outputs = [{"name": name, "kind": "milestone", "sha256": f"{step:064d}"} for name, step in zip(names, steps, strict=True)]
    run.result = (run.result or {}) | {"outputs": outputs, "files": {name: [] for name in names}}
    run.save(update_fields=["result"])


def _step(name: str) -> int | None:
    _model, _dot, milestone = name.partition(".step-")
    return int(milestone) if milestone else None
