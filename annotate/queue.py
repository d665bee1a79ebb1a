"""Next work for a person: claim, heartbeat, release, sweep, admission.

Both SQL dialects of the claim live here and nowhere else. What a person then does with a slot is `annotate.actions`.
"""

from __future__ import annotations

import random
import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any  # Any: parameters of a statement

from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils.timezone import now

from annotate.errors import AnnotateError
from annotate.models import Exclusion, LeaseEvent, Queue, Slot, Task, User
from annotate.overlap import settle_overlap
from annotate.qualification import must_accept, waits_for_quiz
from annotate.rows import Columns, run

TRIES = 6
MOST_LEASES = 4
LEAST_CAP = 20
NEWEST_LEASES = 2_000

SLOT, TASK = Columns(Slot), Columns(Task)
TASK_OF = f"SELECT {TASK.of('t')} FROM annotate_task t WHERE t.id = %s"
# OFFSET keeps PostgreSQL from joining with all that a person has answered: each candidate is looked up by itself
PICK = """
SELECT s.id FROM annotate_slot s
WHERE s.queue_id = %(queue)s AND {free}
  AND (s.reserved_for_id IS NULL OR s.reserved_for_id = %(user)s)
  AND NOT EXISTS (SELECT 1 FROM annotate_queuepause w
    WHERE w.queue_id = %(queue)s AND w.user_id = %(user)s AND w.ended_at IS NULL)
  AND NOT EXISTS (SELECT 1 FROM annotate_guideline g WHERE g.project_id = %(project)s AND g.major AND NOT EXISTS (
    SELECT 1 FROM annotate_acceptance a JOIN annotate_guideline h ON h.id = a.guideline_id
    WHERE a.user_id = %(user)s AND h.project_id = %(project)s AND h.version >= g.version))
  AND NOT EXISTS (SELECT 1 FROM annotate_slot m
    WHERE m.task_id = s.task_id AND m.user_id = %(user)s AND m.status IN ('leased', 'done') LIMIT 1 OFFSET 0)
  AND NOT EXISTS (SELECT 1 FROM annotate_exclusion e
    WHERE e.task_id = s.task_id AND e.user_id = %(user)s AND (e.until IS NULL OR e.until > {now})
    LIMIT 1 OFFSET 0)
ORDER BY s.priority DESC, s.admit_seq, s.ordinal LIMIT 1
"""
LEASE = """
status = 'leased', user_id = %(user)s, token = %(token)s, lease_until = {until}, leased_at = {now}, shown_at = {now},
first_input_at = NULL
"""
HELD = "queue_id = %(queue)s AND user_id = %(user)s AND status = 'leased'"
OPEN = "s.status = 'open'"
EXPIRED = "s.status = 'leased' AND s.lease_until < {now}"


@dataclass(frozen=True)
class Claim:
    """A leased slot, or why there is none.

    cause: closed, paused (a reviewer keeps you out), guideline (accept it first), quiz (pass it first), finished,
    leased (others hold what is left, until), later (you put it off, until), hidden (you asked not to see it, until),
    own_texts (what is left you wrote or judged before), others (what is left waits for other people).
    """

    slot: Slot | None
    why: str = ""
    cause: str = ""
    until: datetime | None = None


def claim(queue: Queue, user: User) -> Claim:
    """The task that user works on next, leased to them, or the cause of nothing.

    In this order: the lease that user still holds here, an open slot, one of newly admitted tasks, one whose lease
    ran out. Four statements where a slot is open.
    """
    if queue.closed_at:  # who holds a task finishes it
        held = _renewed(queue, user)
        return Claim(slot=held, why=why(held)) if held else Claim(slot=None, cause="closed")
    if waits_for_quiz(queue.project, user):
        return Claim(slot=None, cause="quiz")
    for number in range(TRIES):
        if number:
            time.sleep(random.uniform(0.002, 0.008))
        try:
            with transaction.atomic():
                slot = _renewed(queue, user) or _next(queue, user)
        except IntegrityError:
            continue  # another tab of this person won: its lease is found next time
        if slot:
            return Claim(slot=slot, why=why(slot))
        if not _locked_by_neighbours(queue, user):
            break
    return _nothing(queue, user)


