"""What models wrote: take a run's answers in as texts, and make blind comparisons of them.

A generate run's all at once when it ends; of a policy run those that it lists when it pauses, where somebody asks.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any
from uuid import uuid4

from django.db import transaction

from annotate.actions.build_tasks import TaskItem, build_tasks
from annotate.actions.fill_queue import fill_queue
from annotate.models import Queue, Task, TaskText, Text
from rlhf import storage
from rlhf.errors import LaunchError
from rlhf.models import Generation, Model, Run
from trainer.contract.rows import GenerationLine

MOST_ANSWERS = 9  # what a person can hold beside each other
BATCH = 500
NOTED = ("highest_reward", "widest_spread")  # the lists of a policy run's evaluation
Json = dict[str, Any]  # Any: a JSON object


@dataclass(frozen=True)
class Asked:
    """made: tasks that the queue got. batch: stands in each one's selection, so that they can be taken back."""

    queue: Queue
    made: int
    batch: str


def collect(run: Run) -> int:
    """The answers of a finished generate run as texts, each with its generation; then their comparisons.

    How many answers were taken in; 0 where they had been before.
    """
    if Generation.objects.filter(run=run).exists():
        return 0
    run.refresh_from_db(fields=["result"])
    lines = _lines(run)
    prompts = Text.objects.in_bulk(sorted({int(line["prompt_id"]) for line in lines}))
    models = {used.name: used.model for used in run.inputs.select_related("model") if used.model}
    for start in range(0, len(lines), BATCH):
        _take_in(run, lines[start : start + BATCH], prompts, models)
    compare(run)
    return len(lines)


def compare(run: Run) -> int:
    """A task for each prompt in each open queue that asks about models' answers: to rank, compare or rate. How many.

    The first queue of each kind is asked; ranking takes at least two different answers.
    """
    return _to_rank(run) + sum(_to_fill(run, kind) for kind in (Queue.Kind.PAIR, Queue.Kind.RATE))


def can_ask(run: Run) -> bool:
    """Whether the run lists answers to look at with the reference's beside them, as one does that a monitor paused."""
    return any("reference" in one for one in _noted(run))


def queue_to_ask(run: Run) -> Queue | None:
    """The project's first open queue to rank answers, else the first to compare two."""
    return _open(run, Queue.Kind.RANK) or _open(run, Queue.Kind.PAIR)


@transaction.atomic
def ask_about_noted(run: Run) -> Asked:
    """A task about each prompt whose answers the run lists: these, beside what the reference wrote to it.

    They become texts, each with its generation, once; a prompt about whose listed answers the queue has asked is left
    out. Raises LaunchError 409 with code no_queue, or nothing_listed where the run lists no answers to look at.
    """
    if not can_ask(run):
        raise LaunchError("nothing_listed", "This run lists no answers to look at beside the reference's.", status=409)
    queue = queue_to_ask(run)
    if queue is None:
        sentence = "No queue to rank or to compare answers is open; open one under Queues."
        raise LaunchError("no_queue", sentence, status=409)
    locked = Queue.objects.select_for_update(no_key=True).get(pk=queue.pk)  # a second press finds the first one's tasks
    by_prompt = _written(run, most=2 if locked.kind == Queue.Kind.PAIR else MOST_ANSWERS)
    rows = TaskText.objects.filter(task__queue=locked, text__in=[row.text_id for rows in by_prompt for row in rows])
    asked = set(rows.exclude(task__state=Task.State.VOID).values_list("text", flat=True))
    batch = uuid4().hex
    items = [
        _item(run, rows[0].prompt, _different(row.text for row in rows), selection="noted", batch=batch)
        for rows in by_prompt
        if not any(row.model_id is None and row.text_id in asked for row in rows)
    ]
    return Asked(locked, build_tasks(queue=locked, items=items), batch)


def _noted(run: Run) -> list[Json]:
    found: Json = (run.result or {}).get("evaluation") or {}
    return [one for name in NOTED for one in found.get(name, ())]


def _written(run: Run, *, most: int) -> list[list[Generation]]:
    """By prompt the first listed answer, the reference's and the others, as generations; none where no two differ."""
    listed = [one for one in _noted(run) if "reference" in one]
    prompts = Text.objects.select_related("group").in_bulk({int(one["prompt_id"]) for one in listed})
    models = {used.name: used.model for used in run.inputs.select_related("model")}
    reference = models[run.config.get("parent_adapter") or "base"]
    found: dict[int, dict[str, Generation]] = {key: {} for key in prompts}
    for one in (one for one in listed if int(one["prompt_id"]) in prompts):
        prompt = prompts[int(one["prompt_id"])]
        own = found[prompt.pk]
        for line, model in ((one, None), (one["reference"], reference)):
            row = _noted_row(run, prompt, line, model=model, index=len(own))
            if row.text.body:
                own.setdefault(row.text.sha256, row)
    chosen = [list(own.values())[:most] for own in found.values() if len(own) > 1]
    return _kept(run, chosen)


