"""Give a queue its tasks, out of what the project has: answers that models wrote, or answers that people rated low.

Where people write instruction and answer, tasks are made of nothing, as many as somebody asks for.

Which answers of a prompt are asked about is drawn uniformly among those that may be: win rates and agreement are told
on such tasks only (`annotation.md` 17). Each task keeps the chance that it had.
"""

from __future__ import annotations

import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, groupby, islice, repeat
from random import Random
from typing import Any  # bodies are JSON
from uuid import uuid4

from django.db import transaction
from django.db.models import QuerySet

from annotate.actions.build_tasks import TaskItem, build_tasks
from annotate.actions.follow_up import void_tasks
from annotate.critique import LOW
from annotate.errors import AnnotateError
from annotate.models import Queue, Revision, Task, TaskText, Text
from annotate.presentation import LETTERS

Json = dict[str, Any]

MOST = 1_000
CHUNK = 200
POLICY = 1  # of the draw; a change of it is a new number
AT_ONCE = {Queue.Kind.PAIR: 2, Queue.Kind.RATE: 1}
KINDS = (Queue.Kind.RANK, Queue.Kind.PAIR, Queue.Kind.RATE, Queue.Kind.REPAIR)


@dataclass(frozen=True)
class Filled:
    """made: tasks. batch: stands in each one's selection."""

    made: int
    batch: str


@transaction.atomic
def fill_queue(*, queue: Queue, most: int | None = None, prompts: Iterable[int] | None = None) -> Filled:
    """Build at most so many tasks about what was not asked here before; 1,000 where nothing is said.

    rank, pair, rate: one for each prompt, about all, two or one of the different answers that models wrote to it.
    prompts: keys, to look at these only. repair: one for each answer whose rating was low or raised a flag; its task
    follows that rating, so that taking the rating back voids it. A queue that asks for instructions: exactly so many.

    Raises AnnotateError with code
        bad_queue   the queue gets its tasks elsewhere
        bad_count   nobody says how many instructions are wanted, 1 to 1,000
    """
    locked = Queue.objects.select_for_update(no_key=True).get(pk=queue.pk)  # a second press finds the first one's tasks
    if locked.kind not in KINDS and not locked.instruction:
        sentence = f"A {locked.kind} queue gets its tasks by itself; filled are {', '.join(KINDS)}."
        raise AnnotateError("bad_queue", sentence, field="kind")
    if locked.instruction and (most is None or not 1 <= most <= MOST):
        sentence = f"Say how many instructions with their answers are wanted, 1 to {MOST:,}."
        raise AnnotateError("bad_count", sentence, field="most")
    batch = uuid4().hex
    items = islice(_items(locked, prompts), MOST if most is None else most)
    found = [replace(item, selection={**item.selection, "batch": batch}) for item in items]
    return Filled(build_tasks(queue=locked, items=found), batch)


@transaction.atomic
def empty_queue(*, queue: Queue, batch: str) -> int:
    """Ask nobody any more about what a fill built and nobody has answered: the next fill may ask it again. How many."""
    tasks = queue.tasks.filter(selection__batch=batch, judgements=None).exclude(state=Task.State.VOID)
    found = tasks.count()
    void_tasks(tasks)
    return found


def is_low(rating: Json) -> bool:
    """Whether a stored rating asks for a repair: 3 or less overall, or on an axis beside no overall, or a flag."""
    overall = rating["overall"]
    values = [overall] if overall is not None else [one for one in rating["axes"].values() if one is not None]
    return any(value <= LOW for value in values) or any(rating.get("flags", {}).values())


def _items(queue: Queue, prompts: Iterable[int] | None) -> Iterator[TaskItem]:
    if queue.instruction:
        return repeat(TaskItem(texts=[]))
    return _repairs(queue) if queue.kind == Queue.Kind.REPAIR else _drawn(queue, prompts)


