"""Home: what needs a person, the pipeline, active runs, the last events."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from annotate.access import project_for
from annotate.models import Membership, Project, Role, User
from annotate.pages.request import Request
from annotate.progress import Record, record
from rlhf.pages import counts, events, pipeline
from rlhf.pages.needs import needs
from rlhf.pages.parts import wants_part
from rlhf.pages.workers import worker

PARTS = {"state": "rlhf/_parts/home_live.html", "top": "rlhf/_parts/home_top.html"}


@dataclass(frozen=True, kw_only=True)
class Bar:
    """In percent of the picture."""

    x: float
    y: float
    width: float
    height: float


@require_GET
def home(request: Request) -> HttpResponse:
    """The project that `?project=` names, else the person's first; a sentence where they are in none."""
    wanted = request.GET.get("project", "")
    memberships = Membership.objects.filter(user=request.user).select_related("project").order_by("project", "pk")
    projects = [one.project for one in memberships]
    project = next((one for one in projects if str(one.uuid) == wanted), projects[0] if projects else None)
    if project is None:
        return render(request, "rlhf/no_project.html")
    return _page(request, project)


@require_GET
def project_home(request: Request, project: UUID) -> HttpResponse:
    return _page(request, project_for(request.user, project))


def _page(request: Request, project: Project) -> HttpResponse:
    roles = request.user.roles(project)
    part = next((name for name in PARTS if wants_part(request, name)), "")
    found = counts.count(project)
    trainer = worker()
    context: dict[str, object] = {"live_url": reverse("api:project-live", args=[project.uuid])}
    if part != "state":
        context |= _top(project, request.user, roles, found, worker_alive=trainer.alive)
    if part != "top":
        context |= _state(project, roles, found) | {"worker": trainer}
    return render(request, PARTS.get(part, "rlhf/home.html"), context)


def _top(
    project: Project, user: User, roles: set[str], found: counts.Counts, *, worker_alive: bool
) -> dict[str, object]:
    """What needs the person, and their record; who judges nothing sees what all gave."""
    asked = needs(project, user, roles, found, worker_alive=worker_alive)
    judges = bool(roles & {Role.ASSESSOR, Role.REVIEWER})
    given = record(project, only=user if judges else None)
    return {"cards": asked.cards, "left": asked.left, "judges": judges, "record": given, "bars": _bars(given)}


def _state(project: Project, roles: set[str], found: counts.Counts) -> dict[str, object]:
    """The pipeline, active runs and the last events."""
    reads = bool(roles & {Role.REVIEWER, Role.ADMIN})
    return {
        "nodes": pipeline.nodes(project, found, roles),
        "active": [(run, round(100 * pipeline.done_share(run), 1)) for run in found.active] if reads else [],
        "reads": reads,
        "events": events.last(project, found, reads_runs=reads),
    }


def _bars(given: Record) -> list[Bar]:
    """A bar a day, the greatest as high as the picture; a day with an answer shows at least a line."""
    step = 100 / len(given.days)
    heights = [max(4.0, 100 * day.answers / given.most) if day.answers else 0.0 for day in given.days]
    return [
        Bar(
            x=round(place * step + 0.2 * step, 2),
            y=round(100 - high, 2),
            width=round(0.6 * step, 2),
            height=round(high, 2),
        )
        for place, high in enumerate(heights)
    ]
