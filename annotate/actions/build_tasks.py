"""Ask people: tasks about texts, with those who may not judge them kept out from the start."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any  # selection is JSON

from django.db import transaction

from annotate import queue as claims
from annotate.actions.hide import keep_hidden
from annotate.errors import AnnotateError
from annotate.models import Exclusion, Judgement, Queue, Task, TaskText, Text, User
from annotate.presentation import LETTERS

RETURNED_FIRST = 1
ANSWERS = {
    Queue.Kind.CLEAN: (0, 0),
    Queue.Kind.WRITE_ANSWER: (0, 0),
    Queue.Kind.REVIEW_ANSWER: (1, 1),
    Queue.Kind.PAIR: (2, 2),
    Queue.Kind.RATE: (1, 1),
    Queue.Kind.REPAIR: (1, 1),
    Queue.Kind.RANK: (2, len(LETTERS)),
}


@dataclass(frozen=True)
class TaskItem:
    """One task to build. texts: with their parts; excluded: {user id: reason} beside those whom the texts exclude.

    texts are none where people write prompt and answer. follows: the answer that asks for the task.
    """

    texts: Sequence[tuple[Text, str]]
    selection: Mapping[str, Any] = field(default_factory=dict)
    excluded: Mapping[int, str] = field(default_factory=dict)
    reserved_for: User | None = None
    follows: Judgement | None = None


@transaction.atomic
def build_tasks(*, queue: Queue, items: Sequence[TaskItem]) -> int:
    """Build one task an item, held until the queue admits it; how many.

    A task reserved for one person is admitted at once, before others. Authors and editors of what is judged, and who
    answered an earlier stage about it, are excluded. A few statements, whatever the number of items.

    Raises AnnotateError with code wrong_texts where the texts do not make a task of the queue's kind.
    """
    for item in items:
        _check(queue, item)
    tasks = [Task(queue=queue, selection=dict(item.selection), follows=item.follows) for item in items]
    Task.objects.bulk_create(tasks, batch_size=500)
    rows = [
        TaskText(task=task, text=text, part=part, position=position)
        for task, item in zip(tasks, items, strict=True)
        for position, (text, part) in enumerate(item.texts)
    ]
    TaskText.objects.bulk_create(rows, batch_size=500)
    _exclude(queue, tasks, items)
    keep_hidden(queue.project_id, {text.pk for item in items for text, _ in item.texts})
    for task, item in zip(tasks, items, strict=True):
        if item.reserved_for:
            _admit_for(queue, task, item.reserved_for)
    return len(tasks)


def involved(texts: Iterable[Text], *, queue: Queue) -> dict[int, dict[int, str]]:
    """{text id: {user id: reason}}: who wrote or edited each text or what it replaces, or judged it elsewhere.

    Two queries, and one for each round of edits that the texts went through.
    """
    found: dict[int, dict[int, str]] = defaultdict(dict)
    level = list(texts)
    roots = {text.pk: {text.pk} for text in level}  # of a text and of all that it replaces: the texts asked about
    while level:
        for text in level:
            reason = Exclusion.Reason.EDITOR if text.edited_from_id else Exclusion.Reason.AUTHOR
            if text.author_id:
                for root in roots[text.pk]:
                    found[root].setdefault(text.author_id, reason)
            if text.edited_from_id:
                roots.setdefault(text.edited_from_id, set()).update(roots[text.pk])
        replaced = {text.edited_from_id for text in level if text.edited_from_id}
        level = list(Text.objects.filter(pk__in=replaced)) if replaced else []
    for text_id, user_id in _judged(list(roots), queue):
        for root in roots[text_id]:
            found[root].setdefault(user_id, Exclusion.Reason.UPSTREAM)
    return found


def _judged(text_ids: list[int], queue: Queue) -> list[tuple[int, int]]:
    """(text, person) for each answer that another kind of task about the text has had from a person."""
    found: list[tuple[int, int]] = []
    for start in range(0, len(text_ids), 500):
        earlier = Judgement.objects.filter(
            task__task_texts__text__in=text_ids[start : start + 500],
            task__task_texts__part__in=[TaskText.Part.ANSWER, TaskText.Part.DOCUMENT],
            user__isnull=False,
        ).exclude(task__queue__kind=queue.kind)
        found += earlier.values_list("task__task_texts__text", "user")
    wanted = set(text_ids)
    return [(text_id, user_id) for text_id, user_id in found if text_id in wanted]


def _exclude(queue: Queue, tasks: list[Task], items: Sequence[TaskItem]) -> None:
    judged = {} if queue.kind == Queue.Kind.WRITE_ANSWER else _involved_in(items, queue)
    rows = []
    for task, item in zip(tasks, items, strict=True):
        reasons = dict(item.excluded)
        for text, _ in item.texts:
            reasons = judged.get(text.pk, {}) | reasons
        rows += [Exclusion(task=task, user_id=user_id, reason=reason) for user_id, reason in reasons.items()]
    Exclusion.objects.bulk_create(rows, batch_size=500)


def _involved_in(items: Sequence[TaskItem], queue: Queue) -> dict[int, dict[int, str]]:
    """Only texts that a person wrote or edited, or that were judged before, have anybody to exclude."""
    texts = {text.pk: text for item in items for text, _ in item.texts}
    return involved(texts.values(), queue=queue)


def _admit_for(queue: Queue, task: Task, user: User) -> None:
    locked = Queue.objects.select_for_update(no_key=True).get(pk=queue.pk)
    claims.make_slots(locked, [task.pk], reserved_for=user, priority=RETURNED_FIRST)


def _check(queue: Queue, item: TaskItem) -> None:
    parts = [part for _, part in item.texts]
    answers = parts.count(TaskText.Part.ANSWER)
    least, most = ANSWERS[Queue.Kind(queue.kind)]
    clean = queue.kind == Queue.Kind.CLEAN
    whole = parts.count(TaskText.Part.DOCUMENT) == clean and parts.count(TaskText.Part.PROMPT) == (not clean)
    pair = queue.kind == Queue.Kind.WRITE_ANSWER and not parts  # its prompt is to be written too
    if not pair and not (whole and least <= answers <= most):
        sentence = (
            f"A {queue.kind} task takes {'one document' if clean else f'one prompt and {least} to {most} answers'}."
        )
        raise AnnotateError("wrong_texts", sentence, given=parts)
    if any(text.project_id != queue.project_id for text, _ in item.texts):
        raise AnnotateError("wrong_texts", "A task takes texts of its own project only.")
