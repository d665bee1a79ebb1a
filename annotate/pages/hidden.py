"""What a person does not want to meet today: shown again before the day ends, or hidden after all."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from annotate.access import hiding_for, project_for
from annotate.actions.hide import hide, show_again
from annotate.models import Hiding
from annotate.pages.request import Request, instant
from annotate.pages.toast import say
from annotate.templatetags.names import category_name


@require_POST
def hide_new(request: Request, project: UUID) -> HttpResponse:
    """The Undo of showing it again."""
    found = project_for(request.user, project)
    until = instant(request.POST.get("until", ""))
    hidden = hide(project=found, by=request.user, categories=request.POST.getlist("category"), until=until, task=None)
    undo = reverse("hide-end", args=[hidden[0].uuid]) if len(hidden) == 1 else ""
    say(request, hidden_from_now(hidden) or _("That is hidden already."), undo=undo)
    return redirect("work", project=found.uuid)


@require_POST
def hide_end(request: Request, hiding: UUID) -> HttpResponse:
    found = hiding_for(request.user, hiding)
    show_again(hiding=found)
    sentence = _("Tasks marked “%(category)s” come to you again.") % {"category": category_name(found.category)}
    fields = {"category": found.category, "until": found.until.isoformat()}
    say(request, sentence, undo=reverse("hide-new", args=[found.project.uuid]), fields=fields)
    return redirect("work", project=found.project.uuid)


def hidden_from_now(hidden: Sequence[Hiding]) -> str:
    """The sentence that says so; empty where nothing is."""
    if not hidden:
        return ""
    names = ", ".join(category_name(one.category) for one in hidden)
    facts = {"at": f"{localtime(hidden[0].until):%H:%M %Z}", "names": names}
    return _("Hidden from you until %(at)s: %(names)s.") % facts
