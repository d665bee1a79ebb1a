"""Documents: the list with its filters, one text with all that is known of it."""

from __future__ import annotations

from typing import Any  # evidence is JSON
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from annotate.access import project_for, text_for
from annotate.cleaning.thresholds import Thresholds
from annotate.models import Flag, Import, Project, Queue, Revision, Role, Source, Task, TaskText, Text
from annotate.pages import spans
from annotate.pages.paging import page_of
from annotate.pages.request import Request

READERS = (Role.REVIEWER, Role.ADMIN)
STATES = ("waits", "keep", "edit", "reject", "undecided")
START = 160
NEWEST = 5


@require_GET
def data(request: Request, project: UUID) -> HttpResponse:
    found = project_for(request.user, project, role=READERS)
    chosen = {name: request.GET.get(name, "") for name in ("source", "state", "flag")}
    page = page_of(request, _filtered(found, chosen).select_related("source"))
    detectors = Flag.objects.filter(text__project=found, retired_at=None).values_list("detector", flat=True)
    context = {
        "page": page,
        "rows": _rows(page.rows),
        "chosen": chosen,
        "filtered": any(chosen.values()),
        "sources": Source.objects.filter(project=found).order_by("name"),
        "states": STATES,
        "detectors": detectors.order_by("detector").distinct(),
        "imports": Import.objects.filter(source__project=found).select_related("source").order_by("-pk")[:NEWEST],
        "admin": request.user.holds(Role.ADMIN, found),
    }
    return render(request, "annotate/documents.html", context)


@require_GET
def text(request: Request, text: UUID) -> HttpResponse:
    found = text_for(request.user, text, role=READERS)
    evidence = _evidence(found)
    context = {
        "text": found,
        "words": len(found.body.split()),
        "evidence": evidence,
        "marked": spans.marked(evidence, found.body),
        "paragraphs": spans.paragraphs(found.body, evidence),
        "decisions": _decisions(found),
        "turns": found.turns()[:-1],
        "edits": found.edits.order_by("pk"),
        "answers": found.children.order_by("pk")[:NEWEST] if found.kind == Text.Kind.PROMPT else [],
        "sightings": found.sightings.select_related("source").order_by("pk")[:NEWEST],
    }
    return render(request, "annotate/text.html", context)


def _filtered(project: Project, chosen: dict[str, str]) -> QuerySet[Text]:
    rows = Text.objects.documents().filter(project=project, edited_from=None)
    if chosen["source"]:
        rows = rows.filter(source__name=chosen["source"])
    if chosen["flag"]:
        rows = rows.filter(Exists(Flag.objects.live().filter(text=OuterRef("pk"), detector=chosen["flag"])))
    state = chosen["state"]
    if state == "waits":
        return rows.filter(_asked([Task.State.HELD, Task.State.ADMITTED]))
    if state == "undecided":
        return rows.filter(~_asked([Task.State.HELD, Task.State.ADMITTED, Task.State.COMPLETE]))
    return rows.filter(_decided(state)) if state in STATES else rows


def _asked(states: list[Task.State]) -> Exists:
    asked = TaskText.objects.filter(text=OuterRef("pk"), task__queue__kind=Queue.Kind.CLEAN, task__state__in=states)
    return Exists(asked)


def _decided(decision: str) -> Exists:
    standing = Revision.objects.counted().filter(body__decision=decision)
    return Exists(standing.filter(judgement__task__texts=OuterRef("pk"), judgement__task__queue__kind="clean"))


def _rows(texts: list[Text]) -> list[dict[str, Any]]:
    """What the list shows of each document. Two queries."""
    flags: dict[int, list[str]] = {}
    for flag in Flag.objects.live().filter(text__in=texts).order_by("pk"):
        names = flags.setdefault(flag.text_id, [])
        if flag.detector not in names:
            names.append(flag.detector)
    standing = Revision.objects.counted().filter(judgement__task__queue__kind="clean")
    decided = standing.filter(judgement__task__texts__in=texts).order_by("pk")
    decisions = {key: body["decision"] for key, body in decided.values_list("judgement__task__texts", "body") if body}
    return [
        {
            "text": one,
            "start": one.body[:START],
            "words": len(one.body.split()),
            "flags": flags.get(one.pk, []),
            "decision": decisions.get(one.pk, ""),
        }
        for one in texts
    ]


def _evidence(text: Text) -> list[dict[str, Any]]:
    limits = Thresholds.of(text.project.settings)
    return [
        {
            "id": str(number),
            "detector": flag.detector,
            "category": flag.category,
            "score": flag.score,
            "threshold": limits.limit(flag.detector),
            "reason": flag.reason,
            "start": flag.start,
            "end": flag.end,
            "covered": flag.detector == "unsafe",
        }
        for number, flag in enumerate(text.flags.live().order_by("start", "pk"), start=1)
    ]


def _decisions(text: Text) -> list[dict[str, Any]]:
    """Who said what of the text, under pseudonyms, the newest first. One query."""
    rows = Revision.objects.filter(judgement__task__texts=text).select_related(
        "judgement__user", "judgement__task__queue"
    )
    return [
        {
            "kind": row.judgement.task.queue.kind,
            "what": row.kind,
            "body": row.body or {},
            "by": row.judgement.user.pseudonym(text.project) if row.judgement.user else "",
            "scripted": bool(row.judgement.user and row.judgement.user.scripted),
            "at": row.created_at,
        }
        for row in rows.order_by("-pk")[:50]
    ]
