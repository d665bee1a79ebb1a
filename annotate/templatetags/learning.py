"""The drawer that explains a stage, for any page."""

from __future__ import annotations

from typing import Any  # template contexts

from django import template
from django.http import HttpRequest
from django.urls import reverse

from annotate import rendering
from annotate.explaining import explained
from annotate.learning import texts
from annotate.models import User

register = template.Library()


@register.inclusion_tag("annotate/_parts/explain_button.html", takes_context=True)
def explain_button(context: template.Context) -> dict[str, Any]:
    """What opens the drawer: a link where `?depth=` has put its text on the page."""
    return {"opened": "depth" in context["request"].GET}


@register.inclusion_tag("annotate/_parts/explain.html", takes_context=True)
def explain(context: template.Context, stage: str, *, alone: bool = False) -> dict[str, Any]:
    """The drawer of a stage at the person's depth. With `?depth=`, or alone, it stands on the page as a section.

    One query where `?depth=` changes what is remembered; at a depth with numbers theirs (`annotate.numbers`).
    """
    request: HttpRequest = context["request"]
    project = context.get("project")
    found = explained(stage=stage, depth=_remembered(request), project=project)
    address = reverse("api:learn-text", args=[stage])
    return {
        "found": found,
        "project": project,
        "html": rendering.html_of(found.blocks),
        "depths": [(depth, _with_depth(request, depth)) for depth in texts.DEPTHS],
        "opened": alone or "depth" in request.GET,
        "alone": alone,
        "url": f"{address}?project={project.uuid}" if project else "",
    }


def _remembered(request: HttpRequest) -> str:
    """The depth that `?depth=` asks for, which is then the person's; else theirs."""
    user, wanted = request.user, request.GET.get("depth", "")
    assert isinstance(user, User)  # LoginRequiredMiddleware
    if wanted not in texts.DEPTHS:
        return user.explain_depth
    if wanted != user.explain_depth:
        User.objects.filter(pk=user.pk).update(explain_depth=wanted)
    return wanted


def _with_depth(request: HttpRequest, depth: str) -> str:
    query = request.GET.copy()
    query["depth"] = depth
    return f"?{query.urlencode()}#explain"
