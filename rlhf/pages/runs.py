"""Runs: the table, one run with its charts, samples and log, and what an admin may do with it."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from annotate.access import project_for
from annotate.models import Role
from annotate.pages.paging import page_of
from annotate.pages.request import Request
from annotate.pages.toast import say
from rlhf import generations, launching, metrics
from rlhf.access import run_for
from rlhf.errors import LaunchError
from rlhf.models import Run, RunInput
from rlhf.pages import charts, evaluation, samples
from rlhf.pages.parts import wants_part
from rlhf.pages.pipeline import done_share
from rlhf.pages.workers import worker

READERS = (Role.REVIEWER, Role.ADMIN)
SAMPLED = ("sft", "reward", "ppo", "dpo")  # the stages that show on the way what models write
TABS = ("overview", "samples", "log", "config", "lineage")
FAILURE_LINES = 40
PARTS = {
    "status": "rlhf/_parts/run_status.html",
    "samples": "rlhf/_parts/run_samples.html",
    "others": "rlhf/_parts/run_others.html",
    "log": "rlhf/_parts/run_log.html",
}
Json = dict[str, Any]  # Any: a JSON object


@require_GET
def runs(request: Request, project: UUID) -> HttpResponse:
    found = project_for(request.user, project, role=READERS)
    launched = Run.objects.filter(project=found).select_related("created_by")
    page = page_of(request, launched.prefetch_related("inputs__snapshot", "inputs__model"))
    context = {
        "listed": [_listed(run) for run in page.rows],
        "page": page,
        "stages": Run.Stage.values,
        "worker": worker(),
        "admin": request.user.holds(Role.ADMIN, found),
        "live_url": reverse("api:project-live", args=[found.uuid]),
    }
    template = "rlhf/_parts/run_rows.html" if wants_part(request, "rows") else "rlhf/runs.html"
    return render(request, template, context)


@require_GET
def run(request: Request, run: UUID) -> HttpResponse:
    """`?tab=` one of TABS; `?table=` the points of one chart; `?step=` and `?prompt=` a sample."""
    found = run_for(request.user, run, role=READERS)
    tab = request.GET.get("tab", "")
    sampled = found.stage in SAMPLED
    state = metrics.live(found, None)
    state["points"] = evaluation.with_people(found, state["points"])
    context = {
        **_status(request, found, state),
        "tab": tab if tab in TABS else TABS[0],
        "tabs": [one for one in TABS if one != "samples" or sampled],
        "sampled": sampled,
        "live_url": reverse("api:run-live", args=[found.uuid]),
        "live_parts": f"status {tab}" if tab in ("samples", "log") else "status",
        "charts": charts.drawn(found.stage, state["points"]),
        "others": charts.others(found.stage, state["points"]),
        "parts": evaluation.report(found),
        "kept_out": evaluation.kept_out(found),
        "believed": evaluation.believed(found),
        "notable": evaluation.notable(found),
        "asking": _asking(request, found),
        "samples": samples.shown(state["samples"], request.GET),
        "points": {"cursor": state["cursor"], "points": state["points"]},
        "log": state["log"],
        "events": state["events"],
        "config": sorted(found.config.items()),
    }
    context["table"] = _table(context["charts"] + context["others"], request.GET.get("table", ""))
    part = next((template for name, template in PARTS.items() if wants_part(request, name)), "rlhf/run.html")
    return render(request, part, context)


@require_POST
def run_cancel(request: Request, run: UUID) -> HttpResponse:
    return _act(request, run, launching.cancel)


@require_POST
def run_resume(request: Request, run: UUID) -> HttpResponse:
    off = request.POST.getlist("monitors_off")
    return _act(request, run, partial(launching.resume, monitors_off=off))


@require_POST
def run_ask(request: Request, run: UUID) -> HttpResponse:
    """Put the answers that the run lists before people."""
    found = run_for(request.user, run, role=Role.ADMIN)
    try:
        asked = generations.ask_about_noted(found)
    except LaunchError as refusal:
        return _refused(request, found, refusal)
    if asked.made:
        sentence = _("Comparisons in %(queue)s: %(n)s.") % {"queue": asked.queue.name, "n": f"{asked.made:,}"}
        say(request, sentence, undo=reverse("queue-empty", args=[asked.queue.uuid]), fields={"batch": asked.batch})
    else:
        say(request, _("%(queue)s asks about all of these already.") % {"queue": asked.queue.name})
    return redirect("run", run=found.uuid)


def _act(request: Request, uuid: UUID, action: Any) -> HttpResponse:  # Any: cancel or resume, called by name
    """Do it and show the run; a refusal (it has ended meanwhile) stands on the same page, as a 409."""
    found = run_for(request.user, uuid, role=Role.ADMIN)
    try:
        action(run=found, by=request.user)
    except LaunchError as refusal:
        return _refused(request, found, refusal)
    return redirect("run", run=found.uuid)


def _refused(request: Request, run: Run, refusal: LaunchError) -> HttpResponse:
    run.refresh_from_db()
    context = _status(request, run, metrics.live(run, None)) | {"refusal": refusal.sentence}
    return render(request, "rlhf/run_refused.html", context, status=refusal.status)


def _status(request: Request, run: Run, state: Json) -> Json:
    """What the head of a run's page says, in any state."""
    inputs = list(RunInput.objects.filter(run=run).select_related("snapshot", "model").order_by("pk"))
    final = (run.result or {}).get("final", {})
    return {
        "run": run,
        "inputs": inputs,
        "outputs": list(run.outputs.order_by("number")),
        "note": state["note"],
        "cancelling": state["cancelling"],
        "done": done_share(run),
        "percent": round(100 * done_share(run), 1),
        "failure_log": state["log"][-FAILURE_LINES:] if run.state == Run.State.FAILED else [],
        "key": charts.key_metric(run.stage, final),
        "final": sorted(final.items()),
        "places": launching.places_before(run) if run.state == Run.State.QUEUED else 0,
        "admin": request.user.holds(Role.ADMIN, run.project),
        "lost": [event for event in state["events"] if event.get("kind") == "resumed"][-1:],
        "resumable": run.state in Run.RESUMABLE,
        "active": run.state in Run.ACTIVE,
        "ended": run.state not in Run.ACTIVE,
    }


def _asking(request: Request, run: Run) -> Json | None:
    """For whom may put the listed answers before people: the queue that would get them, None where none is open."""
    if not generations.can_ask(run) or not request.user.holds(Role.ADMIN, run.project):
        return None
    return {"queue": generations.queue_to_ask(run)}


def _listed(run: Run) -> Json:
    """A row of the table, from what was fetched with it."""
    used = [one.used for one in run.inputs.all()]
    return {
        "run": run,
        "done": done_share(run),
        "percent": round(100 * done_share(run), 1),
        "key": charts.key_metric(run.stage, (run.result or {}).get("final", {})),
        "inputs": used,
    }


def _table(drawn: list[charts.Drawn], slug: str) -> charts.Drawn | None:
    return next((one for one in drawn if one.chart.slug == slug), None)
