"""How far a project's work is: by queue, by person, and one person's own record. Reads only, counted anew each time.

Times are the active ones: a visible tab with input in the last minute, so that pauses take no part.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any  # rows of any model

from django.db.models import Count, Max, Min, Q, QuerySet
from django.utils.timezone import localtime, now

from annotate.models import (
    Judgement,
    Membership,
    Presentation,
    Project,
    Queue,
    Role,
    Slot,
    Task,
    User,
)
from annotate.rows import run

DAY = timedelta(days=1)
WEEK_DAYS, RECORD_DAYS = 7, 14
LEAST_ANSWERS = 5  # below, a rate or a median says nothing
UNFINISHED = [Task.State.HELD, Task.State.ADMITTED, Task.State.PARKED]
SCANNED, NEWEST_TIMES, OWN_TIMES = 20_000, 4_000, 200  # answers that a median is looked for in, and rests on
JUDGES = [Role.ASSESSOR, Role.REVIEWER]
# The literals let the database use the indexes of these few rows; CROSS keeps SQLite from beginning with another table.
SKIPPED = """
SELECT {key}, COUNT(*) FROM annotate_exclusion e CROSS JOIN annotate_task t CROSS JOIN annotate_queue q
WHERE e.reason = 'skipped' AND t.id = e.task_id AND q.id = t.queue_id AND q.project_id = %s GROUP BY 1
"""
UNDONE = """
SELECT {key}, COUNT(*) FROM annotate_revision r CROSS JOIN annotate_judgement j CROSS JOIN annotate_task t
CROSS JOIN annotate_queue q WHERE r.kind = 'undo' AND j.id = r.judgement_id AND t.id = j.task_id AND q.id = t.queue_id
AND q.project_id = %s GROUP BY 1
"""
TIMES = """
SELECT j.user_id, p.active_ms FROM annotate_presentation p CROSS JOIN annotate_revision r
CROSS JOIN annotate_judgement j CROSS JOIN annotate_task t CROSS JOIN annotate_queue q
WHERE p.id > (SELECT MAX(id) FROM annotate_presentation) - %(scanned)s AND p.active_ms IS NOT NULL
AND r.id = p.revision_id AND j.id = r.judgement_id AND j.user_id IS NOT NULL
AND t.id = j.task_id AND q.id = t.queue_id AND q.project_id = %(project)s
ORDER BY p.id DESC LIMIT %(most)s
"""


@dataclass(frozen=True)
class Figure:
    """A number with how many answers it rests on; value None where they are too few, and why says so."""

    value: float | None
    n: int
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One queue. In tasks: wanted, done (all answers given), begun (some given or under way), parked (three skipped).

    In answers: left, surplus (kept beyond what was wanted), skipped (with a reason, "later" apart), and per_day, the
    rate of the last seven days. days_left: at that rate.
    """

    queue: Queue
    wanted: int
    done: int
    begun: int
    parked: int
    left: int
    surplus: int
    skipped: int
    per_day: Figure
    days_left: Figure


@dataclass(frozen=True, kw_only=True)
class Person:
    """counted: answers of theirs that count now; today and week: those given since midnight, in seven days.

    median_s: active seconds an answer, of the newest.
    """

    user: User
    counted: int
    today: int
    week: int
    median_s: Figure
    skips: int
    undos: int


@dataclass(frozen=True, kw_only=True)
class Day:
    on: date
    answers: int


@dataclass(frozen=True, kw_only=True)
class Record:
    """Answers given today, since Monday, and on each of the last fourteen days, the oldest first.

    people: how many gave this week's.
    """

    days: list[Day]
    today: int
    week: int
    people: int
    median_s: Figure

    @property
    def most(self) -> int:
        """Of one day."""
        return max(day.answers for day in self.days)


