"""A project that has been once round the loop and trains again: what its pages show when there is something to show."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from math import exp, sin
from pathlib import Path

from django.utils.timezone import now

from annotate.models import Project, User
from rlhf.models import Model, Run, RunChunk, RunInput, Snapshot, Worker
from tests.annotate.conftest import make_prompt
from tests.rlhf.conftest import corpus_rows, make_model, make_snapshot
from tests.rlhf.vocabularies import usage_report, written

PROMPT = "What does textwrap.dedent do?"
ANSWERS = {
    0: "The the value of the object is the.",
    4: "Return the object with the given text and the file.",
    8: "Remove the given text from every line in the file.",
    12: "Remove any common leading whitespace from every line in the given text.",
}


@dataclass
class Filled:
    snapshots: dict[str, Snapshot]
    models: dict[str, Model]
    runs: dict[str, Run]


def fill(project: Project, ada: User, folder: Path) -> Filled:
    """Snapshots, models and runs of each kind, with a PPO run that is at work and one that failed."""
    snapshots = _snapshots(project, ada, folder)
    runs: dict[str, Run] = {}
    models: dict[str, Model] = {}

    def train(name: str, stage: str, final: dict[str, float], **inputs: Snapshot | Model) -> Run:
        runs[name] = make_run(project, ada, stage=stage, state="finished", inputs=inputs, final=final)
        return runs[name]

    run = train("pretrain", "pretrain", {"heldout_perplexity": 44.1}, corpus=snapshots["corpus"])
    run.result = (run.result or {}) | {"evaluation": {"what": "nll", "tokenizer": usage_report()}}
    run.save(update_fields=["result"])
    base = models["base"] = make_model(project, folder, kind="base", run=run, tokenizer=written("byte_level"))
    run = train("sft", "sft", {"heldout_nll": 3.86}, sft=snapshots["sft"], base=base)
    sft = models["sft"] = make_model(project, folder, kind="sft", base=base, run=run)
    train("generate", "generate", {"answers": 3200}, prompts=snapshots["prompt"], base=base, sft=sft)
    snapshots["ranking"].card["runs"] = [runs["generate"].number]
    snapshots["ranking"].save(update_fields=["card"])
    accuracy = {"accuracy": 0.812, "accuracy_low": 0.78, "accuracy_high": 0.84}
    run = train("reward", "reward", accuracy, ranking=snapshots["ranking"], base=base, sft=sft)
    reward = models["reward"] = make_model(project, folder, kind="reward", base=base, run=run)
    parents = {"prompts": snapshots["prompt"], "base": base, "sft": sft, "reward": reward}
    gain = {"reward_gain": 1.61, "reward_gain_low": 1.42, "reward_gain_high": 1.79}
    run = train("ppo", "ppo", gain, **parents)
    models["policy"] = make_model(project, folder, kind="policy", base=base, run=run)
    for model in models.values():
        if model.run and model.run.result:
            model.metrics = model.run.result["final"]
            model.save(update_fields=["metrics"])
    runs["failed"] = make_run(
        project, ada, stage="sft", state="failed", inputs={"sft": snapshots["sft"], "base": base}, final={}
    )
    fail(runs["failed"])
    runs["running"] = make_run(project, ada, stage="ppo", state="running", inputs=parents, final={})
    write_metrics(runs["running"], steps=12)
    alive = {"queues": "train", "device": "cpu", "heartbeat_at": now()}
    Worker.objects.update_or_create(name="cpu-1", defaults=alive)
    return Filled(snapshots, models, runs)


def make_run(project: Project, by: User, *, stage: str, state: str, inputs: dict, final: dict) -> Run:
    number = project.runs.count() + 1
    done = {"finished": 16, "running": 12, "failed": 3}.get(state, 0)
    progress = {"done": done, "total": 16, "unit": "steps", "eta_s": 660 if state == "running" else None, "note": ""}
    run = Run.objects.create(
        project=project,
        number=number,
        stage=stage,
        state=state,
        config={"seed": number, "stage": stage, "lr": 0.002},
        config_sha256=f"{number:064d}",
        seed=number,
        code_version="0123456789ab",
        attempt=int(state != "queued"),
        progress=progress if done else {},
        created_by=by,
        started_at=now() - timedelta(minutes=9) if done else None,
        finished_at=now() - timedelta(minutes=3) if state in ("finished", "failed", "cancelled") else None,
        heartbeat_at=now() if state == "running" else None,
        sent_at=now(),
        result={"final": final, "steps": 16} if state == "finished" else None,
    )
    for name, row in inputs.items():
        RunInput.objects.create(run=run, name=name, **{"snapshot" if isinstance(row, Snapshot) else "model": row})
    return run


def fail(run: Run) -> None:
    """As the trainer fails: its own sentence, and a log."""
    sentence = "The loss is nan at step 3; first in layers.2; rows 14, 80. The step was not applied; lower lr."
    run.failure = {"code": "not_finite", "sentence": sentence, "step": 3, "attempt": 1, "trace": "Traceback …"}
    run.save(update_fields=["failure"])
    lines = "\n".join(f"line {n} of the trainer's log" for n in range(1, 61)) + "\n"
    RunChunk.objects.create(run=run, attempt=1, stream="log", offset=0, lines=lines)


def pause(run: Run) -> None:
    """As a monitor pauses it: its sentence and its name, and the answers to look at."""
    run.state, run.heartbeat_at = "paused", None
    sentence = "kl_budget: KL is 31.0 nats an answer; the budget is 30. Look at evaluation.json."
    run.failure = {"code": "paused", "sentence": sentence, "monitors": ["kl_budget"], "step": 12, "attempt": 1}
    prompt = make_prompt(run.project, "What is a lock?")
    answer = {"prompt_id": str(prompt.pk), "prompt": prompt.body, "answer": "lock lock lock", "tokens": 9}
    answer |= {"finished": False, "seed": 2**63 + 5, "logprob": -2.5, "reward": 4.2, "kl": 31.0}
    answer["reference"] = {"answer": "It opens.", "tokens": 3, "finished": True, "seed": 6, "logprob": -3.5}
    run.result = {"evaluation": {"what": "policy", "highest_reward": [answer]}}
    run.config |= {"temperature": 1.0, "parent_adapter": "sft"}
    run.save(update_fields=["state", "heartbeat_at", "failure", "result", "config"])


def write_metrics(run: Run, *, steps: int, start: int = 1) -> None:
    """Rollouts of a PPO run as its worker writes them down, with a held-out sample every fourth."""
    metrics, samples = [], []
    for step in range(start, start + steps):
        kl = 6 * (1 - exp(-step / 8)) + 0.3 * sin(3 * step)
        scores = -0.2 + 1.6 * (1 - exp(-step / 6)) + 0.2 * sin(5 * step)
        values = {
            "objective/scores": scores,
            "objective/rlhf_reward": scores - 0.05 * kl,
            "objective/kl": kl,
            "objective/entropy": 3 - 0.06 * step,
            "answer/length": 14 + 2 * sin(step),
            "answer/eos_rate": 0.97,
            "policy/clipfrac_avg": 0.11,
            "val/explained_var": None if step == 3 else 0.4,
        }
        clock = {"at": "2026-01-01T00:00:00Z", "seconds": 2.0, "tokens_per_s": 900}
        metrics.append({"attempt": 1, "step": step, "kind": "rollout", "progress": 0, "values": values, "clock": clock})
        if step in ANSWERS:
            samples.append(_sample(step))
    write_chunk(run, "metrics", metrics, at=start)
    if start == 1:
        samples.insert(0, _sample(0))
    if samples:
        write_chunk(run, "samples", samples, at=start)


def _sample(step: int) -> dict[str, object]:
    said = {"prompt_id": "7", "sample_index": 0, "prompt": PROMPT, "answer": ANSWERS[step], "tokens": 14 + step}
    return {"attempt": 1, "step": step, "kind": "heldout", **said, "finished": True, "reward": step / 8, "kl": step / 3}


def write_chunk(run: Run, stream: str, lines: list, *, at: int) -> None:
    text = "".join(json.dumps(line) + "\n" for line in lines)
    RunChunk.objects.create(run=run, attempt=1, stream=stream, offset=at, lines=text)


def _snapshots(project: Project, ada: User, folder: Path) -> dict[str, Snapshot]:
    turns = [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": ANSWERS[12]}]
    said = [row | {"prompt_id": row["id"], "messages": turns, "by": "person-1"} for row in _split(300)]
    asked = [row | {"messages": turns[:1]} for row in _split(800)]
    answers = [{"id": "1", "text": ANSWERS[12]}, {"id": "2", "text": ANSWERS[0]}]
    ranked = [
        row | {"prompt_id": "7", "messages": turns[:1], "answers": answers, "groups": [[0], [1]]} for row in _split(600)
    ]
    made = {
        "corpus": make_snapshot(project, ada, folder, rows=corpus_rows(1_110)),
        "sft": make_snapshot(project, ada, folder, kind="sft", type="SftRow", name="sft.jsonl", rows=said),
        "prompt": make_snapshot(
            project, ada, folder, kind="prompt", type="PromptRow", name="prompts.jsonl", rows=asked
        ),
        "ranking": make_snapshot(
            project, ada, folder, kind="ranking", type="RankingRow", name="ranking.jsonl", rows=ranked
        ),
    }
    for kind, decided in {"corpus": 214, "sft": 300, "ranking": 600}.items():
        one = made[kind]
        people = {"person-1": decided // 2, "person-2": decided - decided // 2}
        one.card |= {"decisions": decided, "people": people, "sources": {"Python": 900}, "licences": {"PSF-2.0": 900}}
        one.counts |= {"left_out": {"rejected": 41, "waiting": 12}}
        one.frozen_at = now() - timedelta(minutes=38)
        one.save(update_fields=["card", "counts", "frozen_at"])
    return made


def _split(count: int) -> list[dict[str, object]]:
    return [{"id": str(i), "split": "heldout" if i % 10 == 0 else "train"} for i in range(count)]
