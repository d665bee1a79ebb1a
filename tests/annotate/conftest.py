"""Texts, tasks and answers to them, for the tests of annotate."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pytest

from annotate import queue as claims
from annotate.actions.add_queue import add_queue
from annotate.actions.build_tasks import TaskItem, build_tasks
from annotate.actions.submit import Reply, Times, submit
from annotate.actions.undo import undo
from annotate.models import (
    Flag,
    Group,
    Judgement,
    Membership,
    Project,
    Queue,
    Revision,
    Role,
    Slot,
    Source,
    Task,
    TaskText,
    Text,
    User,
)

KEYS = itertools.count(1)
BY_KEYBOARD = Times(active_ms=4_000, hidden_ms=0, by="keyboard")


def make_text(
    project: Project,
    body: str,
    *,
    kind: str = "answer",
    author: User | None = None,
    parent: Text | None = None,
    split: str = "train",
    **more: Any,
) -> Text:
    digest = sha256(body.encode()).hexdigest()
    group = parent.group if parent else Group.objects.create(project=project, first_sha256=digest, split=split)
    values = {"origin": Text.Origin.HUMAN if author else Text.Origin.MODEL, "group": group} | more
    return Text.objects.create(
        project=project, kind=kind, body=body, sha256=digest, author=author, parent=parent, **values
    )


def make_prompt(project: Project, body: str = "What does min do?", **more: Any) -> Text:
    return make_text(project, body, kind="prompt", origin="import", **more)


def make_document(project: Project, body: str, *, licence: str = "PSF-2.0", **more: Any) -> Text:
    return make_text(project, body, kind="document", origin="import", licence=licence, **more)


def mark_harmful(text: Text, *, category: str, detector: str = "unsafe") -> Text:
    """With a live flag of the detector of harm."""
    flag = {"version": 1, "start": 0, "end": 4, "score": 0.9, "reason": "found"}
    Flag.objects.create(text=text, detector=detector, category=category, **flag)
    return text


def rank_item(project: Project, answers: Sequence[str], *, prompt: str = "What does min do?") -> TaskItem:
    asked = make_prompt(project, prompt)
    texts = [(asked, TaskText.Part.PROMPT.value)]
    texts += [(make_text(project, body, parent=asked), TaskText.Part.ANSWER.value) for body in answers]
    return TaskItem(texts=texts)


def build(queue: Queue, *items: TaskItem) -> Task:
    """Builds the tasks; the last one."""
    build_tasks(queue=queue, items=items)
    return queue.tasks.latest("pk")


def ask_to_clean(queue: Queue, document: Text) -> Task:
    return build(queue, TaskItem(texts=[(document, TaskText.Part.DOCUMENT)]))


def ask_to_write(queue: Queue, prompt: Text) -> Task:
    return build(queue, TaskItem(texts=[(prompt, TaskText.Part.PROMPT)]))


def leased(queue: Queue, user: User) -> Any:  # a Slot, whose nullable columns a lease fills
    slot = claims.claim(queue, user).slot
    assert slot is not None
    return slot


def send(slot: Slot, by: User, body: object, *, key: str = "", token: str | None = None) -> Reply:
    held = slot.token if token is None else token
    assert held is not None
    return submit(slot=slot, by=by, token=held, key=key or f"key-{next(KEYS)}", body=body, times=BY_KEYBOARD)


def taken_back(judgement: Judgement, user: User) -> Any:  # a Slot, which only a surplus answer lacks
    return undo(judgement=judgement, by=user)


def answer(queue: Queue, user: User, body: object) -> Any:  # a Revision, whose body an answer fills
    """Claim and submit; the revision."""
    reply = send(leased(queue, user), user, body)
    return Revision.objects.get(judgement__uuid=reply.judgement, kind="submit")


@pytest.fixture
def ranking(project: Project) -> Queue:
    queue = project.queues.get(kind=Queue.Kind.RANK)
    queue.axes = ["helpful", "truthful", "harmless"]
    queue.save(update_fields=["axes"])
    return queue


@pytest.fixture
def comparing(project: Project) -> Queue:
    return add_queue(project=project, kind="pair", name="Compare two answers")


@pytest.fixture
def rating(project: Project) -> Queue:
    """It asks everything."""
    return add_queue(project=project, kind="rate", name="Rate answers")


@pytest.fixture
def repairing(project: Project) -> Queue:
    return add_queue(project=project, kind="repair", name="Repair answers")


@pytest.fixture
def cleaning(project: Project) -> Queue:
    return project.queues.get(kind=Queue.Kind.CLEAN)


@pytest.fixture
def writing(project: Project) -> Queue:
    return project.queues.get(kind=Queue.Kind.WRITE_ANSWER)


@pytest.fixture
def reviewing(project: Project) -> Queue:
    return project.queues.get(kind=Queue.Kind.REVIEW_ANSWER)


@pytest.fixture
def source(project: Project, ada: User) -> Source:
    return Source.objects.create(project=project, name="docs", kind="upload", licence="PSF-2.0", added_by=ada)


@pytest.fixture
def task(ranking: Queue) -> Task:
    """One comparison of four answers."""
    return build(ranking, rank_item(ranking.project, ["The least.", "The most.", "A number.", "Nothing."]))


@pytest.fixture
def rita(project: Project) -> User:
    """Another reviewer than rex."""
    rita = User.objects.create_user("rita")
    Membership.objects.create(project=project, user=rita, role=Role.REVIEWER)
    return rita


@pytest.fixture
def returned(project: Project, writing: Queue, reviewing: Queue, ana: User, rex: User) -> Any:  # a Slot that is held
    """ana's answer, which rex sent back: where she is to write it again."""
    ask_to_write(writing, make_prompt(project))
    answer(writing, ana, {"text": "It returns the least value."})
    answer(reviewing, rex, {"decision": "return", "reasons": ["incomplete"], "comment": "Of what?"})
    return leased(writing, ana)