def stages(project: Project) -> list[Stage]:
    """A stage a queue, in the order in which they were made. Six queries, whatever the project holds."""
    queues = list(project.queues.order_by("pk"))
    states: defaultdict[int, dict[str, int]] = defaultdict(dict)
    tasks = Task.objects.filter(queue__in=queues).exclude(state=Task.State.VOID).order_by()
    for queue, state, n in tasks.values_list("queue", "state").annotate(n=Count("pk")):
        states[queue][state] = n
    begun, asked = _under_way(queues)
    rates = _rates(queues)
    surplus = _counts(Judgement.objects.filter(counted=False, task__queue__in=queues), "task__queue")
    skipped = _rare(SKIPPED, "q.id", project)
    found = []
    for queue in queues:
        of, rate = states[queue.pk], rates.get(queue.pk, Figure(None, 0, "too_few"))
        left = asked.get(queue.pk, 0) + of.get(Task.State.HELD, 0) * queue.overlap
        found.append(
            Stage(
                queue=queue,
                wanted=sum(of.values()),
                done=of.get(Task.State.COMPLETE, 0),
                begun=begun.get(queue.pk, 0),
                parked=of.get(Task.State.PARKED, 0),
                left=left,
                surplus=surplus.get(queue.pk, 0),
                skipped=skipped.get(queue.pk, 0),
                per_day=rate,
                days_left=Figure(left / rate.value, rate.n) if rate.value else Figure(None, rate.n, "too_few"),
            )
        )
    return found


def people(project: Project, *, only: User | None = None) -> list[Person]:
    """Who works or worked here, by name; of one person where `only` names them. Six queries."""
    done = Slot.objects.filter(queue__project=project, status=Slot.Status.DONE)
    if only:
        done = done.filter(user=only)
    counted = _counts(done, "user")
    users = [only] if only else _workers(project, counted)
    recent = _recent(project, users)
    times = {only.pk: _own_times(project, only)} if only else _times(project)
    skips, undos = _rare(SKIPPED, "e.user_id", project), _rare(UNDONE, "j.user_id", project)
    return [
        Person(
            user=user,
            counted=counted.get(user.pk, 0),
            today=recent.get(user.pk, (0, 0))[0],
            week=recent.get(user.pk, (0, 0))[1],
            median_s=_median(times.get(user.pk, [])),
            skips=skips.get(user.pk, 0),
            undos=undos.get(user.pk, 0),
        )
        for user in users
    ]


def record(project: Project, *, only: User | None = None) -> Record:
    """What one person gave, or where none is named all members together. Two queries."""
    today = midnight()
    first = today - (RECORD_DAYS - 1) * DAY
    starts = [first + number * DAY for number in range(RECORD_DAYS)]
    whose = Q(user=only) if only else Q(user__in=User.objects.filter(memberships__project=project).values("pk"))
    given = Judgement.objects.filter(whose, created_at__gte=first, task__queue__project=project)
    of_days = [Count("pk", filter=Q(created_at__gte=at, created_at__lt=at + DAY)) for at in starts]
    rows = given.order_by().values_list("user").annotate(**{f"day_{n}": one for n, one in enumerate(of_days)})
    by_person = [row[1:] for row in rows]
    days = [Day(on=at.date(), answers=sum(row[n] for row in by_person)) for n, at in enumerate(starts)]
    this_week = RECORD_DAYS - 1 - today.weekday()
    times = _own_times(project, only) if only else [one for own in _times(project).values() for one in own]
    return Record(
        days=days,
        today=days[-1].answers,
        week=sum(day.answers for day in days[this_week:]),
        people=sum(any(row[this_week:]) for row in by_person),
        median_s=_median(times),
    )


def standing(project: Project) -> list[object]:
    """What changes with every answer: when each queue last gave out a task, and its tasks by state. Two queries."""
    queues = list(project.queues.order_by("pk").values_list("pk", flat=True))
    tasks = Task.objects.filter(queue__in=queues).order_by("queue", "state").values_list("queue", "state")
    leased = Slot.objects.filter(queue__in=queues).order_by("queue").values_list("queue")
    return [*tasks.annotate(n=Count("pk")), *leased.annotate(newest=Max("leased_at"))]


