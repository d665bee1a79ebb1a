"""What a person has done in a queue, what is left there, and how long an answer takes them: beside each task."""

from __future__ import annotations

from statistics import median
from typing import TypedDict

from django.db import connection
from django.utils.timezone import localtime

from annotate.models import Queue, User
from annotate.rows import run

MOST_COUNTED = 1_000
TIMED_ANSWERS = 25
NEWEST_ANSWERS = 200  # of a person, in all queues

# each row is looked up by itself (OFFSET keeps PostgreSQL from joining): it plans for tables that will have grown
PROGRESS = """
SELECT 'done', COUNT(*) FROM (
  SELECT 1 FROM annotate_judgement j WHERE j.user_id = %(user)s AND j.created_at >= %(midnight)s AND {here}
  LIMIT %(most)s) AS done
UNION ALL
SELECT 'left', COUNT(*) FROM (
  SELECT 1 FROM annotate_task WHERE queue_id = %(queue)s AND state IN ('held', 'admitted') LIMIT %(most)s) AS wanted
UNION ALL
SELECT 'ms', (
  SELECT p.active_ms FROM annotate_presentation p WHERE p.revision_id = (
    SELECT r.id FROM annotate_revision r WHERE r.judgement_id = newest.id AND r.number = 1))
FROM (SELECT j.id FROM (
    SELECT id, task_id FROM annotate_judgement WHERE user_id = %(user)s ORDER BY created_at DESC LIMIT %(newest)s) AS j
  WHERE {here} LIMIT %(timed)s) AS newest
""".format(
    here="EXISTS (SELECT 1 FROM annotate_task t WHERE t.id = j.task_id AND t.queue_id = %(queue)s LIMIT 1 OFFSET 0)"
)


class Progress(TypedDict):
    """left: tasks that still want answers; 1,000 stands for that many or more.

    median_s: of the last 25 answers here, each as it was first given, among the newest 200 of the person.
    """

    done_today: int
    left: int
    median_s: float | None


def progress(queue: Queue, user: User) -> Progress:
    """What user has done today in this queue, what is left, and how long an answer takes. One bounded statement."""
    midnight = localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    values = {
        "queue": queue.pk,
        "user": user.pk,
        "midnight": connection.ops.adapt_datetimefield_value(midnight),
        "most": MOST_COUNTED,
        "newest": NEWEST_ANSWERS,
        "timed": TIMED_ANSWERS,
    }
    (_, done), (_, left), *times = run(PROGRESS, values).fetchall()
    known = [ms for _, ms in times if ms is not None]
    return {"done_today": done, "left": left, "median_s": median(known) / 1_000 if known else None}
