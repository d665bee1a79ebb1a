"""The map page: what lies near what in a model, as a list of true neighbours and, with a script, as a picture.

Without the script a form finds a point, and each neighbour is a link to its own.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from annotate.access import project_for
from annotate.models import Consent, Project, Role
from annotate.pages.request import Request
from annotate.pages.toast import say
from rlhf import maps, similar
from rlhf.errors import LaunchError
from rlhf.maps import Label, Map, Neighbour
from rlhf.models import Model, Run
from rlhf.pages.parts import wants_part
from rlhf.pages.pipeline import done_share

MOST_MAPS = 50
MATCHES = 12
STARTS = 24  # of the most frequent, to begin with
ODD_ONE_OF = ("word-1", "word-2", "word-3")
FAILED = (Run.State.FAILED, Run.State.CANCELLED, Run.State.PAUSED)
Json = dict[str, Any]  # Any: a JSON object


@dataclass(frozen=True)
class Choice:
    """One map that the person may look at. base: None where they may not know it."""

    run: Run
    kind: str
    points: int
    base: Model | None


@dataclass(frozen=True)
class Shown:
    """The chosen map, and the point that is picked in it."""

    run: Run
    map: Map
    states: list[State]
    place: int | None
    neighbours: list[Neighbour]

    @property
    def label(self) -> Label | None:
        return None if self.place is None else self.map.labels[self.place]

    @property
    def last(self) -> State:
        return self.states[-1]

    @property
    def curve(self) -> str:
        """The gaps as points of a line in 100 x 32, the lowest of them or 0 at the bottom."""
        gaps = [stage.gap for stage in self.map.stages]
        low, high = min(0.0, *gaps), max(gaps)
        across, up = max(1, len(gaps) - 1), (high - low) or 1
        return " ".join(f"{100 * at / across:.1f},{30 - 28 * (gap - low) / up:.1f}" for at, gap in enumerate(gaps))


class State(NamedTuple):
    """One row of the numbers. kept_…: shares as the page writes them."""

    step: int
    name: str
    points: int
    kept_tsne: str
    kept_pca: str
    kept_random: str
    gap: str


@require_GET
def language_map(request: Request, project: UUID) -> HttpResponse:
    """`?run=` a map, `?q=` what to look for, `?point=` the place of a point."""
    found = project_for(request.user, project)
    roles = request.user.roles(found)
    choices, gone = _choices(found, roles, request.GET)
    shown, similar_to, refusal = None, None, ""
    matches: list[tuple[int, Label]] = []
    if choices:
        try:
            shown, matches = _shown(choices[0].run, request.GET)
            similar_to = _similar(request, shown)
        except LaunchError as error:
            refusal = error.sentence
    waiting, failed = _attempts(found, roles, newest=max((one.run.number for one in choices), default=0))
    context = {
        "choices": sorted(choices, key=lambda one: -one.run.number),
        "shown": shown,
        "refusal": refusal,
        "gone": gone,
        "q": request.GET.get("q", ""),
        "matches": matches,
        "starts": list(enumerate(shown.map.labels[:STARTS])) if shown else [],
        "facts": _facts(shown) if shown else {},
        "similar": similar_to,
        "waiting": waiting,
        "done": done_share(waiting) if waiting else 0.0,
        "percent": round(100 * done_share(waiting)) if waiting else 0,
        "live_url": reverse("api:run-live", args=[waiting.uuid]) if waiting and roles & maps.READERS else "",
        "failed": failed,
        "reader": bool(roles & maps.READERS),
        "launch_url": reverse("launch", args=[found.uuid, "map"]) if Role.ADMIN in roles else "",
    }
    template = "rlhf/_parts/map_waiting.html" if wants_part(request, "waiting") else "rlhf/map.html"
    return render(request, template, context)


@require_POST
def similar_words(request: Request, run: UUID) -> HttpResponse:
    """A vote on which of three words is the odd one; an empty one takes it back."""
    found = maps.map_run_for(request.user, run)
    words, odd = {name: request.POST.get(name, "") for name in ODD_ONE_OF}, request.POST.get("odd", "")
    own = similar.vote(found, list(words.values()), odd=odd, by=request.user)
    undo = reverse("map-similar", args=[run]) if odd else ""
    say(request, _said(odd, own), undo=undo, fields={**words, "odd": ""})
    return redirect(f"{reverse('map', args=[found.project.uuid])}?run={run}#similar")


def _said(odd: str, own: str | None) -> str:
    if not odd:
        return _("Your vote is taken back.")
    if own is None:
        return _("Kept. This map cannot tell which one is odd to its model.")
    if own == odd:
        return _("Kept. To the model it is the odd one too.")
    return _("Kept. To the model “%(own)s” is the odd one.") % {"own": own}


def _similar(request: Request, shown: Shown) -> Json | None:
    """Three words to vote on, and how far people and model agree. Raises LaunchError with code map_missing."""
    words = similar.three(shown.run, seed=secrets.randbits(32))
    so_far = similar.agreement(shown.run)
    if not words:
        return None
    return {
        "words": list(zip(ODD_ONE_OF, words, strict=True)),
        "may": request.user.allows(Consent.Scope.ANNOTATION, shown.run.project),
        "so_far": so_far,
        "agreed": percent(so_far.agreed / so_far.told) if so_far.told else "",
    }


def _choices(project: Project, roles: set[str], data: Mapping[str, str]) -> tuple[list[Choice], bool]:
    """The maps that may be looked at, the one asked for first, else the newest; whether the asked one is gone."""
    runs = list(maps.maps_of(project, roles).prefetch_related("inputs__model__run")[:MOST_MAPS])
    asked = data.get("run", "")
    runs.sort(key=lambda run: str(run.uuid) != asked)
    reader = bool(roles & maps.READERS)
    choices = [
        Choice(run, run.config["kind"], int(run.result["final"]["points"]), _base(run) if reader else None)
        for run in runs
        if run.result
    ]
    return choices, bool(asked) and (not runs or str(runs[0].uuid) != asked)


def _base(run: Run) -> Model | None:
    return next((used.model for used in run.inputs.all() if used.name == "base"), None)


def _shown(run: Run, data: Mapping[str, str]) -> tuple[Shown, list[tuple[int, Label]]]:
    """The map with its point and what a search finds. Raises LaunchError with code map_missing."""
    found = maps.loaded(run)
    wanted = data.get("q", "").strip()
    places = found.found(wanted, most=MATCHES)
    place = _place(data.get("point", ""), len(found.labels))
    if place is None and places and found.labels[places[0]].text.casefold() == wanted.casefold():
        place = places[0]
    near = [] if place is None else maps.neighbours(run, place, most=maps.LISTED)
    shown = Shown(run, found, _states(run, found), place, near)
    return shown, [(one, found.labels[one]) for one in places]


def _place(text: str, points: int) -> int | None:
    place = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else points
    return place if place < points else None


def _states(run: Run, found: Map) -> list[State]:
    base = _base(run)
    steps = ((base.run.result or {}) if base and base.run else {}).get("steps")
    itself = _("the model itself, after step %(n)s") % {"n": f"{steps:,}"} if steps else _("the model itself")
    names = [_("after step %(n)s") % {"n": f"{stage.step:,}"} for stage in found.stages[:-1]]
    return [
        State(
            step=stage.step,
            name=name,
            points=stage.points,
            kept_tsne=percent(stage.kept["tsne"]),
            kept_pca=percent(stage.kept["pca"]),
            kept_random=percent(stage.kept["random"]),
            gap=f"{stage.gap:+.2f}".replace("-", "−"),
        )
        for stage, name in zip(found.stages, [*names, itself], strict=True)
    ]


def percent(share: float) -> str:
    """0.442 as 44 %, 0.007 as 0.7 %: as `percent` in build.js."""
    digits = 0 if share >= 0.1 or share == 0 else 1 if share >= 0.01 else 2
    return f"{100 * share:.{digits}f} %"


def _facts(shown: Shown) -> Json:
    """What the island reads: addresses, and each state's name and figures."""
    stages = zip(shown.map.stages, shown.states, strict=True)
    return {
        "labels": reverse("api:map-labels", args=[shown.run.uuid]),
        "points": reverse("api:map-points", args=[shown.run.uuid]),
        "neighbours": reverse("api:map-neighbours", args=[shown.run.uuid, 0]).removesuffix("0"),
        "run": str(shown.run.uuid),
        "kind": shown.map.kind,
        "states": [
            {"step": stage.step, "name": state.name, "kept": stage.kept, "gap": state.gap} for stage, state in stages
        ],
    }


def _attempts(project: Project, roles: set[str], *, newest: int) -> tuple[Run | None, Run | None]:
    """The run that is under way, and the one that failed last: what came after the newest map."""
    runs = list(maps.attempts_of(project, roles).filter(number__gt=newest)[:MOST_MAPS])
    waiting = next((run for run in runs if run.state in Run.ACTIVE), None)
    failed = next((run for run in runs if run.state in FAILED), None)
    return waiting, failed