def why(slot: Slot) -> str:
    """Why this task came to this person, in words that give nothing away."""
    if slot.reserved_for_id:
        return "returned to you"
    if slot.extra:
        return "extra opinion"
    return "oldest begun" if slot.ordinal else "next in order"


def heartbeat(slot: Slot, *, user: User, token: str, active: bool) -> datetime:
    """The end of the lease, moved on where there was input in the last 5 minutes; never past 4 leases.

    Raises AnnotateError with code lease_lost where somebody else, or nobody, holds the slot now.
    """
    held = Slot.objects.filter(pk=slot.pk, user=user, token=token, status=Slot.Status.LEASED)
    current = held.select_related("queue").first()
    if current is None or current.lease_until is None or current.leased_at is None:
        raise AnnotateError("lease_lost", "Your time for this task ran out. What you send still counts.", status=409)
    if not active:
        return current.lease_until
    at = clock()
    lease = timedelta(minutes=current.queue.lease_minutes)
    until = max(current.lease_until, min(at + lease, current.leased_at + MOST_LEASES * lease))
    held.update(lease_until=until, first_input_at=current.first_input_at or at)
    return until


@transaction.atomic
def release(slot: Slot, *, user: User, token: str) -> None:
    """Hand the slot back at once; nothing where user does not hold it any more."""
    end_leases(Slot.objects.filter(pk=slot.pk, user=user, token=token), ending=LeaseEvent.Ending.RELEASED)


@transaction.atomic
def sweep() -> int:
    """Return expired leases to the queue; how many. The queue works without it, people see the truth sooner with it."""
    expired = Slot.objects.filter(lease_until__lt=clock())
    return end_leases(expired, ending=LeaseEvent.Ending.EXPIRED, skip_locked=True)


def end_leases(slots: QuerySet[Slot], *, ending: str, skip_locked: bool = False) -> int:
    """End those of slots that are leased; how many. Locks their tasks, by number, before them.

    skip_locked: pass by what somebody else holds at the moment.
    """
    leased = slots.filter(status=Slot.Status.LEASED)
    tasks = lock_tasks(Task.objects.filter(pk__in=leased.values("task")), skip_locked=skip_locked)
    free = leased.select_for_update(no_key=True, skip_locked=skip_locked, of=("self",))
    rows = list(free.filter(task__in=tasks).order_by("pk"))
    for slot in rows:
        slot.task = tasks[slot.task_id]
        end_lease(slot, ending=ending)
    return len(rows)


def lock_tasks(tasks: QuerySet[Task], *, skip_locked: bool = False) -> dict[int, Task]:
    """The tasks with their queues, locked by number: whoever holds several takes them in this order."""
    rows = tasks.select_for_update(no_key=True, skip_locked=skip_locked, of=("self",)).select_related("queue")
    return {task.pk: task for task in rows.order_by("pk")}


def end_lease(slot: Slot, *, ending: str) -> None:
    """Open the slot again, where its task asks for it still (void elsewhere), and record who had it.

    The caller has locked the slot and, before it, its task, which comes with its queue.
    """
    record_lease(slot, ending=ending)
    asked = slot.task.state == Task.State.ADMITTED
    slot.status = Slot.Status.OPEN if asked else Slot.Status.VOID
    slot.user = slot.token = slot.leased_at = slot.lease_until = slot.shown_at = slot.first_input_at = None
    slot.save(update_fields=["status", "user", "token", "leased_at", "lease_until", "shown_at", "first_input_at"])
    if asked and slot.extra:
        settle_overlap(slot.task)


def record_lease(slot: Slot, *, ending: str) -> None:
    assert slot.user_id is not None  # a_lease_has_person_token_and_end
    assert slot.token is not None
    assert slot.leased_at is not None
    LeaseEvent.objects.create(
        slot=slot,
        user_id=slot.user_id,
        token_sha256=sha256(slot.token.encode()).hexdigest(),
        started_at=slot.leased_at,
        ended_at=clock(),
        ending=ending,
    )


def admit(queue: Queue) -> int:
    """Give slots to held tasks, up to the cap on unfinished ones, in the order of their random keys; how many."""
    if not queue.tasks.filter(state=Task.State.HELD).exists():
        return 0
    with transaction.atomic():
        locked = Queue.objects.select_for_update(no_key=True).get(pk=queue.pk)
        held = queue.tasks.filter(state=Task.State.HELD).order_by("random_key", "pk")
        ids = list(held.select_for_update(no_key=True).values_list("pk", flat=True)[: _room(locked)])
        make_slots(locked, ids)
    return len(ids)


