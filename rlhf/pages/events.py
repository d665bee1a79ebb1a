"""The last things that happened in a project, from its rows: nothing else keeps a history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, Max
from django.urls import reverse
from django.utils.timezone import now

from annotate.models import Judgement, Project, Slot
from rlhf.models import Run
from rlhf.pages.counts import Counts

MOST = 10
DAY = timedelta(days=1)
LATELY = timedelta(days=2)  # a lease is taken hours before its answer at most


@dataclass(frozen=True, kw_only=True)
class Event:
    """kind: imported, frozen, launched, finished, failed, cancelled, paused, or the kind of a queue (answers given).

    what: a name or stage. n: rows, documents or answers. people: how many gave them. url: empty for assessors.
    """

    at: datetime
    kind: str
    what: str = ""
    n: int = 0
    people: int = 0
    url: str = ""
    by: str = ""


def last(project: Project, counts: Counts, *, reads_runs: bool) -> list[Event]:
    """The newest ten. One query beyond the counts."""
    found = [*_imports(counts), *_snapshots(counts), *_runs(counts), *_answers(project)]
    newest = sorted(found, key=lambda event: event.at, reverse=True)[:MOST]
    if reads_runs:
        return newest
    return [Event(at=e.at, kind=e.kind, what=e.what, n=e.n, people=e.people, by=e.by) for e in newest]


def _imports(counts: Counts) -> list[Event]:
    return [
        Event(at=one.finished_at, kind="imported", what=one.label, n=one.new, url=reverse("import", args=[one.uuid]))
        for one in counts.imports
        if one.finished_at
    ]


def _snapshots(counts: Counts) -> list[Event]:
    return [
        Event(
            at=one.frozen_at,
            kind="frozen",
            what=str(one),
            n=one.counts.get("train", 0) + one.counts.get("heldout", 0),
            url=reverse("snapshot", args=[one.uuid]),
        )
        for one in counts.snapshots
        if one.frozen_at
    ]


def _runs(counts: Counts) -> list[Event]:
    found = []
    for run in counts.lately:
        url, what = reverse("run", args=[run.uuid]), run.stage
        found.append(
            Event(at=run.created_at, kind="launched", what=what, n=run.number, url=url, by=str(run.created_by))
        )
        if run.finished_at and run.state not in Run.ACTIVE:
            found.append(Event(at=run.finished_at, kind=run.state, what=what, n=run.number, url=url))
    return found


def _answers(project: Project) -> list[Event]:
    """What people answered in the last day, one event a kind of work: by the newest of each who took a task lately."""
    at = now()
    active = Slot.objects.filter(queue__project=project, leased_at__gte=at - LATELY).order_by().values("user")
    today = Judgement.objects.filter(user__in=active, created_at__gte=at - DAY, task__queue__project=project)
    rows = today.values_list("task__queue__kind").annotate(
        at=Max("created_at"), n=Count("pk"), people=Count("user", distinct=True)
    )
    return [Event(at=newest, kind=kind, n=n, people=people) for kind, newest, n, people in rows]
