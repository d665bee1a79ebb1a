"""What waits for a reviewer beside tasks: disputed and parked tasks, surplus answers, people who are paused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any  # bodies are JSON
from uuid import UUID

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from annotate import contested
from annotate.access import pause_for, project_for, task_for
from annotate.actions.pause import end_pause, pause
from annotate.actions.unpark import park, unpark
from annotate.errors import AnnotateError
from annotate.models import Judgement, Objection, Project, Revision, Role, Task, Text
from annotate.pages.places import places
from annotate.pages.request import Request
from annotate.pages.toast import say
from annotate.presentation import LETTERS

REVIEWERS = (Role.REVIEWER, Role.ADMIN)
MOST = 50
START = 160


@dataclass(frozen=True)
class Given:
    """An answer as a reviewer sees it. hidden: own, or of a task that still asks: nobody sees it before answering.

    body: as stored, of a comparison with its places in the letters of its row.
    """

    judgement: Judgement
    kind: str
    by: str
    body: dict[str, Any]
    hidden: str

    @property
    def instruction(self) -> str:
        """What its author wrote above it, where one may read it."""
        found: str = self.body.get("instruction", "")
        return "" if self.hidden == "asks" else found


@dataclass(frozen=True)
class Row:
    """texts: what is compared, in letters that are the same for all answers."""

    task: Task
    about: str
    skips: list[tuple[str, int]]
    notes: list[str]
    texts: list[tuple[str, str]]
    answers: list[Given]


@dataclass(frozen=True)
class Objected:
    """An objection as a reviewer sees it. said: what the reviewer told the author who returned the answer.

    own: who looks wrote or reviewed the answer, so that another decides.
    """

    objection: Objection
    by: str
    about: str
    answer: str
    said: dict[str, Any]
    own: bool


@require_GET
def disputes(request: Request, project: UUID) -> HttpResponse:
    return page(request, project_for(request.user, project, role=REVIEWERS))


@require_POST
def task_parked(request: Request, task: UUID) -> HttpResponse:
    """POST with `parked` 0 puts a parked task back before people, with 1 aside; each is the other's Undo."""
    found = task_for(request.user, task, role=REVIEWERS)
    parks = request.POST.get("parked", "0") == "1"
    (park if parks else unpark)(task=found)
    sentence = _("The task is parked.") if parks else _("The task asks people again.")
    say(request, sentence, undo=request.path, fields={"parked": "0" if parks else "1"})
    return redirect("disputes", project=found.queue.project.uuid)


@require_POST
def pause_new(request: Request, project: UUID) -> HttpResponse:
    found = project_for(request.user, project, role=REVIEWERS)
    queue = get_object_or_404(found.queues.select_related("project"), uuid=_uuid(request.POST.get("queue", "")))
    person = request.POST.get("person", "")
    try:
        made = pause(queue=queue, person=person, by=request.user, note=request.POST.get("note", ""))
    except AnnotateError as refusal:
        return page(request, found, refusal=refusal)
    sentence = _("%(person)s gets no tasks of %(queue)s.") % {"person": person, "queue": queue.name}
    say(request, sentence, undo=reverse("pause-end", args=[made.uuid]))
    return redirect("disputes", project=found.uuid)


@require_POST
def pause_end(request: Request, pause: UUID) -> HttpResponse:
    found = pause_for(request.user, pause, role=REVIEWERS)
    end_pause(pause=found, by=request.user)
    project = found.queue.project
    person = found.user.pseudonym(project)
    fields = {"queue": str(found.queue.uuid), "person": person, "note": found.note}
    sentence = _("%(person)s gets tasks of %(queue)s again.") % {"person": person, "queue": found.queue.name}
    say(request, sentence, undo=reverse("pause-new", args=[project.uuid]), fields=fields)
    return redirect("disputes", project=project.uuid)


