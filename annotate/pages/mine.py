"""One's own answers: what came back first, then the newest, the last of them with Undo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any  # bodies are JSON
from uuid import UUID

from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.timezone import localtime
from django.views.decorators.http import require_GET

from annotate.access import project_for
from annotate.models import Judgement, Objection, Project, Queue, Revision, Slot, TaskText, User
from annotate.pages.paging import page_of
from annotate.pages.places import places
from annotate.pages.request import Request
from annotate.presentation import LETTERS

START = 120


@dataclass(frozen=True)
class Row:
    """state: counted, surplus, returned, objected (a reviewer decides), overruled, withdrawn or taken_back.

    about: the beginning of what was judged, or of the instruction that came with the answer. followed: others have
    answered what this answer asked for, or it decides an objection or was overruled by one, so that it changes no more.
    last: it can be undone.
    """

    judgement: Judgement
    kind: str
    state: str
    about: str
    answer: dict[str, Any]
    followed: bool
    settles: bool
    last: bool

    @property
    def stands(self) -> bool:
        return self.state in {"counted", "surplus", "returned", "objected"} and not self.settles


@require_GET
def mine(request: Request, project: UUID) -> HttpResponse:
    found = project_for(request.user, project)
    own = Judgement.objects.filter(user=request.user, task__queue__project=found).select_related("task__queue")
    page = page_of(request, own)
    rows = _rows(page.rows, request.user)
    context = {
        "page": page,
        "rows": rows,
        "returned": _returned(found, request.user),
        "frozen": any(row.judgement.frozen_at for row in rows),
        "numbers": _numbers(found, request.user),
    }
    return render(request, "annotate/mine.html", context)


@dataclass(frozen=True)
class Returned:
    """A task that came back to its author. comment: the reviewer's."""

    queue: Queue
    comment: str


def _returned(project: Project, user: User) -> list[Returned]:
    """Two queries."""
    waiting = Slot.objects.filter(queue__project=project, reserved_for=user, status__in=["open", "leased"])
    slots = list(waiting.select_related("task", "queue").order_by("admit_seq"))
    reviews = [slot.task.follows_id for slot in slots]
    said = {row.judgement_id: row.answer for row in Revision.objects.current().filter(judgement__in=reviews)}
    return [Returned(slot.queue, said.get(slot.task.follows_id or 0, {}).get("comment", "")) for slot in slots]


def _numbers(project: Project, user: User) -> dict[str, int]:
    """Of the answers that stand: given today, in all, and outside the count. One query."""
    midnight = localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    own = Revision.objects.current().filter(judgement__user=user, judgement__task__queue__project=project)
    today, outside = Q(judgement__created_at__gte=midnight), Q(judgement__counted=False)
    return own.aggregate(all=Count("pk"), today=Count("pk", filter=today), surplus=Count("pk", filter=outside))


def _rows(judgements: list[Judgement], user: User) -> list[Row]:
    """Seven queries."""
    written = Revision.objects.filter(judgement__in=judgements).select_related("presentation")
    revisions = {row.judgement_id: row for row in written.order_by("number")}
    newest = Revision.objects.filter(judgement__user=user).order_by("-pk").first()
    shown = TaskText.objects.filter(task__judgements__in=judgements, part__in=["document", "prompt"])
    about = {row.task_id: row.text.body for row in shown.select_related("text").order_by("-position")}
    followed = set(Judgement.objects.filter(task__follows__in=judgements).values_list("task__follows", flat=True))
    sent_back = Revision.objects.counted().filter(judgement__task__follows__in=judgements, body__decision="return")
    returned = set(sent_back.values_list("judgement__task__follows", flat=True))
    waiting = Objection.objects.waiting().filter(task__follows__task__follows__in=judgements)
    objected = set(waiting.values_list("task__follows__task__follows", flat=True))
    settling = set(Objection.objects.filter(decision__in=judgements).values_list("decision", flat=True))
    return [
        Row(
            judgement=one,
            kind=one.task.queue.kind,
            state=_state(one, revisions[one.pk], returned=one.pk in returned, objected=one.pk in objected),
            about=(about.get(one.task_id) or (revisions[one.pk].body or {}).get("instruction", ""))[:START],
            answer=_answer(revisions[one.pk]),
            followed=one.pk in followed,
            settles=one.pk in settling,
            last=_is_last(newest, revisions[one.pk]) and one.pk not in settling,
        )
        for one in judgements
    ]


def _answer(revision: Revision) -> dict[str, Any]:
    """The stored body, in the letters that the person saw: that of a pair's better answer, a ranking's in places."""
    body = dict(revision.body or {})
    if body.get("groups"):
        body["places"] = places(body, revision.presentation.order)
    if isinstance(body.get("prefer"), int):
        body["letter"] = LETTERS[revision.presentation.order.index(body["prefer"])]
    return body


def _is_last(newest: Revision | None, revision: Revision) -> bool:
    return newest == revision and newest.kind in Revision.ANSWERS and newest.by_id is None


def _state(judgement: Judgement, newest: Revision, *, returned: bool, objected: bool) -> str:
    if newest.kind == Revision.Kind.WITHDRAW:
        return "withdrawn"
    if newest.kind not in Revision.ANSWERS:
        return "taken_back"
    if not judgement.counted:
        return "overruled" if judgement.slot_id else "surplus"
    if objected:
        return "objected"
    return "returned" if returned else "counted"
