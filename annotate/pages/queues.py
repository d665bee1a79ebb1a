"""The queues of a project, for its admins: add one, give it tasks, close it and open it again."""

from __future__ import annotations

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
from annotate.actions.fill_queue import KINDS, fill_queue
from annotate.errors import AnnotateError
from annotate.models import Role, Task
from annotate.pages.request import Request
from annotate.pages.toast import say


@require_http_methods(["GET", "POST"])
def queues(request: Request, project: UUID) -> HttpResponse:
    """POST adds one."""
    found = project_for(request.user, project, role=Role.ADMIN)
    given = {"kind": request.POST.get("kind", ""), "name": request.POST.get("name", "")}
    errors: dict[str, str] = {}
    if request.method == "POST":
        try:
            made = add_queue(project=found, **given)
        except AnnotateError as refusal:
            errors = {str(refusal.facts.get("field", "")): refusal.sentence}
        else:
            fields = {"closed": "1"}
            say(request, _("The queue is open."), undo=reverse("queue-close", args=[made.uuid]), fields=fields)
            return redirect("queues", project=found.uuid)
    waiting = Q(tasks__state__in=[Task.State.HELD, Task.State.ADMITTED])
    rows = found.queues.annotate(
        waiting=Count("tasks", filter=waiting), complete=Count("tasks", filter=Q(tasks__state=Task.State.COMPLETE))
    )
    context = {"rows": rows.order_by("pk"), "fillable": KINDS, "kinds": ASKS, "given": given, "errors": errors}
    return render(request, "annotate/queues.html", context, status=422 if errors else 200)


@require_POST
def fill(request: Request, queue: UUID) -> HttpResponse:
    found = queue_for(request.user, queue, role=Role.ADMIN)
    made = fill_queue(queue=found)
    if made:
        say(request, _("Tasks built: %(n)s.") % {"n": f"{made:,}"})
    else:
        say(request, _("There is nothing that this queue has not asked about."))
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
