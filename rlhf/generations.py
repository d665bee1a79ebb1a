"""What models wrote: take a run's answers in as texts, and make blind comparisons of them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import sha256

from annotate.actions.build_tasks import TaskItem, build_tasks
from annotate.actions.fill_queue import fill_queue
from annotate.models import Queue, TaskText, Text
from rlhf import storage
from rlhf.models import Generation, Model, Run
from trainer.contract.rows import GenerationLine

MOST_ANSWERS = 9  # what a person can hold beside each other
BATCH = 500


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


def _to_fill(run: Run, kind: str) -> int:
    queue = _open(run, kind)
    if queue is None:
        return 0
    prompts = set(Generation.objects.filter(run=run).values_list("prompt", flat=True))
    return fill_queue(queue=queue, most=len(prompts), prompts=prompts)


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


def _item(run: Run, prompt: Text, texts: Sequence[Text]) -> TaskItem:
    parts = [(prompt, TaskText.Part.PROMPT), *((text, TaskText.Part.ANSWER) for text in texts)]
    return TaskItem(texts=parts, selection={"run": str(run.uuid)})
