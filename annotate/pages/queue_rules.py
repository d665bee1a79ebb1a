"""The rules of a queue, for its project's admins: how many answers a task wants, and what is asked beside each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any  # values of the queue's fields, checked by the action
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from annotate import flags
from annotate.access import queue_for
from annotate.actions.change_queue import LIMITS, NULLABLE, change_queue
from annotate.actions.create_project import ALL_AXES
from annotate.errors import AnnotateError
from annotate.models import Queue, Role
from annotate.pages.request import Request
from annotate.pages.toast import say

RATED = {Queue.Kind.RANK, Queue.Kind.RATE}  # kinds that ask for axes, flags and a critique
NUMBERS = ("overlap", "overlap_max", "lease_minutes", "intake_cap")
SWITCHES = {Queue.Kind.RANK: ("better", "partial", "line_required"), Queue.Kind.WRITE_ANSWER: ("instruction",)}


@require_http_methods(["GET", "POST"])
def queue_rules(request: Request, queue: UUID) -> HttpResponse:
    """POST changes them where `version` is the one that the form was made from; a change is undone by the same form."""
    found = queue_for(request.user, queue, role=Role.ADMIN)
    form, errors, status = _form_of(found), {}, 200
    if request.method == "POST":
        given = {name: request.POST.get(name, "") for name in request.POST}
        if given.get("version") != form["version"]:
            errors, status = {"": _("Somebody changed these rules meanwhile. Below stands what holds now.")}, 409
        else:
            try:
                changed = change_queue(queue=found, **_rules_of(given, found))
            except AnnotateError as refusal:
                form, errors, status = given, {str(refusal.facts.get("field", "")): refusal.sentence}, 422
            else:
                _tell(request, changed, before=form)
                return redirect("queues", project=found.project.uuid)
    context = {
        "queue": found,
        "form": form,
        "errors": errors,
        "asked": [name for name, value in form.items() if value == "on"],
        "rated": found.kind in RATED,
        "ranks": found.kind == Queue.Kind.RANK,
        "writes": found.kind == Queue.Kind.WRITE_ANSWER,
        "axes": ALL_AXES,
        "flags": list(flags.DEFAULT),
        "most": {name: high for name, (_low, high) in LIMITS.items()},
    }
    return render(request, "annotate/queue_rules.html", context, status=status)


def _tell(request: Request, queue: Queue, *, before: Mapping[str, str]) -> None:
    """A rule that was changed can be changed back, until somebody changes the rules again."""
    if before["version"] == str(queue.settings_version):
        return say(request, _("Nothing was different."))
    fields = {**before, "version": str(queue.settings_version)}
    return say(
        request, _("The rules of %(name)s are changed.") % {"name": queue.name}, undo=request.path, fields=fields
    )


def _form_of(queue: Queue) -> dict[str, str]:
    """The form that would send the rules as they stand; of what may be ticked, what is."""
    form = {"version": str(queue.settings_version), "name": queue.name}
    form |= {name: "" if getattr(queue, name) is None else str(getattr(queue, name)) for name in NUMBERS}
    if queue.kind in RATED:
        form["critique_least"] = "" if queue.critique_least is None else str(queue.critique_least)
        form |= {f"axis-{axis}": "on" for axis in queue.axes}
        form |= {f"required-{axis}": "on" for axis in queue.required_axes}
        form |= {f"flag-{key}": "on" for key in queue.flags if key in flags.DEFAULT}
        form["own"] = " ".join(key for key in queue.flags if key not in flags.DEFAULT)
    return form | {name: "on" for name in _switches(queue) if getattr(queue, name)}


def _rules_of(form: Mapping[str, str], queue: Queue) -> dict[str, Any]:
    """What the form says, as change_queue takes it."""
    rules: dict[str, Any] = {"name": form.get("name", "").strip()}
    rules |= {name: _number(name, form.get(name, "")) for name in NUMBERS}
    if queue.kind in RATED:
        rules["critique_least"] = _number("critique_least", form.get("critique_least", ""))
        rules["axes"] = _ticked(form, "axis", queue.axes, ALL_AXES)
        rules["required_axes"] = _ticked(form, "required", queue.required_axes, ALL_AXES)
        own = form.get("own", "").split()
        rules["flags"] = _ticked(
            {**form, **{f"flag-{key}": "on" for key in own}}, "flag", queue.flags, flags.DEFAULT, own
        )
    return rules | {name: form.get(name) == "on" for name in _switches(queue)}


def _switches(queue: Queue) -> tuple[str, ...]:
    return SWITCHES.get(Queue.Kind(queue.kind), ())


def _ticked(form: Mapping[str, str], kind: str, *known: Iterable[str]) -> list[str]:
    """What is ticked of what is known, in that order, so that what stays keeps its place."""
    return [key for key in dict.fromkeys(chain(*known)) if form.get(f"{kind}-{key}") == "on"]


def _number(name: str, typed: str) -> int | str | None:
    """What was typed stays as it is where it is no number: the action refuses it by its name."""
    typed = typed.strip()
    if not typed and name in NULLABLE:
        return None
    digits = typed.removeprefix("-")
    return int(typed) if digits.isascii() and digits.isdecimal() and len(digits) < 9 else typed
