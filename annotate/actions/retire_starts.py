"""Retire what the game starts from, once a text that it has read was withdrawn: no network can be untrained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import transaction
from django.utils.timezone import now

from annotate.exports.documents import read_of
from annotate.models import GameTraining, Judgement, Project, Queue, Text, User

STOPPED = "A document was withdrawn while the network was being trained; another is trained without it."


@contextmanager
def retiring_starts(judgement: Judgement, *, by: User) -> Iterator[None]:
    """Around what takes an answer back: where training then reads a document no more, starts are retired.

    judgement comes with its task, queue and project. Two queries where no start can have read anything of it.
    """
    project = judgement.task.queue.project
    if judgement.task.queue.kind != Queue.Kind.CLEAN or not _may_have_read(project, since=judgement.created_at):
        yield
        return
    documents = list(Text.objects.documents().filter(tasks=judgement.task_id))
    before = read_of(project, documents)
    yield
    if before - read_of(project, documents):
        retire_starts(project=project, since=judgement.created_at, by=by)


@transaction.atomic
def retire_starts(*, project: Project, since: datetime, by: User) -> int:
    """Offer no start any more that was made since then, and wish for one without what is gone; how many were retired.

    A training at work may have read it, so it ends. The next sweep asks a worker for the new one: by wishes for it.
    """
    at_work = project.game_trainings.filter(state=GameTraining.State.RUNNING)
    stopped = at_work.update(state=GameTraining.State.FAILED, sentence=STOPPED, finished_at=now())
    retired = project.game_starts.standing().filter(published_at__gte=since).update(retired_at=now())
    if stopped or retired:
        GameTraining.objects.create(project=project, by=by, sent_at=None)
    return retired


def _may_have_read(project: Project, *, since: datetime) -> bool:
    """What was made before an answer cannot have read what the answer let in."""
    made = project.game_starts.standing().filter(published_at__gte=since)
    return made.exists() or project.game_trainings.filter(state=GameTraining.State.RUNNING).exists()
