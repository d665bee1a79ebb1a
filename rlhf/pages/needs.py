"""What needs a person: at most five cards, by what they hold up. The template says each in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.urls import reverse
from django.utils.timezone import now

from annotate.access import WORKERS
from annotate.models import Exclusion, Judgement, Project, Role, Slot, Task, User
from rlhf.models import Run
from rlhf.pages.counts import Counts

MOST = 5
# kind of snapshot → the stage that reads it, in the order in which a project goes round
ROUND = (("corpus", "pretrain"), ("sft", "sft"), ("prompt", "generate"), ("ranking", "reward"), ("prompt", "ppo"))
BEFORE = {"sft": "pretrain", "generate": "sft", "reward": "generate", "ppo": "reward"}


@dataclass(frozen=True, kw_only=True)
class Card:
    """kind: rank, pair, rate, repair, review_answer, write_answer, clean, failed, waiting, import, freeze or launch.

    url: of the button; posts: it starts something, so it is a form. what: a kind of snapshot, or a stage.
    """

    kind: str
    url: str
    n: int = 0
    posts: bool = False
    what: str = ""
    run: Run | None = None


def cards(project: Project, user: User, roles: set[str], counts: Counts, *, worker_alive: bool) -> list[Card]:
    """One query beyond the counts."""
    found = _judging(project, user, roles)
    if Role.ADMIN in roles:
        found = [*_stuck(counts, worker_alive=worker_alive), *found, *_next_step(project, counts)]
    return found[:MOST]


def _judging(project: Project, user: User, roles: set[str]) -> list[Card]:
    """A card a kind of work that has something for this person, the longest line first. One query."""
    kinds = [kind for kind, wanted in WORKERS.items() if roles & set(wanted)]
    if not kinds:
        return []
    found: dict[str, Card] = {}
    for kind, queue, n in _open_to(project, user).filter(queue__kind__in=kinds).order_by("-n", "queue"):
        found.setdefault(kind, Card(kind=kind, n=n, url=reverse("start", args=[queue]), posts=True))
    return list(found.values())


def _open_to(project: Project, user: User) -> QuerySet[Task, Any]:  # Any: rows of (kind, queue, n)
    """Tasks that this person could get, by queue: with an open slot, or still held."""
    kept = Exclusion.objects.filter(Q(until=None) | Q(until__gt=now()), task=OuterRef("pk"), user=user)
    answered = Judgement.objects.filter(task=OuterRef("pk"), user=user)
    mine = Q(reserved_for=None) | Q(reserved_for=user)
    slots = Slot.objects.filter(mine, task=OuterRef("pk"), status=Slot.Status.OPEN)
    waits = Q(state=Task.State.HELD) | Q(Exists(slots), state=Task.State.ADMITTED)
    tasks = Task.objects.filter(waits, ~Exists(kept), ~Exists(answered), queue__project=project, queue__closed_at=None)
    return tasks.values_list("queue__kind", "queue__uuid").annotate(n=Count("pk"))


def _stuck(counts: Counts, *, worker_alive: bool) -> list[Card]:
    failed = [run for run in counts.runs.values() if run.state == Run.State.FAILED]
    queued = [run for run in counts.runs.values() if run.state == Run.State.QUEUED and not worker_alive]
    return [
        Card(kind=kind, run=run, what=run.stage, url=reverse("run", args=[run.uuid]))
        for kind, runs in (("failed", failed), ("waiting", queued))
        for run in runs
    ]


def _next_step(project: Project, counts: Counts) -> list[Card]:
    """What an admin could do next: bring documents, freeze what people decided, or launch the stage that reads it."""
    if not counts.documents:
        return [Card(kind="import", url=reverse("import-new", args=[project.uuid]))]
    there = {"corpus": counts.kept, "sft": counts.answers, "prompt": counts.prompts, "ranking": counts.rankings}
    for snapshot, stage in ROUND:
        run = counts.runs.get(stage)
        before = counts.runs.get(BEFORE.get(stage, ""))
        if run is not None:
            continue
        if stage in BEFORE and (before is None or before.state != Run.State.FINISHED):
            return []
        if snapshot not in counts.frozen:
            url = reverse("snapshot-new", args=[project.uuid, snapshot])
            return [Card(kind="freeze", what=snapshot, n=there[snapshot], url=url)] if there[snapshot] else []
        return [Card(kind="launch", what=stage, url=reverse("launch", args=[project.uuid, stage]))]
    return []