def make_slots(queue: Queue, task_ids: list[int], *, reserved_for: User | None = None, priority: int = 0) -> None:
    """Admit these tasks with the next admission numbers. The caller locks the queue, and queue is as just read."""
    slots = [
        Slot(
            task_id=task_id,
            queue=queue,
            ordinal=ordinal,
            priority=queue.priority + priority,
            admit_seq=queue.next_admit_seq + place,
            reserved_for=reserved_for,
        )
        for place, task_id in enumerate(task_ids)
        for ordinal in range(1 if reserved_for else queue.overlap)
    ]
    Slot.objects.bulk_create(slots, batch_size=500)
    for start in range(0, len(task_ids), 500):
        Task.objects.filter(pk__in=task_ids[start : start + 500]).update(state=Task.State.ADMITTED)
    Queue.objects.filter(pk=queue.pk).update(next_admit_seq=queue.next_admit_seq + len(task_ids))


def clock() -> datetime:
    """Now, by the database's clock on PostgreSQL, where many machines share it."""
    if connection.vendor != "postgresql":
        return now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        at: datetime = cursor.fetchone()[0]
    return at


def clock_sql(values: dict[str, Any]) -> str:
    """SQL that says now by that clock; what it needs is put among the statement's values."""
    if connection.vendor == "postgresql":
        return "statement_timestamp()"
    values["now"] = connection.ops.adapt_datetimefield_value(now())
    return "%(now)s"


def _renewed(queue: Queue, user: User) -> Slot | None:
    """The lease that user holds here, even an expired one that nobody has taken."""
    sql = _Sql(queue, user)
    return _leased(f"UPDATE annotate_slot SET lease_until = {sql.until} WHERE {HELD}", sql.values, queue, user)


def _next(queue: Queue, user: User) -> Slot | None:
    slot = take_open(queue, user)
    if slot is None:
        admit(queue)
        slot = take_open(queue, user)
    while slot is None and _end_expired(queue, user):
        slot = take_open(queue, user)
    return slot


def take_open(queue: Queue, user: User) -> Slot | None:
    """Lease the first open slot to user, who holds none here. One statement, and on PostgreSQL one locked row.

    Raises IntegrityError where another tab of this person was first: the caller holds the transaction.
    """
    sql = _Sql(queue, user)
    if connection.vendor == "postgresql":
        statement = (
            f"WITH c AS MATERIALIZED ({sql.pick(OPEN)} {sql.lock}) UPDATE annotate_slot SET {sql.lease} "
            f"FROM c WHERE annotate_slot.id = c.id"
        )
    else:
        statement = f"UPDATE annotate_slot SET {sql.lease} WHERE id = ({sql.pick(OPEN)}) AND status = 'open'"
    return _leased(statement, sql.values, queue, user)


def _end_expired(queue: Queue, user: User) -> bool:
    """End one lease that ran out, on a slot that user may have; False where there is none."""
    sql = _Sql(queue, user)
    row = run(sql.pick(EXPIRED), sql.values).fetchone()
    if row is None:
        return False
    expired = Slot.objects.filter(pk=row[0], lease_until__lt=clock())  # another may have it again since
    return bool(end_leases(expired, ending=LeaseEvent.Ending.TAKEN, skip_locked=True))


class _Sql:
    """The parts of the claim in the dialect of the database: whose clock, and how to pass by locked rows."""

    def __init__(self, queue: Queue, user: User) -> None:
        lease, at = timedelta(minutes=queue.lease_minutes), now()
        stored = connection.ops.adapt_datetimefield_value
        self.values: dict[str, Any] = {
            "queue": queue.pk,
            "project": queue.project_id,
            "user": user.pk,
            "token": secrets.token_urlsafe(32),
        }
        if connection.vendor == "postgresql":
            self.values |= {"length": lease}
            self.lock = "FOR UPDATE OF s SKIP LOCKED"
            self._clock = {"now": "statement_timestamp()", "until": "statement_timestamp() + %(length)s"}
        else:
            self.values |= {"now": stored(at), "until": stored(at + lease)}
            self.lock = ""  # a transaction of this service has the whole database to itself from its begin
            self._clock = {"now": "%(now)s", "until": "%(until)s"}

    @property
    def until(self) -> str:
        return self._clock["until"]

    @property
    def lease(self) -> str:
        return LEASE.format(**self._clock)

    def pick(self, free: str) -> str:
        return PICK.format(free=free.format(**self._clock), **self._clock)


