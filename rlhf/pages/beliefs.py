"""What a model believes: a text or a question, and what models make of it, in three tabs.

The script slides the temperature and steps the checkpoints while one looks; this is the same without one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import Prefetch, Q
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from annotate.access import project_for
from annotate.models import Project, Role, User
from annotate.pages.request import Request
from rlhf.errors import LaunchError
from rlhf.models import Model, Probe
from rlhf.pages.believed import View, seen, view_of
from rlhf.pages.parts import wants_part
from rlhf.probes import ANSWERING, LONGEST, LONGEST_ANSWER, READERS, ask, earlier_of, newest_lineage
from trainer.contract.configs import MOST_ANSWERS

MOST_BASES, MOST_ADAPTERS, MOST_LISTED = 4, 12, 20
ROLES: dict[str, str | Promise] = {
    "base": gettext_lazy("base"),
    "sft": gettext_lazy("after instruction tuning"),
    "policy": gettext_lazy("after preference training"),
    "reward": gettext_lazy("reward model"),
}
Json = dict[str, Any]  # Any: a JSON object


class Option(NamedTuple):
    """A box to tick. value: a model's id, or its role where names are not shown."""

    value: str
    label: str | Promise
    checked: bool


@dataclass(frozen=True)
class Family:
    """A base with what was trained on it. states: the box for all that its run left on the way, where it left some."""

    name: str | Promise
    options: list[Option]
    states: Option | None


@require_http_methods(["GET", "POST"])
def beliefs(request: Request, project: UUID) -> HttpResponse:
    """GET shows the form, and with `probe` what is known of it; POST asks. `tab`, `temperature` and `step` choose."""
    found = project_for(request.user, project)
    roles = request.user.roles(found)
    reader = bool(roles & READERS)
    refusal: LaunchError | None = None
    if request.method == "POST":
        try:
            probe = _asked(request, found, reader=reader)
        except LaunchError as error:
            refusal = error
        else:
            return redirect(f"{reverse('beliefs', args=[found.uuid])}?probe={probe.uuid}")
    view, hidden = (None, "") if refusal else view_of(request, found, reader=reader)
    context = _form(request, found, view, roles) | {
        "errors": (refusal.fields or {"": refusal.sentence}) if refusal else {},
        "hidden": hidden,
        "listed": _listed(request.user, found, reader=reader),
        **(seen(view) if view else {"view": None}),
    }
    template = "rlhf/_parts/beliefs.html" if view and wants_part(request, "beliefs") else "rlhf/beliefs.html"
    return render(request, template, context, status=refusal.status if refusal else 200)


def _asked(request: Request, project: Project, *, reader: bool) -> Probe:
    data = request.POST
    lineage: dict[str, Model] = dict(newest_lineage(project))
    if reader:
        rows = project.models.filter(uuid__in=_uuids(data, "model", "states")).select_related("run", "base")
        lineage |= {str(one.uuid): one for one in rows}
    states = [lineage[name] for name in data.getlist("states") if name in lineage]
    return ask(
        project=project,
        prompt=data.get("prompt", "").replace("\r\n", "\n"),
        as_question="as_question" in data,
        answers=[one for one in data.getlist("answer") if one.strip()],
        models=[lineage[name] for name in data.getlist("model") if name in lineage],
        checkpoints=[one for model in states for one in earlier_of(model)],
        standing=reader and "standing" in data,
        by=request.user,
        key=data.get("key", "")[:80],
    )


def _uuids(data: QueryDict, *names: str) -> list[UUID]:
    found = []
    for text in [text for name in names for text in data.getlist(name)]:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found


# The form


def _form(request: Request, project: Project, view: View | None, roles: set[str]) -> Json:
    reader = bool(roles & READERS)
    data = request.POST if request.method == "POST" else None
    probe = view.probe if view else None
    answers = data.getlist("answer") if data else probe.answers if probe else []
    families = _families(project, _ticked(data, probe)) if reader else _roles(project, _ticked(data, probe))
    launch_url = reverse("launch", args=[project.uuid, "pretrain"]) if Role.ADMIN in roles else ""
    return {
        "families": families,
        "reader": reader,
        "prompt": data.get("prompt", "") if data else probe.prompt if probe else "",
        "as_question": "as_question" in data if data else bool(probe and probe.as_question),
        "standing": bool(data and "standing" in data),
        "answers": [*answers, *[""] * MOST_ANSWERS][:MOST_ANSWERS],
        "has_answers": any(answers),
        "longest": LONGEST,
        "longest_answer": LONGEST_ANSWER,
        "launch_url": launch_url,
    }


def _ticked(data: QueryDict | None, probe: Probe | None) -> set[str]:
    """What was ticked, or asked: ids of models, roles, and `states of` those whose earlier states are wanted."""
    if data is not None:
        return {*data.getlist("model"), *(f"states of {name}" for name in data.getlist("states"))}
    if probe is None:
        return set()
    asked = {one["key"] if one["step"] is None else f"states of {one['key'].partition('.')[0]}" for one in probe.asked}
    kinds = {one["kind"] for one in probe.asked if one["step"] is None}
    return asked | kinds | ({"states of base"} if any(one["step"] is not None for one in probe.asked) else set())


def _families(project: Project, ticked: set[str]) -> list[Family]:
    """The newest bases, each with its adapters; of the newest all that answer are ticked where nothing else is."""
    kinds = [*ANSWERING, Model.Kind.REWARD]
    trained = Prefetch("adapters", Model.objects.filter(kind__in=kinds).order_by("number"))
    bases = project.models.filter(kind=Model.Kind.BASE).select_related("run").prefetch_related(trained)
    families = []
    for place, base in enumerate(bases.order_by("-number")[:MOST_BASES]):
        adapters = list(base.adapters.all())[-MOST_ADAPTERS:]
        options = [
            Option(str(one.uuid), str(one), _is_ticked(str(one.uuid), ticked, first=not place and _answers(one)))
            for one in (base, *adapters)
        ]
        families.append(Family(str(base), options, _states(base, str(base.uuid), ticked)))
    return families


def _roles(project: Project, ticked: set[str]) -> list[Family]:
    lineage = newest_lineage(project)
    if not lineage:
        return []
    options = [
        Option(kind, label, _is_ticked(kind, ticked, first=_answers(lineage[kind])))
        for kind, label in ROLES.items()
        if kind in lineage
    ]
    return [Family(_("The newest models"), options, _states(lineage["base"], "base", ticked))]


def _answers(model: Model) -> bool:
    return model.kind != Model.Kind.REWARD


def _is_ticked(value: str, ticked: set[str], *, first: bool) -> bool:
    return value in ticked if ticked else first


def _states(base: Model, value: str, ticked: set[str]) -> Option | None:
    count = len(earlier_of(base))
    if not count:
        return None
    return Option(value, _("its earlier states: %(n)s") % {"n": count}, f"states of {value}" in ticked)


def _listed(user: User, project: Project, *, reader: bool) -> list[Probe]:
    """What stands, and what was asked before: of everybody for who may read names, of oneself for others. One query."""
    rows = project.probes.order_by("-standing", "-pk")
    own = Q() if reader else Q(created_by=user) | Q(standing=True)
    return list(rows.filter(own)[:MOST_LISTED])
