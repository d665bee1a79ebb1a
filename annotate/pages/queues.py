"""The queues of a project, for its admins: add one, give it tasks, close it and open it again."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from annotate.access import project_for, queue_for
from annotate.actions.add_queue import ASKS, add_queue
from annotate.actions.change_queue import change_queue
from annotate.actions.fill_queue import KINDS, MOST, empty_queue, fill_queue
from annotate.errors import AnnotateError
from annotate.models import Project, Role, Task
from annotate.pages.request import Request
from annotate.pages.toast import say


@require_http_methods(["GET", "POST"])
def queues(request: Request, project: UUID) -> HttpResponse:
    """POST adds one."""
    found = project_for(request.user, project, role=Role.ADMIN)
    if request.method == "GET":
        return _page(request, found)
    given = {"kind": request.POST.get("kind", ""), "name": request.POST.get("name", "")}
    try:
        made = add_queue(project=found, **given)
    except AnnotateError as refusal:
        return _page(request, found, given=given, errors={str(refusal.facts.get("field", "")): refusal.sentence})
    say(request, _("The queue is open."), undo=reverse("queue-close", args=[made.uuid]), fields={"closed": "1"})
    return redirect("queues", project=found.uuid)


@require_POST
def fill(request: Request, queue: UUID) -> HttpResponse:
    """`most`: how many instructions are wanted, where the queue asks for them."""
    found = queue_for(request.user, queue, role=Role.ADMIN)
    typed = request.POST.get("most", "").strip()
    try:
        filled = fill_queue(queue=found, most=_number(typed))
    except AnnotateError as refusal:
        if refusal.code != "bad_count":
            raise
        given = {"queue": found.uuid, "most": typed}
        return _page(request, found.project, given=given, errors={f"most-{found.uuid}": refusal.sentence})
    if filled.made:
        undo, fields = reverse("queue-empty", args=[found.uuid]), {"batch": filled.batch}
        say(request, _("Tasks built: %(n)s.") % {"n": f"{filled.made:,}"}, undo=undo, fields=fields)
    else:
        say(request, _("There is nothing that this queue has not asked about."))
    return redirect("queues", project=found.project.uuid)


@require_POST
def empty(request: Request, queue: UUID) -> HttpResponse:
    """Take a fill back."""
    found = queue_for(request.user, queue, role=Role.ADMIN)
    taken = empty_queue(queue=found, batch=request.POST.get("batch", ""))
    say(request, _("Tasks taken back: %(n)s.") % {"n": f"{taken:,}"})
    return redirect("queues", project=found.project.uuid)


@require_POST
def close(request: Request, queue: UUID) -> HttpResponse:
    """`closed`: 1 or 0. Each is the other's Undo."""
    found = queue_for(request.user, queue, role=Role.ADMIN)
    closed = request.POST.get("closed") == "1"
    change_queue(queue=found, closed=closed)
    said = _("%(name)s gives no tasks any more.") if closed else _("%(name)s gives tasks again.")
    fields = {"closed": "0" if closed else "1"}
    say(request, said % {"name": found.name}, undo=reverse("queue-close", args=[found.uuid]), fields=fields)
    return redirect("queues", project=found.project.uuid)


def _page(request: Request, project: Project, **said: Mapping[str, object]) -> HttpResponse:
    """said: `given`, what was typed into one of its forms, and `errors`, by the key of the field."""
    waiting = Q(tasks__state__in=[Task.State.HELD, Task.State.ADMITTED])
    rows = project.queues.annotate(
        waiting=Count("tasks", filter=waiting), complete=Count("tasks", filter=Q(tasks__state=Task.State.COMPLETE))
    )
    context = {
        "rows": rows.order_by("pk"),
        "fillable": KINDS,
        "kinds": ASKS,
        "most": MOST,
        "given": {},
        "errors": {},
        **said,
    }
    return render(request, "annotate/queues.html", context, status=422 if said else 200)


def _number(typed: str) -> int | None:
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 9 else None