def _locked_by_neighbours(queue: Queue, user: User) -> bool:
    """Whether something is free that the claim passed by, as others hold its row for a moment."""
    if connection.vendor != "postgresql":
        return False
    sql = _Sql(queue, user)
    with connection.cursor() as cursor:
        cursor.execute(sql.pick(f"({OPEN} OR {EXPIRED})"), sql.values)
        return cursor.fetchone() is not None


def _leased(update: str, values: dict[str, Any], queue: Queue, user: User) -> Slot | None:
    """The slot that an UPDATE leases to user, with its task. On PostgreSQL one statement."""
    if connection.vendor == "postgresql":
        taken = f"WITH taken AS ({update} RETURNING annotate_slot.*)"
        both = f"SELECT {SLOT.of('s')}, {TASK.of('t')} FROM taken s JOIN annotate_task t ON t.id = s.task_id"
        row = run(f"{taken} {both}", values).fetchone()
    else:
        row = run(f"{update} RETURNING {SLOT.of('annotate_slot')}", values).fetchone()
    if row is None:
        return None
    slot = SLOT.row(row[: len(SLOT)])
    of_task = row[len(SLOT) :] or run(TASK_OF, [slot.task_id]).fetchone()
    slot.task = TASK.row(of_task)
    slot.user, slot.queue, slot.task.queue = user, queue, queue
    return slot


def _room(queue: Queue) -> int:
    """How many tasks may be admitted. Tasks that one person alone may take, or hides, count for nobody's cap."""
    cap = queue.intake_cap
    if cap is None:
        cap = max(LEAST_CAP, 2 * _active_people(queue))
    hidden = Exclusion.objects.filter(task=OuterRef("pk"), reason=Exclusion.Reason.HIDDEN, until__gt=clock())
    begun = queue.tasks.filter(~Exists(hidden), state=Task.State.ADMITTED).exclude(slots__reserved_for__isnull=False)
    return max(0, cap - begun.count())


def _active_people(queue: Queue) -> int:
    """Who took a task here in the last hour; among the newest 2,000 leases, so that a busy hour costs no more."""
    recent = queue.slots.filter(leased_at__gt=clock() - timedelta(hours=1)).order_by("-leased_at")
    return len(set(recent.values_list("user", flat=True)[:NEWEST_LEASES]))


def _nothing(queue: Queue, user: User) -> Claim:
    if queue.pauses.filter(user=user, ended_at=None).exists():
        return Claim(slot=None, cause="paused")
    if must_accept(queue.project, user):
        return Claim(slot=None, cause="guideline")
    tasks = queue.tasks.filter(state__in=[Task.State.HELD, Task.State.ADMITTED])
    if not tasks.exists():
        return Claim(slot=None, cause="finished")
    kept_from = Exclusion.objects.filter(task=OuterRef("task"), user=user)
    had = Slot.objects.filter(task=OuterRef("task"), user=user, status=Slot.Status.DONE)
    leased = queue.slots.filter(Q(reserved_for=None) | Q(reserved_for=user), status=Slot.Status.LEASED)
    until = (
        leased.filter(~Exists(kept_from), ~Exists(had)).order_by("lease_until").values_list("lease_until", flat=True)
    )
    if until.exists():
        return Claim(slot=None, cause="leased", until=until.first())
    put_off = Exclusion.objects.filter(task__in=tasks, user=user, until__gt=clock()).order_by("until").first()
    if put_off:
        return Claim(slot=None, cause=put_off.reason, until=put_off.until)  # later or hidden
    own = Exclusion.objects.filter(task=OuterRef("pk"), user=user, reason__in=Exclusion.OWN)
    return Claim(slot=None, cause="others" if tasks.filter(~Exists(own)).exists() else "own_texts")
