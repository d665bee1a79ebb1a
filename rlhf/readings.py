"""A probe as one person may read it: columns by name or by role, what is still to come, and what people said.

Reviewers and admins read models' names. Others read what a model is ("after preference training"), never which one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

from django.utils.translation import gettext as _

from annotate.models import Queue, Revision, Task, TaskText, Text, User
from rlhf import launching, metrics
from rlhf.beliefs import Column, columns, runs_of
from rlhf.models import Model, Probe, Run
from rlhf.probes import READERS

MOST_TASKS = 20
Json = dict[str, Any]  # Any: a JSON object


def shown(probe: Probe, user: User) -> Json:
    """{columns, ranking}, as JSON. Some eight queries."""
    found = columns(probe, runs_of(probe))
    names = labels(found, named=reads_names(probe, user))
    return {
        "columns": [_column(one, label) for one, label in zip(found, names, strict=True)],
        "ranking": ranking_of(probe),
    }


def reads_names(probe: Probe, user: User) -> bool:
    return bool(user.roles(probe.project) & READERS)


def cursor_of(probe: Probe, note: str) -> str:
    """What changes when there is more to read: how the runs stand, and why they wait (`progress_of`). One query."""
    runs = list(probe.runs.order_by("pk").values_list("pk", "state", "attempt", "progress"))
    told = [runs, note]
    return sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]


def progress_of(probe: Probe) -> Json:
    """{state: running or finished, progress: of the run that comes first, note: why it does not move}."""
    run = probe.runs.filter(state__in=Run.ACTIVE).defer("result").order_by("pk").first()
    if run is None:
        return {"state": "finished", "progress": {}, "note": ""}
    return {"state": "running", "progress": run.progress, "note": _note(run)}


def _note(run: Run) -> str:
    waits = metrics.waits_for(run)
    if waits:
        return waits
    if run.state == Run.State.QUEUED:
        before = launching.places_before(run)
        return _("It waits for a worker; runs before it: %(n)s.") % {"n": before} if before else ""
    return "" if run.progress.get("total") else _("The models are being loaded.")


def labels(found: Sequence[Column], *, named: bool) -> list[str]:
    """What each column is called. Two of one role are told apart by a number."""
    said = [_name(one) if named else role_of(one) for one in found]
    twice, met = Counter(said), Counter[str]()
    for place, label in enumerate(said):
        met[label] += 1
        if twice[label] > 1:
            said[place] = f"{label} ({met[label]})"
    return said


def role_of(column: Column) -> str:
    if column.step is not None:
        return _("after step %(n)s") % {"n": f"{column.step:,}"}
    roles = {
        Model.Kind.BASE: _("base"),
        Model.Kind.SFT: _("after instruction tuning"),
        Model.Kind.POLICY: _("after preference training"),
        Model.Kind.REWARD: _("reward model"),
    }
    return roles.get(Model.Kind(column.kind), column.kind)


def _name(column: Column) -> str:
    if column.step is None:
        return column.name
    return _("%(name)s, step %(n)s") % {"name": column.name, "n": f"{column.step:,}"}


def _column(column: Column, label: str) -> Json:
    return {
        "label": label,
        "kind": column.kind,
        "step": column.step,
        "state": column.state,
        "sentence": column.sentence,
        "entropy": column.entropy,
        "other": column.other,
        "next": [list(one) for one in column.next],
        "answers": [
            {"sum": one.sum, "mean": one.mean, "tokens": [list(token) for token in one.tokens]}
            for one in column.answers
        ],
        "rewards": [{"value": one.value, "spread": one.spread} for one in column.rewards],
    }


def lines(probe: Probe, user: User) -> Iterator[list[object]]:
    """Every number as a row: what, model, step, answer, place, token, value. Places and answers count from 1."""
    found = columns(probe)
    for column, label in zip(found, labels(found, named=reads_names(probe, user)), strict=True):
        head = [label, "" if column.step is None else column.step]
        if column.entropy is not None:
            yield ["entropy", *head, "", "", "", column.entropy]
            yield ["other", *head, "", "", "", column.other]
        for place, (text, p) in enumerate(column.next, start=1):
            yield ["next", *head, "", place, text, p]
        for answer, weighed in enumerate(column.answers, start=1):
            for place, token in enumerate(weighed.tokens, start=1):
                yield ["log p", *head, answer, place, token.text, token.logp]
        for answer, reward in enumerate(column.rewards, start=1):
            yield ["reward", *head, answer, "", "", reward.value]
            if reward.spread is not None:
                yield ["spread", *head, answer, "", "", reward.spread]


# What people said


def ranking_of(probe: Probe) -> Json | None:
    """{places: mean place of each answer, people} of a complete ranking of these answers to this question.

    An answer's place is 1 and how many are in better groups; one that was left unplaced comes after all that were
    placed. None where no task asked that, or it is not complete. Some four queries.
    """
    if not probe.as_question or not probe.answers:
        return None
    prompts = Text.objects.prompts().filter(project=probe.project_id, parent=None, sha256=_sha256(probe.prompt))
    asked = TaskText.objects.filter(part=TaskText.Part.PROMPT, text__in=prompts)
    tasks = Task.objects.filter(task_texts__in=asked, queue__kind=Queue.Kind.RANK, state=Task.State.COMPLETE)
    for task in tasks.prefetch_related("task_texts__text").order_by("-pk")[:MOST_TASKS]:
        answers = {row.text.body: row.text_id for row in task.task_texts.all() if row.part == TaskText.Part.ANSWER}
        if set(answers) == set(probe.answers):
            return _places(task, [answers[body] for body in probe.answers])
    return None


def _places(task: Task, texts: Sequence[int]) -> Json | None:
    said = [revision.answer for revision in Revision.objects.counted().filter(judgement__task=task)]
    if not said:
        return None
    places = [[_place(body, text) for body in said] for text in texts]
    return {"places": [sum(one) / len(said) for one in places], "people": len(said)}


def _place(body: Json, text: int) -> int:
    before = 0
    for group in body["groups"]:
        if text in group:
            break
        before += len(group)
    return before + 1


def _sha256(text: str) -> str:
    return sha256(text.encode()).hexdigest()