def page(request: Request, project: Project, *, refusal: AnnotateError | None = None) -> HttpResponse:
    """Some seventeen queries, whatever the number of rows; the first fifty of each kind."""
    context = {
        "objections": _objections(request, project),
        "disputed": _rows(request, list(contested.disputed(project).order_by("pk")[:MOST]), answered=True),
        "parked": _rows(request, list(contested.parked(project).order_by("pk")[:MOST]), answered=False),
        "surplus": _surplus(request, project),
        "pauses": [(one, one.user.pseudonym(project)) for one in contested.pauses(project).order_by("pk")],
        "people": contested.people(project),
        "queues": project.queues.order_by("pk"),
        "admin": request.user.holds(Role.ADMIN, project),
        "errors": {str(refusal.facts.get("field", "")): refusal.sentence} if refusal else {},
        "given": {name: request.POST.get(name, "") for name in ("queue", "person", "note")},
        "most": MOST,
    }
    return render(request, "annotate/disputes.html", context, status=422 if refusal else 200)


def _rows(request: Request, tasks: list[Task], *, answered: bool) -> list[Row]:
    """answered: with the answers, which one looks at of a disputed task; of a parked one, at the skips."""
    keys = [task.pk for task in tasks]
    about = contested.beginnings(keys)
    skipped = {} if answered else contested.skips(keys)
    given, texts = (contested.answers(keys), contested.compared(keys)) if answered else ({}, {})
    return [
        Row(
            task=task,
            about=about.get(task.pk, "")[:START],
            skips=skipped.get(task.pk, ([], []))[0],
            notes=skipped.get(task.pk, ([], []))[1],
            texts=_lettered(texts.get(task.pk, [])),
            answers=[_given(request, one, task, texts.get(task.pk, [])) for one in given.get(task.pk, [])],
        )
        for task in tasks
    ]


def _surplus(request: Request, project: Project) -> list[Row]:
    judgements = list(contested.surplus(project).order_by("pk")[:MOST])
    keys = [one.task_id for one in judgements]
    about, texts = contested.beginnings(keys), contested.compared(keys)
    current = Revision.objects.current().filter(judgement__in=judgements)
    revisions = {one.judgement_id: one for one in current.select_related("judgement__user", "presentation")}
    given = {one.pk: _given(request, revisions[one.pk], one.task, texts.get(one.task_id, [])) for one in judgements}
    return [
        Row(
            task=one.task,
            about=(about.get(one.task_id) or given[one.pk].instruction)[:START],
            skips=[],
            notes=[],
            texts=_lettered(texts.get(one.task_id, [])),
            answers=[given[one.pk]],
        )
        for one in judgements
    ]


def _objections(request: Request, project: Project) -> list[Objected]:
    """Five queries."""
    waiting = list(contested.objections(project).order_by("pk")[:MOST])
    reviews = [one.task.follows.task_id for one in waiting if one.task.follows]
    about, texts = contested.beginnings(reviews), contested.compared(reviews)
    said = {row.judgement.task_id: row for row in contested.returns([one.task.follows_id for one in waiting])}
    took_part = contested.took_part(reviews, request.user)
    return [
        Objected(
            objection=one,
            by=one.user.pseudonym(project),
            about=about.get(review, ""),
            answer=texts[review][0].body,
            said=said[review].answer if review in said else {},
            own=one.user_id == request.user.pk or review in took_part,
        )
        for one, review in zip(waiting, reviews, strict=True)
    ]


def _lettered(texts: list[Text]) -> list[tuple[str, str]]:
    return [(letter, text.body) for letter, text in zip(LETTERS, texts, strict=False)]


def _given(request: Request, revision: Revision, task: Task, texts: list[Text]) -> Given:
    judgement = revision.judgement
    own = judgement.user_id == request.user.pk
    asks = task.state == Task.State.ADMITTED
    by = judgement.user.pseudonym(task.queue.project) if judgement.user else ""
    return Given(
        judgement=judgement,
        kind=task.queue.kind,
        by=by,
        body=revision.answer | {"places": places(revision.answer, [text.pk for text in texts])},
        hidden="own" if own else "asks" if asks else "",
    )


def _uuid(value: str) -> UUID | None:
    try:
        return UUID(value)
    except ValueError:
        return None