def _drawn(queue: Queue, prompts: Iterable[int] | None) -> Iterator[TaskItem]:
    """Three queries for each 200 prompts."""
    seed = secrets.randbelow(2**63)
    answers = Text.objects.filter(project=queue.project_id, kind=Text.Kind.ANSWER, origin=Text.Origin.MODEL)
    answers = answers.filter(parent__isnull=False, edited_from=None).exclude(body="")
    if prompts is not None:
        answers = answers.filter(parent__in=list(prompts))
    for keys in _chunks(answers.order_by("parent").values_list("parent", flat=True).distinct()):
        texts = Text.objects.in_bulk(keys)
        asked = _asked(queue, keys)
        rows = answers.filter(parent__in=keys).order_by("parent", "pk")
        for key, found in groupby(rows, key=lambda text: text.parent_id):
            eligible = _eligible(queue, _different(found), asked[key])
            if eligible:
                chosen = Random(f"{seed}:{key}").choice(eligible)
                assert key is not None  # the queryset asks for it
                parts = [(texts[key], TaskText.Part.PROMPT), *((one, TaskText.Part.ANSWER) for one in chosen)]
                how = {"selection": "random", "propensity": 1 / len(eligible), "seed": seed, "policy": POLICY}
                yield TaskItem(texts=parts, selection=how)


def _eligible(queue: Queue, texts: Sequence[Text], asked: set[frozenset[int]]) -> list[tuple[Text, ...]]:
    """What a task could be about: each choice of answers that no task of the queue is about."""
    if queue.kind == Queue.Kind.RANK:
        return [tuple(texts)] if len(texts) > 1 and not asked else []
    choices = combinations(texts, AT_ONCE[Queue.Kind(queue.kind)])
    return [some for some in choices if frozenset(text.pk for text in some) not in asked]


def _different(texts: Iterable[Text]) -> list[Text]:
    """The first text of each body, in an order that tells nothing about who wrote it."""
    by_body: dict[str, Text] = {}
    for text in texts:
        by_body.setdefault(text.sha256, text)
    return [by_body[name] for name in sorted(by_body)][: len(LETTERS)]


def _asked(queue: Queue, prompts: Sequence[int]) -> dict[int | None, set[frozenset[int]]]:
    """The answers of each task of the queue, by prompt."""
    rows = TaskText.objects.filter(task__queue=queue, part=TaskText.Part.ANSWER, text__parent__in=prompts)
    by_task: dict[tuple[int, int | None], set[int]] = defaultdict(set)
    for task, prompt, text in _unvoided(rows).values_list("task", "text__parent", "text"):
        by_task[task, prompt].add(text)
    found: dict[int | None, set[frozenset[int]]] = defaultdict(set)
    for (_, prompt), texts in by_task.items():
        found[prompt].add(frozenset(texts))
    return found


def _repairs(queue: Queue) -> Iterator[TaskItem]:
    """Two queries for each 200 ratings."""
    ratings = Revision.objects.counted().filter(
        judgement__task__queue__project=queue.project_id, judgement__task__queue__kind=Queue.Kind.RATE
    )
    asked = TaskText.objects.filter(task__queue=queue, part=TaskText.Part.ANSWER)
    seen = set(_unvoided(asked).values_list("text", flat=True))
    for keys in _chunks(ratings.order_by("pk").values_list("pk", flat=True)):
        found = Revision.objects.filter(pk__in=keys).select_related("judgement").order_by("pk")
        low = [one for one in found if is_low(one.answer)]
        rows = TaskText.objects.filter(task__judgements__in=[one.judgement_id for one in low])
        texts: dict[int, list[tuple[Text, str]]] = defaultdict(list)
        for row in rows.select_related("text").order_by("task", "position").distinct():
            texts[row.task_id].append((row.text, row.part))
        for revision in low:
            parts = texts[revision.judgement.task_id]
            answer = next(text for text, part in parts if part == TaskText.Part.ANSWER)
            if answer.pk not in seen:
                seen.add(answer.pk)
                yield TaskItem(texts=parts, selection={"selection": "low_rating"}, follows=revision.judgement)


def _unvoided(rows: QuerySet[TaskText]) -> QuerySet[TaskText]:
    return rows.exclude(task__state=Task.State.VOID)


def _chunks(keys: Any) -> Iterator[list[int]]:  # Any: a queryset of keys
    """All keys at once as numbers, then a few at a time."""
    found = [key for key in keys.iterator(chunk_size=2_000) if key is not None]
    for start in range(0, len(found), CHUNK):
        yield found[start : start + CHUNK]
