"""Keep what a detector found harmful from a person who asked for it, for the rest of their day; show it again.

A hiding writes exclusions that end by themselves, so that the claim asks nothing new. It counts nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F
from django.utils.timezone import localtime

from annotate.cleaning.unsafe import NAME as DETECTOR
from annotate.errors import AnnotateError
from annotate.models import Exclusion, Flag, Hiding, LeaseEvent, Project, Slot, Task, User
from annotate.queue import clock, end_leases
from annotate.rows import run

LONGEST = timedelta(hours=25)  # the day on which clocks go back
_AT_ONCE = 500
# Whoever has a lasting reason keeps it; one that passes gives way to a later end
WRITE = """
INSERT INTO annotate_exclusion (task_id, user_id, reason, skip, note, until)
SELECT t.id, h.user_id, 'hidden', '', '', MAX(h.until)
FROM annotate_hiding h
JOIN annotate_flag f ON f.category = h.category AND f.detector = %(detector)s AND f.retired_at IS NULL
JOIN annotate_tasktext tt ON tt.text_id = f.text_id
JOIN annotate_task t ON t.id = tt.task_id AND t.state IN ('held', 'admitted', 'parked')
JOIN annotate_queue q ON q.id = t.queue_id AND q.project_id = h.project_id
WHERE h.project_id = %(project)s AND h.until > %(now)s {only}
GROUP BY t.id, h.user_id
ON CONFLICT (task_id, user_id) DO UPDATE SET reason = 'hidden', until = excluded.until
  WHERE annotate_exclusion.reason IN ('later', 'hidden') AND annotate_exclusion.until < excluded.until
"""


def categories_of(task: Task) -> list[str]:
    """What of the task's texts can be hidden: the categories of harm that a detector saw in them. One query."""
    found = Flag.objects.filter(text__task_texts__task=task, detector=DETECTOR)
    return sorted(set(found.values_list("category", flat=True)))


def local_midnight() -> datetime:
    """When the day of the service ends, for whoever does not say when their own does."""
    return localtime(clock()).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


@transaction.atomic
def hide(
    *, project: Project, by: User, categories: Sequence[str], until: datetime | None, task: Task | None
) -> list[Hiding]:
    """Give by no task of project about texts flagged so until then; what began now, and not earlier.

    until: the end of by's day; None is the service's. A lease that by has on such a task ends, its draft stays.
    task: whose skip asks for it. The caller, where it locks a task, has locked the project before.

    Raises AnnotateError with code bad_hide where nothing of the project is flagged so, or until is not within 25 hours.
    """
    ends = until or local_midnight()
    _check(project, categories, ends)
    lock(project)
    made = []
    for category in categories:
        hiding, new = Hiding.objects.get_or_create(
            project=project, user=by, category=category, defaults={"until": ends, "task": task}
        )
        if new or hiding.until < ends:
            Hiding.objects.filter(pk=hiding.pk).update(until=ends, task=task)
            hiding.until, hiding.task = ends, task
            made.append(hiding)
    _write(project.pk)
    _let_go(project, by)
    return made


@transaction.atomic
def show_again(*, hiding: Hiding) -> None:
    """Give its person such tasks again, but for those that another hiding keeps away. hiding comes with its project."""
    lock(hiding.project)
    hidden = Exclusion.objects.filter(
        user=hiding.user_id, reason=Exclusion.Reason.HIDDEN, task__queue__project=hiding.project_id
    )
    put_off = hidden.filter(skip=Exclusion.Skip.LATER)
    put_off.update(reason=Exclusion.Reason.LATER, until=F("created_at") + timedelta(minutes=Exclusion.LATER_MINUTES))
    hidden.delete()
    hiding.delete()
    _write(hiding.project_id)


def keep_hidden(project_id: int, text_ids: Iterable[int]) -> None:
    """Hide tasks about these texts, just built or flagged, from whoever hides such. One query where nobody does."""
    if not Hiding.objects.filter(project=project_id).holding().exists():
        return
    ids = sorted(text_ids)
    for start in range(0, len(ids), _AT_ONCE):
        some = {f"text{place}": key for place, key in enumerate(ids[start : start + _AT_ONCE])}
        _write(project_id, only=some)


def forget_hidden() -> int:
    """Remove the hidings that hold no more and what they wrote; how many of these rows."""
    at = clock()
    Hiding.objects.filter(until__lt=at).delete()
    return Exclusion.objects.filter(reason=Exclusion.Reason.HIDDEN, until__lt=at).delete()[0]


def lock(project: Project) -> None:
    """Who hides and who flags in a project take turns, so that no task slips through between them."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)


def _check(project: Project, categories: Sequence[str], until: datetime) -> None:
    known = Flag.objects.filter(text__project=project, detector=DETECTOR, category__in=categories)
    if not categories or set(categories) != set(known.values_list("category", flat=True).distinct()):
        raise AnnotateError("bad_hide", "Nothing here is marked so; hide what a text is marked with.", field="hide")
    at = clock()
    if not at < until <= at + LONGEST:
        raise AnnotateError("bad_hide", "Hidden is until the end of your day: within 25 hours.", field="hide_until")


def _write(project_id: int, *, only: dict[str, int] | None = None) -> None:
    """The exclusions of all hidings that hold in project. only: for these texts, by the name of their parameter."""
    now = connection.ops.adapt_datetimefield_value(clock())
    names = ", ".join(f"%({name})s" for name in only or {})
    values = {"detector": DETECTOR, "project": project_id, "now": now, **(only or {})}
    run(WRITE.format(only=f"AND f.text_id IN ({names})" if names else ""), values)


def _let_go(project: Project, by: User) -> None:
    """End by's leases on what is hidden now."""
    hidden = Exclusion.objects.filter(user=by, reason=Exclusion.Reason.HIDDEN, until__gt=clock())
    held = Slot.objects.filter(user=by, queue__project=project, task__in=hidden.values("task"))
    end_leases(held, ending=LeaseEvent.Ending.RELEASED)
