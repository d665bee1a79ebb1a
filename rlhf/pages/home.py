"""Home: what needs a person, the pipeline, active runs, the last events."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from annotate.access import project_for
from annotate.models import Membership, Project, Role
from annotate.pages.request import Request
from rlhf.models import Run
from rlhf.pages import counts, events, needs, pipeline
from rlhf.pages.parts import wants_part
from rlhf.pages.workers import worker


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
    reads = bool(roles & {Role.REVIEWER, Role.ADMIN})
    found = counts.count(project)
    trainer = worker()
    active = Run.objects.filter(project=project, state__in=Run.ACTIVE).order_by("-number")
    context = {
        "cards": needs.cards(project, request.user, roles, found, worker_alive=trainer.alive),
        "nodes": pipeline.nodes(project, found, roles),
        "active": [(run, round(100 * pipeline.done_share(run), 1)) for run in active] if reads else [],
        "reads": reads,
        "worker": trainer,
        "events": events.last(project, reads_runs=reads),
        "live_url": reverse("api:project-live", args=[project.uuid]),
    }
    template = "rlhf/_parts/home_live.html" if wants_part(request, "state") else "rlhf/home.html"
    return render(request, template, context)
