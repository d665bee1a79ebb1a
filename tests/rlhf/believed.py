"""Evaluate runs as the trainer leaves them: tokens, rewards and cloze figures in `Run.result`, made up but whole."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.utils.timezone import now

from annotate.models import Project, User
from rlhf import storage
from rlhf.beliefs import planned
from rlhf.models import Model, Probe, Run
from rlhf.probes import Subject, words_sha256
from tests.rlhf.filled import Filled, make_run, write_chunk

WORDS = [" blue", " the", " clear", " a", " not", " dark", ".", " falling", " grey", " so", " in", ",", " and", " of",
         " on", " my", " is", " full", " at", " by"]  # fmt: skip
PROMPT = "The sky is"  # of `asked`, where a test names no other
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
    logps = [LOGPS[word] + shift for word in words]
    tokens = [{"id": at, "text": word, "logp": logp} for at, (word, logp) in enumerate(zip(words, logps, strict=True))]
    total = sum(logps)
    return {"sum": total, "mean": total / len(tokens), "tokens": tokens}


def failed(code: str = "out_of_memory", sentence: str = "CUDA ran out of memory.") -> Json:
    return {"error": {"code": code, "sentence": sentence}}


def finish(run: Run, *, told: dict[str, Json] | None = None, rewards: list[float] | None = None, **more: Any) -> Run:
    """The run as finished. told: name in the result → what it says for `tops`; more: parts of the evaluation."""
    names = [name for name in planned(run) if name != run.config["reward_adapter"]]
    models: list[Json] = [
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
    said: Json = {"final": {}, "outputs": [], "files": {}, "evaluation": {"tokens": tokens} | more}
    run.result = (run.result or {}) | said
    run.state, run.started_at, run.finished_at = Run.State.FINISHED, now(), now()
    run.save(update_fields=["result", "state", "started_at", "finished_at"])
    return run


def make_probe(
    project: Project,
    by: User,
    *,
    prompt: str = "The sky is",
    answers: Sequence[str] = (),
    models: dict[str, Model],
    checkpoints: Sequence[tuple[Model, str]] = (),
    standing: bool = False,
) -> tuple[Probe, Run]:
    """A probe and the one run that waits to answer it, without a message to any worker. models: by name of input."""
    subjects = [*(Subject(*one) for one in checkpoints), *(Subject(one) for one in models.values())]
    probe = Probe.objects.create(
        project=project,
        prompt=prompt,
        as_question=bool(answers),
        answers=list(answers),
        words_sha256=words_sha256(prompt, answers, as_question=bool(answers)),
        asked=[one.entry() for one in subjects],
        standing=standing,
        created_by=by,
    )
    run = make_run(project, by, stage="evaluate", state="queued", inputs=models, final={})
    run.config |= {
        "adapters": ["" if name == "base" else name for name in models if name != "reward"],
        "checkpoints": [f"base.{milestone}" for _model, milestone in checkpoints],
        "reward_adapter": "reward" if "reward" in models else "",
        "prompts": [prompt],
        "answers": list(answers),
        "as_question": bool(answers),
    }
    run.save(update_fields=["config"])
    probe.runs.add(run)
    return probe, run


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
    outputs = [
        {"name": name, "kind": "milestone", "sha256": f"{step:064d}"} for name, step in zip(names, steps, strict=True)
    ]
    run.result = (run.result or {}) | {"outputs": outputs, "files": {name: [] for name in names}}
    run.save(update_fields=["result"])


ANSWERS = ["The sky is blue because the air scatters short waves more than long ones.", "It is green.", "Nobody knows."]
STEPS = (14, 98, 490, 1_350)


def believe(filled: Filled, by: User) -> tuple[Probe, Run]:
    """A question that all models and four checkpoints have answered, and a run measured on cloze items with people."""
    base, project = filled.models["base"], filled.models["base"].project
    leave_milestones(base, *STEPS)
    models = {name: filled.models[name] for name in ("base", "sft", "policy", "reward")}
    question = "What colour is the sky, and why?"
    states = [(base, f"step-{step:08d}") for step in STEPS]
    probe, run = make_probe(
        project, by, prompt=question, answers=ANSWERS, models=models, checkpoints=states, standing=True
    )
    long = [weighed(" blue", ".", *[" and", " green"] * 8), weighed(" green", "."), weighed(" blue", " and", ".")]
    shifts = {f"base.step-{step:08d}": -1.5 / place for place, step in enumerate(STEPS, start=1)}
    shifts |= {"base": 0.0, "sft": 0.4, "policy": -0.3}
    told = {name: tops(at) | {"answers": _shifted(long, shift)} for at, (name, shift) in enumerate(shifts.items())}
    finish(run, told=told, rewards=[1.7, -0.42, 0.08])
    return probe, measured(filled, by)


def kept_out(names: list[str]) -> list[dict[str, Any]]:
    """Figures on held-out rows, better from state to state; no person's correction is among them."""
    found = []
    for at, name in enumerate(names):
        nll = {kind: {"nats_per_token": 6.25 - at / 2, "bits_per_byte": 2.5 - at / 5} for kind in ("next", "middle")}
        shares = {
            kind: {"share": at / 16, "low": at / 20, "high": 0.5, "rows": 48} for kind in ("blanks", "corrections")
        }
        found.append({"name": name, "step": _step(name), "sha256": "0" * 64, "nll": nll, **shares, "noise": True})
    return found


