"""What waits for a reviewer beside tasks: what was parked, what is disputed, what is surplus, and who is paused."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from django.db.models import Count, Exists, OuterRef, QuerySet

from annotate.models import (
    Exclusion,
    Judgement,
    Objection,
    Project,
    Queue,
    QueuePause,
    Revision,
    Slot,
    Task,
    TaskText,
    Text,
    User,
)

ABOUT = [TaskText.Part.DOCUMENT, TaskText.Part.PROMPT]


def parked(project: Project) -> QuerySet[Task]:
    waiting = Objection.objects.waiting().filter(task=OuterRef("pk"))
    return _tasks(project).filter(~Exists(waiting), state=Task.State.PARKED)


def disputed(project: Project) -> QuerySet[Task]:
    return _tasks(project).filter(disputed=True)


def surplus(project: Project) -> QuerySet[Judgement]:
    """Answers outside the count that nobody has taken back."""
    found = Judgement.objects.filter(task__queue__project=project, slot=None, user__isnull=False, counted=False)
    standing = Revision.objects.current().filter(judgement__in=found).values("judgement")
    return found.filter(pk__in=standing).select_related("task__queue__project", "user")


def objections(project: Project) -> QuerySet[Objection]:
    """That nobody has decided."""
    waiting = Objection.objects.waiting().filter(task__queue__project=project)
    return waiting.select_related("user", "task__queue__project", "task__follows__task__queue")


def returns(judgements: Iterable[int | None]) -> list[Revision]:
    """What these reviews say. One query."""
    found = Revision.objects.current().filter(judgement__in=[key for key in judgements if key])
    return list(found.select_related("judgement"))


def took_part(task_ids: Iterable[int], user: User) -> set[int]:
    """The tasks that user holds or has answered, or whose texts they wrote or edited. One query."""
    keys = list(task_ids)
    held = Slot.objects.filter(task__in=keys, user=user, status__in=[Slot.Status.LEASED, Slot.Status.DONE])
    given = Revision.objects.current().filter(judgement__task__in=keys, judgement__user=user)
    own = Exclusion.objects.filter(task__in=keys, user=user, reason__in=Exclusion.OWN)
    found = held.order_by().values_list("task", flat=True)
    others = given.order_by().values_list("judgement__task", flat=True), own.values_list("task", flat=True)
    return set(found.union(*others))


def pauses(project: Project) -> QuerySet[QueuePause]:
    """That still run."""
    return QueuePause.objects.filter(queue__project=project, ended_at=None).select_related("queue__project", "user")


def people(project: Project) -> list[tuple[str, int]]:
    """(pseudonym, answers) of the members who have answered here, most answers first. One query."""
    users = User.objects.filter(memberships__project=project, judgements__task__queue__project=project)
    counted = users.annotate(answers=Count("judgements", distinct=True)).order_by("-answers", "pk")
    return [(user.pseudonym(project), user.answers) for user in counted]


def beginnings(task_ids: Iterable[int]) -> dict[int, str]:
    """What each task is about: its document, else its prompt. One query."""
    rows = TaskText.objects.filter(task__in=list(task_ids), part__in=ABOUT).select_related("text")
    return {row.task_id: row.text.body for row in rows.order_by("-position")}


def compared(task_ids: Iterable[int]) -> dict[int, list[Text]]:
    """By task: the answers that it compares, in neutral order. One query."""
    rows = TaskText.objects.filter(task__in=list(task_ids), part=TaskText.Part.ANSWER).select_related("text")
    found: defaultdict[int, list[Text]] = defaultdict(list)
    for row in rows.order_by("position"):
        found[row.task_id].append(row.text)
    return dict(found)


def skips(task_ids: Iterable[int]) -> dict[int, tuple[list[tuple[str, int]], list[str]]]:
    """By task: how often each reason to skip it was given, and the notes. One query."""
    counts: defaultdict[int, Counter[str]] = defaultdict(Counter)
    notes: defaultdict[int, list[str]] = defaultdict(list)
    rows = Exclusion.objects.filter(task__in=list(task_ids), reason=Exclusion.Reason.SKIPPED).order_by("pk")
    for row in rows:
        counts[row.task_id][row.skip] += 1
        notes[row.task_id] += [row.note] if row.note else []
    return {task: (counts[task].most_common(), notes[task]) for task in counts}


def answers(task_ids: Iterable[int]) -> dict[int, list[Revision]]:
    """By task: the answers that stand and count, the first one first. One query."""
    found: defaultdict[int, list[Revision]] = defaultdict(list)
    rows = Revision.objects.counted().filter(judgement__task__in=list(task_ids)).order_by("judgement")
    for row in rows.select_related("judgement__user", "presentation"):
        found[row.judgement.task_id].append(row)
    return dict(found)


def _tasks(project: Project) -> QuerySet[Task]:
    queues = Queue.objects.filter(project=project)
    return Task.objects.filter(queue__in=queues).select_related("queue__project")
