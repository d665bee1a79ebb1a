"""What there is to learn: the list of places that each app supplies, each stage on its own page, the glossary."""

from __future__ import annotations

from typing import TypedDict

from django.conf import settings
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.module_loading import import_string
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from annotate import deck, explaining, rendering
from annotate.access import own_project_for
from annotate.learning import glossary as terms
from annotate.learning import texts
from annotate.models import Project, User
from annotate.pages.request import Request


class Place(TypedDict):
    """Something to learn with. count: of what waits there for the person, with its words, or empty."""

    label: str | Promise
    sentence: str | Promise
    url: str
    icon: str
    waits: str | Promise


@require_GET
def learn(request: Request) -> HttpResponse:
    project = own_project_for(request.user, request.GET.get("project", ""))
    found: list[Place] = []
    for name in settings.LEARN_PLACES:
        found += import_string(name)(request.user, project)
    stages = [texts.stage_text(stage, explaining.language()) for stage in texts.STAGES]
    return render(request, "annotate/learn.html", {"places": found, "stages": stages})


@require_GET
def learn_stage(request: Request, stage: str) -> HttpResponse:
    """One stage as a page; `?depth=` as in the drawer, which the template writes open."""
    own_project_for(request.user, "")
    if stage not in texts.STAGES:
        raise Http404
    place = texts.STAGES.index(stage)
    around = [texts.STAGES[at] if 0 <= at < len(texts.STAGES) else "" for at in (place - 1, place + 1)]
    before, after = (texts.stage_text(one, explaining.language()) if one else None for one in around)
    text = texts.stage_text(stage, explaining.language())
    return render(request, "annotate/learn_stage.html", {"text": text, "before": before, "after": after})


@require_GET
def glossary(request: Request) -> HttpResponse:
    own_project_for(request.user, "")
    found = terms.terms(explaining.language())
    rows = sorted(found.values(), key=lambda one: one.term.lower())
    entries = [
        {
            "term": one,
            "html": rendering.html_of(explaining.linked(one.definition, leave=one.slug)[0]),
            "stage": texts.stage_text(one.stage, explaining.language()),
            "see": [found[slug] for slug in one.see],
        }
        for one in rows
    ]
    initials: dict[str, str] = {}
    for one in rows:
        initials.setdefault(one.term[0].upper(), one.slug)
    return render(request, "annotate/glossary.html", {"entries": entries, "initials": initials.items()})


def places(user: User, project: Project) -> list[Place]:
    """Those of this app."""
    query = f"?project={project.uuid}"
    due = deck.hand(user, project, at=now()).due
    return [
        {
            "label": _("Language Model Trainer"),
            "sentence": _("Guess a word, watch a small real network guess it too, and see what one step changes."),
            "url": reverse("game", args=[project.uuid]),
            "icon": "learn",
            "waits": "",
        },
        {
            "label": _("Glossary"),
            "sentence": _("Each word of the trade in one sentence, with an example and something to remember it by."),
            "url": reverse("glossary") + query,
            "icon": "guidelines",
            "waits": "",
        },
        {
            "label": _("Cards"),
            "sentence": _("The glossary as flash cards, each shown again shortly before you would forget it."),
            "url": reverse("cards") + query,
            "icon": "copy",
            "waits": _("%(n)d for today") % {"n": due} if due else "",
        },
        {
            "label": _("Quiz"),
            "sentence": _("Eight questions, each explained after you answer."),
            "url": reverse("quiz") + query,
            "icon": "check",
            "waits": "",
        },
    ]