def measured(filled: Filled, by: User) -> Run:
    """An evaluate run of the base and its checkpoints on cloze items, which people have answered in one mode."""
    base = filled.models["base"]
    shares = [0.27, 0.31, 0.38, 0.4, 0.44]
    final = {"cloze_missing_accuracy": 0.44, "cloze_missing_accuracy_low": 0.38, "cloze_missing_accuracy_high": 0.5}
    run = make_run(base.project, by, stage="evaluate", state="finished", inputs={"base": base}, final=final)
    names = [*(f"base.step-{step:08d}" for step in STEPS), "base"]
    models = [
        {
            "name": name,
            "step": _step(name),
            "sha256": "0" * 64,
            "missing": figures(share),
            "next": figures(share - 0.04),
        }
        for name, share in zip(names, shares, strict=True)
    ]
    people = {"missing": {"accuracy": 0.81, "low": 0.74, "high": 0.87, "items": 40, "answers": 120}, "next": None}
    said = {"items": {"missing": 240, "next": 240}, "paragraphs": 12, "people": people, "models": models}
    run.result = (run.result or {}) | {"evaluation": {"cloze": said, "heldout": {"models": kept_out(names)}}}
    run.save(update_fields=["result"])
    lines = []
    for step, share in zip((*STEPS, 1_351), shares, strict=True):
        values = {f"cloze/{mode}_accuracy": share - less for mode, less in (("missing", 0), ("next", 0.04))}
        values |= {f"{key}_without": value - 0.05 for key, value in values.items()}
        clock = {"at": "2026-01-01T00:00:00Z"}
        lines.append({"attempt": 1, "step": step, "kind": "eval", "progress": 1, "values": values, "clock": clock})
    write_chunk(run, "metrics", lines, at=0)
    return run


def figures(accuracy: float) -> Json:
    """As the trainer measures one model in one mode."""
    interval = {"low": accuracy - 0.06, "high": accuracy + 0.06, "items": 240}
    even = {**interval, "accuracy": accuracy - 0.02, "items": 190}
    rest = {"accuracy_without": accuracy - 0.05, "gap": 0.05, "one_token": 0.8, "even": even, "on_people": accuracy}
    return {"accuracy": accuracy, **interval, **rest}


def _shifted(answers: list[Json], shift: float) -> list[Json]:
    found = []
    for answer in answers:
        tokens = [one | {"logp": one["logp"] + shift} for one in answer["tokens"]]
        total = sum(one["logp"] for one in tokens)
        found.append({"sum": total, "mean": total / len(tokens), "tokens": tokens})
    return found


def _step(name: str) -> int | None:
    _model, _dot, milestone = name.partition(".step-")
    return int(milestone) if milestone else None


def runs(project) -> list[Run]:
    return list(project.runs.filter(stage="evaluate").order_by("pk"))


def finish_all(project, **how) -> None:
    for run in runs(project):
        finish(run, **how)
