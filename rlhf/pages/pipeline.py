"""The pipeline picture: what each stage holds, what it waits for, and where it leads. The layout is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from django.urls import reverse

from annotate.models import Project, Role
from rlhf.models import Run
from rlhf.pages.charts import KeyMetric, key_metric
from rlhf.pages.counts import Counts

State = Literal["empty", "ready", "people", "running", "queued", "failed", "cancelled", "paused", "lost"]
READERS = {Role.REVIEWER, Role.ADMIN}

ORDER = ("collect", "clean", "pretrain", "instruct", "rank", "reward", "ppo")
GAP = 2.2  # percent of the picture's width, between two nodes
WIDTH = round((100 - GAP * (len(ORDER) - 1)) / len(ORDER), 2)
BAR = 80  # percent of a node's width


@dataclass(frozen=True, kw_only=True)
class Node:
    """One stage. n: what it holds, or None where nothing is counted; waiting: tasks for people; done: 0 … 1.

    run and metric: of its newest run, for those who may see runs. url: empty where it leads nowhere for this person.
    """

    key: str
    state: State
    n: int | None = None
    waiting: int = 0
    done: float = 0.0
    url: str = ""
    run: Run | None = None
    metric: KeyMetric | None = None

    @property
    def x(self) -> float:
        return round(ORDER.index(self.key) * (WIDTH + GAP), 2)

    @property
    def end(self) -> float:
        return round(self.x + WIDTH, 2)

    @property
    def middle(self) -> float:
        return round(self.x + WIDTH / 2, 2)

    @property
    def bar(self) -> float:
        return round(BAR * self.done, 1)

    @property
    def is_last(self) -> bool:
        return self.key == ORDER[-1]


def nodes(project: Project, counts: Counts, roles: set[str]) -> list[Node]:
    """The seven stages in order. No query. An assessor sees counts and states, no run and no number of a model's."""
    collect: State = "running" if counts.importing else "ready" if counts.documents else "empty"
    data = reverse("data", args=[project.uuid]) if roles & READERS else ""
    waiting = counts.waiting
    return [
        Node(key="collect", state=collect, n=counts.documents, done=float(counts.documents > 0), url=data),
        _people(project, roles, "clean", n=counts.kept, waiting=waiting.get("clean", 0)),
        _trained(project, roles, counts, "pretrain"),
        _people(project, roles, "instruct", n=counts.answers, waiting=counts.to_write()),
        _people(project, roles, "rank", n=counts.rankings, waiting=counts.to_rank()),
        _trained(project, roles, counts, "reward"),
        _trained(project, roles, counts, "ppo"),
    ]


def _people(project: Project, roles: set[str], key: str, *, n: int, waiting: int) -> Node:
    state: State = "people" if waiting else "ready" if n else "empty"
    judges = roles & {Role.ASSESSOR, Role.REVIEWER}
    url = reverse("work", args=[project.uuid]) if judges else reverse("data", args=[project.uuid])
    return Node(key=key, state=state, n=n, waiting=waiting, done=n / (n + waiting) if n else 0.0, url=url)


def _trained(project: Project, roles: set[str], counts: Counts, stage: str) -> Node:
    run = counts.runs.get(stage)
    reader = roles & READERS
    if run is None:
        launch = Role.ADMIN in roles and reverse("launch", args=[project.uuid, stage])
        return Node(key=stage, state="empty", url=launch or (reverse("runs", args=[project.uuid]) if reader else ""))
    state: State = "ready" if run.state == Run.State.FINISHED else run.state  # type: ignore[assignment]  # a Run.State
    return Node(
        key=stage,
        state=state,
        done=1.0 if run.state == Run.State.FINISHED else done_share(run),
        url=reverse("run", args=[run.uuid]) if reader else "",
        run=run if reader else None,
        metric=key_metric(stage, (run.result or {}).get("final", {})) if reader else None,
    )


def done_share(run: Run) -> float:
    """How much of a run is done, 0 … 1, as far as its worker could tell."""
    return share_of(run.progress)


def share_of(progress: Mapping[str, Any]) -> float:
    """The same of what `Run.progress` holds. Any: JSON numbers."""
    done, total = progress.get("done"), progress.get("total")
    return min(1.0, done / total) if done and total else 0.0
