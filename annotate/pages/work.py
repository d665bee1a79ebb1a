"""What waits for a person, by queue, and taking the next task."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.timezone import localtime, now
from django.views.decorators.http import require_GET, require_POST

from annotate.access import WORKERS, project_for, work_for
from annotate.models import Hiding, Judgement, Presentation, Project, Queue, QueuePause, Slot, Task, User
from annotate.pages.request import Request, instant
from annotate.qualification import must_accept, waits_for_quiz
from annotate.queue import Claim, claim
from annotate.rates import count_claim

NEWEST = 200
WEEK = timedelta(days=7)
NONE = (0, 0)
CAUSES = {"closed", "paused", "guideline", "quiz", "finished", "leased", "later", "hidden", "own_texts", "others"}


@dataclass(frozen=True)
class Row:
    """A queue as one person sees it.

    share: of the answers of the last seven days that are theirs; None where nobody gave one. median_s: of their own
    last answers. returned: tasks that came back to them. held: they have a task of it, which they may finish whatever
    keeps them from others. paused: a reviewer keeps them out. is_first: Enter starts it.
    """

    queue: Queue
    waiting: int
    begun: int
    done_today: int
    share: int | None
    median_s: float | None
    returned: int
    held: bool
    paused: bool
    is_first: bool


@require_GET
def work(request: Request, project: UUID) -> HttpResponse:
    """All queues that the person's roles open; why there was nothing, after a Start that found nothing."""
    found = project_for(request.user, project)
    roles = request.user.roles(found)
    kinds = [kind for kind, wanted in WORKERS.items() if roles & set(wanted)]
    rows = _rows(found, request.user, kinds)
    context = {
        "rows": rows,
        "kinds": kinds,
        "nothing": _nothing(request, rows),
        "hidden": Hiding.objects.filter(project=found, user=request.user).holding().order_by("category"),
        "quiz_first": waits_for_quiz(found, request.user),
        "guideline_first": must_accept(found, request.user),
    }
    return render(request, "annotate/work.html", context)


@require_POST
def start(request: Request, queue: UUID) -> HttpResponse:
    """Claim the next task and go to it."""
    found = work_for(request.user, queue)
    count_claim(request.user)
    return redirect(onward(found, claim(found, request.user)))


def onward(queue: Queue, found: Claim) -> str:
    """Where a claim leads: the task, or the list with the cause of nothing."""
    if found.slot:
        return reverse("slot", args=[found.slot.uuid])
    said = {"queue": str(queue.uuid), "cause": found.cause, "until": found.until.isoformat() if found.until else ""}
    return f"{reverse('work', args=[queue.project.uuid])}?{urlencode(said)}"


def _rows(project: Project, user: User, kinds: list[str]) -> list[Row]:
    """Seven queries, whatever the number of queues."""
    pauses = QueuePause.objects.filter(queue=OuterRef("pk"), user=user, ended_at=None)
    queues: Any = project.queues.filter(kind__in=kinds)  # Any: each gets `paused`
    queues = queues.annotate(paused=Exists(pauses)).order_by("pk")
    waiting = _waiting(project)
    done, taken, returned = _done_today(project, user), _times(project, user), _returned(project, user)
    shares = _shares(queues, user)
    leased = Slot.objects.filter(queue__project=project, user=user, status=Slot.Status.LEASED)
    held = set(leased.values_list("queue", flat=True))
    open_now = [queue for queue in queues if queue.pk in waiting and not queue.closed_at and not queue.paused]
    first = next((queue for queue in open_now if returned.get(queue.pk)), open_now[0] if open_now else None)
    return [
        Row(
            queue=queue,
            waiting=waiting.get(queue.pk, NONE)[0],
            begun=waiting.get(queue.pk, NONE)[1],
            done_today=done.get(queue.pk, 0),
            share=shares.get(queue.pk),
            median_s=median(taken[queue.pk]) / 1_000 if queue.pk in taken else None,
            returned=returned.get(queue.pk, 0),
            held=queue.pk in held,
            paused=queue.paused,
            is_first=queue == first,
        )
        for queue in queues
    ]


def _waiting(project: Project) -> dict[int, tuple[int, int]]:
    """(tasks that wait, those of them that are begun), by queue where there are any."""
    taken = Q(slots__status__in=[Slot.Status.LEASED, Slot.Status.DONE])
    asked = Task.objects.filter(queue__project=project, state__in=[Task.State.HELD, Task.State.ADMITTED])
    rows = (
        asked.order_by()
        .values_list("queue")
        .annotate(n=Count("pk", distinct=True), begun=Count("pk", filter=taken, distinct=True))
    )
    return {queue: (n, begun) for queue, n, begun in rows}


def _done_today(project: Project, user: User) -> dict[int, int]:
    midnight = localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    own = Judgement.objects.filter(user=user, created_at__gte=midnight, task__queue__project=project)
    return dict(own.values_list("task__queue").annotate(n=Count("pk")))


def _shares(queues: QuerySet[Queue], user: User) -> dict[int, int]:
    """In percent, by queue."""
    given = Slot.objects.filter(queue__in=queues, status=Slot.Status.DONE, leased_at__gte=now() - WEEK)
    rows = given.order_by().values_list("queue").annotate(n=Count("pk"), own=Count("pk", filter=Q(user=user)))
    return {queue: round(100 * own / n) for queue, n, own in rows}


def _times(project: Project, user: User) -> dict[int, list[int]]:
    own = Presentation.objects.filter(
        revision__judgement__user=user, revision__judgement__task__queue__project=project, active_ms__isnull=False
    )
    newest = own.order_by("-pk").values_list("revision__judgement__task__queue", "active_ms")[:NEWEST]
    times: defaultdict[int, list[int]] = defaultdict(list)
    for queue, active_ms in newest:
        times[queue].append(active_ms or 0)
    return dict(times)


def _returned(project: Project, user: User) -> dict[int, int]:
    own = Slot.objects.filter(queue__project=project, reserved_for=user, status=Slot.Status.OPEN)
    return dict(own.values_list("queue").annotate(n=Count("pk")))


def _nothing(request: Request, rows: list[Row]) -> dict[str, object] | None:
    cause = request.GET.get("cause", "")
    if cause not in CAUSES:
        return None
    queue = next((row.queue for row in rows if str(row.queue.uuid) == request.GET.get("queue", "")), None)
    return {"queue": queue, "cause": cause, "until": instant(request.GET.get("until", ""))}