def _kept(run: Run, chosen: list[list[Generation]]) -> list[list[Generation]]:
    """The same rows as they stand in the database; those that do not yet are written."""
    rows = Generation.objects.filter(run=run).select_related("text", "prompt")
    there = {(row.prompt_id, row.text.sha256): row for row in rows}
    new = [row for rows in chosen for row in rows if (row.prompt_id, row.text.sha256) not in there]
    Text.objects.bulk_create([row.text for row in new])
    there |= {(row.prompt_id, row.text.sha256): row for row in Generation.objects.bulk_create(new)}
    return [[there[row.prompt_id, row.text.sha256] for row in rows] for rows in chosen]


def _noted_row(run: Run, prompt: Text, line: Json, *, model: Model | None, index: int) -> Generation:
    return Generation(
        run=run,
        model=model,
        text=_text(run, prompt, line["answer"]),
        prompt=prompt,
        sample_index=index,
        temperature=run.config["temperature"],
        seed=line["seed"] % 2**63,
        logprob=line["logprob"],
        finished=line["finished"],
        tokens=line["tokens"],
    )


def _to_fill(run: Run, kind: str) -> int:
    queue = _open(run, kind)
    if queue is None:
        return 0
    prompts = set(Generation.objects.filter(run=run).values_list("prompt", flat=True))
    return fill_queue(queue=queue, most=len(prompts), prompts=prompts).made


def _open(run: Run, kind: str) -> Queue | None:
    return Queue.objects.filter(project=run.project, kind=kind, closed_at=None).order_by("pk").first()


def _to_rank(run: Run) -> int:
    queue = _open(run, Queue.Kind.RANK)
    if queue is None:
        return 0
    by_prompt: dict[int, list[Text]] = defaultdict(list)
    prompts: dict[int, Text] = {}
    rows = Generation.objects.filter(run=run).select_related("text", "prompt").order_by("prompt_id", "sample_index")
    for row in rows:
        by_prompt[row.prompt_id].append(row.text)
        prompts[row.prompt_id] = row.prompt
    found = [(prompts[prompt_id], _different(texts)) for prompt_id, texts in by_prompt.items()]
    items = [_item(run, prompt, texts) for prompt, texts in found if len(texts) > 1]
    return build_tasks(queue=queue, items=items)


def _lines(run: Run) -> list[GenerationLine]:
    files = (run.result or {})["files"]["generations"]
    with storage.fetch(files[0]["sha256"]).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]


def _take_in(run: Run, lines: Sequence[GenerationLine], prompts: dict[int, Text], models: dict[str, Model]) -> None:
    texts = Text.objects.bulk_create(_text(run, prompts[int(line["prompt_id"])], line["text"]) for line in lines)
    Generation.objects.bulk_create(
        Generation(
            run=run,
            model=models[line["adapter"] or "base"],
            text=text,
            prompt=prompts[int(line["prompt_id"])],
            sample_index=line["sample_index"],
            temperature=line["settings"]["temperature"],
            seed=line["seed"] % 2**63,  # a bigint's positive half; the run's file has the whole number
            logprob=line["logprob"],
            finished=line["finished"],
            tokens=len(line["ids"]),
        )
        for line, text in zip(lines, texts, strict=True)
    )


def _text(run: Run, prompt: Text, body: str) -> Text:
    body = body.strip().replace("\0", "")
    return Text(
        project=run.project,
        kind=Text.Kind.ANSWER,
        body=body,
        sha256=sha256(body.encode()).hexdigest(),
        origin=Text.Origin.MODEL,
        parent=prompt,
        group=prompt.group,
    )


def _different(texts: Iterable[Text]) -> list[Text]:
    """The first text of each body that is not empty, in an order that tells nothing about who wrote it."""
    by_body = {text.sha256: text for text in reversed(list(texts)) if text.body}
    return [by_body[name] for name in sorted(by_body)][:MOST_ANSWERS]


def _item(run: Run, prompt: Text, texts: Sequence[Text], **selection: str) -> TaskItem:
    parts = [(prompt, TaskText.Part.PROMPT), *((text, TaskText.Part.ANSWER) for text in texts)]
    return TaskItem(texts=parts, selection={"run": str(run.uuid), **selection})
