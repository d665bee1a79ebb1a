"""Go to, do, find: what a person may reach in a project, by words of its name; for the palette as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from uuid import UUID

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from annotate.access import WORKERS, project_for
from annotate.explaining import language
from annotate.learning import glossary
from annotate.models import Project, Role
from annotate.pages.request import Request, wants_json
from annotate.qualification import waits_for_quiz
from rlhf.models import Model, Run, Snapshot
from rlhf.navigation import READERS, navigation
from rlhf.templatetags.words import kind_name, stage_name

LEAST_LETTERS = 2
MOST = 6  # found of each kind
LONGEST = 80
LAUNCHED = ("pretrain", "sft", "generate", "reward", "ppo", "dpo")


@dataclass(frozen=True)
class Item:
    """posts: it starts something, so it is a form."""

    label: str
    url: str
    posts: bool = False


@require_GET
def find(request: Request, project: UUID) -> HttpResponse:
    """`?q=` words that a name holds; all that can be gone to or done where there are none."""
    found = project_for(request.user, project)
    words = request.GET.get("q", "")[:LONGEST].casefold().split()
    roles = request.user.roles(found)
    groups = {
        "go": _fitting(_places(request), words),
        "do": _fitting(_actions(request, found, roles), words),
        "find": _found(found, roles, words),
    }
    if wants_json(request):
        return JsonResponse({name: [asdict(one) for one in items] for name, items in groups.items()})
    return render(request, "rlhf/find.html", {"groups": groups, "q": request.GET.get("q", "")[:LONGEST]})


def _fitting(items: Iterator[Item], words: list[str]) -> list[Item]:
    return [one for one in items if all(word in one.label.casefold() for word in words)]


def _places(request: Request) -> Iterator[Item]:
    for group in navigation(request)["navigation"]:  # type: ignore[attr-defined]  # a list of groups
        for entry in group["entries"]:
            yield Item(str(entry["label"]), entry["url"])
    yield Item(_("Me"), reverse("me"))


def _actions(request: Request, project: Project, roles: set[str]) -> Iterator[Item]:
    """Three queries."""
    if not waits_for_quiz(project, request.user):
        for queue in project.queues.filter(closed_at=None).order_by("pk"):
            if roles & set(WORKERS[queue.kind]):
                yield Item(_("Start: %(name)s") % {"name": queue.name}, reverse("start", args=[queue.uuid]), posts=True)
    if Role.ADMIN not in roles:
        return
    yield Item(_("Import a file"), reverse("import-new", args=[project.uuid]))
    for kind in Snapshot.Kind.values:
        label = _("Freeze: %(kind)s") % {"kind": kind_name(kind)}
        yield Item(label, reverse("snapshot-new", args=[project.uuid, kind]))
    for stage in LAUNCHED:
        label = _("Set up a run: %(stage)s") % {"stage": stage_name(stage)}
        yield Item(label, reverse("launch", args=[project.uuid, stage]))


def _found(project: Project, roles: set[str], words: list[str]) -> list[Item]:
    """Terms of the glossary; for readers also runs, models and snapshots. At most three queries."""
    if sum(map(len, words)) < LEAST_LETTERS:
        return []
    address = reverse("glossary")
    terms = (Item(one.term, f"{address}#{one.slug}") for one in glossary.terms(language()).values())
    found = _fitting(terms, words)[:MOST]
    if roles & READERS:
        found += _fitting(_runs(project), words)[:MOST]
        found += _fitting(_models(project, words), words)[:MOST]
        found += _fitting(_snapshots(project), words)[:MOST]
    return found


def _runs(project: Project) -> Iterator[Item]:
    for run in Run.objects.filter(project=project).only("stage", "number", "uuid").order_by("-number")[:200]:
        label = _("%(stage)s run %(n)d") % {"stage": stage_name(run.stage), "n": run.number}
        yield Item(label, reverse("run", args=[run.uuid]))


def _models(project: Project, words: list[str]) -> Iterator[Item]:
    named = Model.objects.filter(project=project, name__icontains=words[0]).order_by("-pk")
    for model in named.only("name", "uuid")[:200]:
        yield Item(model.name, reverse("model", args=[model.uuid]))


def _snapshots(project: Project) -> Iterator[Item]:
    for one in Snapshot.objects.filter(project=project).only("kind", "number", "uuid").order_by("-number")[:200]:
        yield Item(str(one), reverse("snapshot", args=[one.uuid]))