def midnight() -> datetime:
    return localtime().replace(hour=0, minute=0, second=0, microsecond=0)


def _under_way(queues: list[Queue]) -> tuple[dict[int, int], dict[int, int]]:
    """Of admitted tasks, by queue: how many are begun, and how many answers they still ask for. One query."""
    taken = Q(slots__status__in=[Slot.Status.LEASED, Slot.Status.DONE])
    asked = Q(slots__status__in=[Slot.Status.OPEN, Slot.Status.LEASED])
    admitted = Task.objects.filter(queue__in=queues, state=Task.State.ADMITTED).order_by()
    rows = admitted.values_list("queue").annotate(
        begun=Count("pk", filter=taken, distinct=True), asked=Count("slots", filter=asked)
    )
    found = list(rows)
    return {queue: n for queue, n, _ in found}, {queue: n for queue, _, n in found}


def _rates(queues: list[Queue]) -> dict[int, Figure]:
    """Answers a day by queue, of the last seven days or of as many as there are. One query."""
    at = now()
    given = Slot.objects.filter(queue__in=queues, status=Slot.Status.DONE, leased_at__gte=at - WEEK_DAYS * DAY)
    rows = given.order_by().values_list("queue").annotate(n=Count("pk"), first=Min("leased_at"))
    return {queue: _rate(n, (at - first) / DAY) for queue, n, first in rows}


def _rate(n: int, days: float) -> Figure:
    return Figure(n / max(1.0, days), n) if n >= LEAST_ANSWERS else Figure(None, n, "too_few")


def _workers(project: Project, counted: dict[int, int]) -> list[User]:
    """Who may judge here, and who has. One query."""
    members = Membership.objects.filter(project=project, role__in=JUDGES).values("user")
    return list(User.objects.filter(Q(pk__in=members) | Q(pk__in=list(counted))).order_by("pk"))


def _recent(project: Project, users: list[User]) -> dict[int, tuple[int, int]]:
    """By person: answers that count, since midnight and in seven days. One query, by the newest of each person."""
    given = Judgement.objects.filter(
        user__in=users,
        created_at__gte=now() - WEEK_DAYS * DAY,
        slot__status=Slot.Status.DONE,
        task__queue__project=project,
    )
    since = Q(created_at__gte=midnight())
    rows = given.order_by().values_list("user").annotate(of_today=Count("pk", filter=since), n=Count("pk"))
    return {user: (of_today, n) for user, of_today, n in rows}


def _times(project: Project) -> dict[int, list[int]]:
    """By person: milliseconds of the newest answers here, of all people together. One bounded query."""
    found: defaultdict[int, list[int]] = defaultdict(list)
    values = {"project": project.pk, "scanned": SCANNED, "most": NEWEST_TIMES}
    for user, active_ms in run(TIMES, values).fetchall():
        found[user].append(active_ms)
    return found


def _own_times(project: Project, user: User) -> list[int]:
    """Milliseconds of the person's newest answers here. One query."""
    newest = Judgement.objects.filter(user=user, task__queue__project=project).order_by("-created_at").values("pk")
    timed = Presentation.objects.filter(revision__judgement__in=newest[:OWN_TIMES], active_ms__isnull=False)
    return [active_ms or 0 for active_ms in timed.values_list("active_ms", flat=True)]


def _median(milliseconds: list[int]) -> Figure:
    """In seconds."""
    n = len(milliseconds)
    return Figure(median(milliseconds) / 1_000, n) if n >= LEAST_ANSWERS else Figure(None, n, "too_few")


def _counts(rows: QuerySet[Any], key: str) -> dict[int, int]:
    """How many rows have each value of a column. One query."""
    return dict(rows.order_by().values_list(key).annotate(n=Count("pk")))


def _rare(sql: str, key: str, project: Project) -> dict[int, int]:
    """How many of these rows the project has, by key. One query."""
    return dict(run(sql.format(key=key), [project.pk]).fetchall())
