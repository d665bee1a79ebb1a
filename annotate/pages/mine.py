"""One's own answers: what came back first, then the newest, the last of them with Undo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any  # bodies are JSON
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from annotate.access import project_for
from annotate.models import Judgement, Project, Queue, Revision, Slot, TaskText, User
from annotate.pages.paging import page_of
from annotate.pages.request import Request
from annotate.presentation import LETTERS

START = 120


@dataclass(frozen=True)
class Row:
    """state: counted, surplus or taken_back. about: the beginning of what was judged."""

    judgement: Judgement
    kind: str
    state: str
    about: str
    answer: dict[str, Any]
    last: bool


@require_GET
def mine(request: Request, project: UUID) -> HttpResponse:
    found = project_for(request.user, project)
    own = Judgement.objects.filter(user=request.user, task__queue__project=found).select_related("task__queue")
    page = page_of(request, own)
    returned = Slot.objects.filter(queue__project=found, reserved_for=request.user, status=Slot.Status.OPEN)
    context = {
        "page": page,
        "rows": _rows(page.rows, found, request.user),
        "returned": Queue.objects.filter(slots__in=returned).distinct(),
    }
    return render(request, "annotate/mine.html", context)


def _rows(judgements: list[Judgement], project: Project, user: User) -> list[Row]:
    """Three queries."""
    written = Revision.objects.filter(judgement__in=judgements).select_related("presentation")
    revisions = {row.judgement_id: row for row in written.order_by("number")}
    newest = Revision.objects.filter(judgement__user=user).order_by("-pk").first()
    shown = TaskText.objects.filter(task__judgements__in=judgements, part__in=["document", "prompt"])
    about = {row.task_id: row.text.body for row in shown.select_related("text").order_by("-position")}
    return [
        Row(
            judgement=one,
            kind=one.task.queue.kind,
            state=_state(one, revisions[one.pk]),
            about=about.get(one.task_id, "")[:START],
            answer=_answer(revisions[one.pk]),
            last=newest == revisions[one.pk] and newest.kind in Revision.ANSWERS,
        )
        for one in judgements
    ]


def _answer(revision: Revision) -> dict[str, Any]:
    """The stored body; of a pair, with the letter that the person saw on the better answer."""
    body = dict(revision.body or {})
    if isinstance(body.get("prefer"), int):
        body["letter"] = LETTERS[revision.presentation.order.index(body["prefer"])]
    return body


def _state(judgement: Judgement, newest: Revision) -> str:
    if newest.kind not in Revision.ANSWERS:
        return "taken_back"
    return "counted" if judgement.counted else "surplus"
