"""What the queue promises, whatever people do in whatever order: on both databases.

Never more than `overlap` leases a task, never a task twice to a person, every acknowledged answer stored exactly once,
and a lease that ends comes back.
"""

from __future__ import annotations

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Count, Q
from django.utils.timezone import now
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from annotate import queue as claims
from annotate.actions.build_tasks import TaskItem, build_tasks
from annotate.actions.reconcile_queue import reconcile_queue
from annotate.actions.skip import skip
from annotate.actions.submit import Reply, Times
from annotate.actions.submit_and_claim import submit_and_claim
from annotate.actions.undo import undo
from annotate.actions.undo_skip import undo_skip
from annotate.errors import AnnotateError
from annotate.models import (
    Judgement,
    LeaseEvent,
    Membership,
    Project,
    Queue,
    Revision,
    Role,
    Slot,
    TaskText,
    User,
)
from tests.conftest import make_project

from .conftest import make_prompt, send
from .test_queue import all_at_once

NUMBERS = itertools.count(1)
TIMES = Times(active_ms=None, hidden_ms=None, by="api")
TASKS = 2
PATIENCE_S = 600
PEOPLE = st.integers(0, 2)


def questions(project: Project, count: int) -> list[TaskItem]:
    return [TaskItem([(make_prompt(project, f"Question {n}?"), TaskText.Part.PROMPT)]) for n in range(count)]


def assessors(project: Project, count: int) -> list[User]:
    names = [f"p{next(NUMBERS)}" for _ in range(count)]
    people = User.objects.bulk_create(User(name=name, password="") for name in names)
    Membership.objects.bulk_create(Membership(project=project, user=user, role=Role.ASSESSOR) for user in people)
    return people


class Day(RuleBasedStateMachine):
    """Three people and a clock at a queue of two tasks; what people were told stands beside what is stored."""

    @initialize(overlap=st.integers(1, 3), cap=st.integers(1, 2))
    def open_queue(self, overlap: int, cap: int) -> None:
        project = make_project(f"Day {next(NUMBERS)}", {})
        self.queue = project.queues.get(kind=Queue.Kind.WRITE_ANSWER)
        self.queue.overlap, self.queue.intake_cap = overlap, cap
        self.queue.save(update_fields=["overlap", "intake_cap"])
        project.queues.filter(kind=Queue.Kind.REVIEW_ANSWER).delete()  # what an answer sets off is another test's
        build_tasks(queue=self.queue, items=questions(project, TASKS))
        self.people = assessors(project, 3)
        self.leases: list[list[Slot]] = [[], [], []]  # all that each person was ever given
        self.keys: dict[str, tuple[int, Slot, Any, Reply]] = {}
        self.told: dict[tuple[int, int], tuple[str, str | None]] = {}  # person, task → judgement, text; None: undone
        self.skipped: set[tuple[int, int]] = set()
        self.undone = 0

    @rule(who=PEOPLE)
    def claim(self, who: int) -> None:
        self.take(who, claims.claim(self.queue, self.people[who]).slot)

    @rule(who=PEOPLE, back=st.integers(0, 2))
    def answer(self, who: int, back: int) -> None:
        """For one of the newest leases that this person was given, however it ended."""
        if back < len(self.leases[who]):
            number = next(NUMBERS)
            self.send(f"key-{number}", who, self.leases[who][-1 - back], {"text": f"Answer {number}."})

    @precondition(lambda self: self.keys)
    @rule(data=st.data())
    def send_again(self, data: st.DataObject) -> None:
        """As a client does whose connection broke."""
        key = data.draw(st.sampled_from(sorted(self.keys)))
        who, lease, body, reply = self.keys[key]
        assert self.send(key, who, lease, body) == reply

    @rule(who=PEOPLE, reason=st.sampled_from(["unclear_prompt", "later"]))
    def skip(self, who: int, reason: str) -> None:
        lease = self.held(who)
        if lease:
            skip(slot=lease, by=self.people[who], token=lease.token or "", reason=reason, note="")
            self.skipped |= {(who, lease.task_id)} if reason != "later" else set()

    @rule(who=PEOPLE, back=st.integers(0, 1))
    def undo_skip(self, who: int, back: int) -> None:
        """Of one of the newest leases; refused where it was not skipped, or after the next answer."""
        if back < len(self.leases[who]):
            slot = Slot.objects.select_related("queue__project").get(pk=self.leases[who][-1 - back].pk)
            with suppress(AnnotateError):
                again = undo_skip(slot=slot, by=self.people[who])
                self.skipped -= {(who, slot.task_id)}
                self.undone += 1
                self.take(who, again)

    @rule(who=PEOPLE)
    def release(self, who: int) -> None:
        lease = self.held(who)
        if lease:
            claims.release(lease, user=self.people[who], token=lease.token or "")

    @rule(who=PEOPLE)
    def undo(self, who: int) -> None:
        """Of the newest answer; a second time it is refused."""
        last = Judgement.objects.filter(user=self.people[who]).order_by("-revisions__pk").first()
        if last is None:
            return
        with suppress(AnnotateError):
            undo(judgement=last, by=self.people[who])
            self.told[who, last.task_id] = (str(last.uuid), None)
            self.undone += 1

    @rule(who=PEOPLE, swept=st.booleans())
    def let_time_pass(self, who: int, swept: bool) -> None:  # noqa: FBT001 drawn
        Slot.objects.filter(user=self.people[who], status="leased").update(lease_until=now() - timedelta(seconds=1))
        if swept:
            claims.sweep()

    @rule(who=PEOPLE, other=PEOPLE, first=st.booleans())
    def come_late(self, who: int, other: int, first: bool) -> None:  # noqa: FBT001 drawn
        """Who lost a lease to another answers all the same, before them or after."""
        self.claim(who)
        self.let_time_pass(who, swept=True)
        self.claim(other)
        for person in (other, who) if first else (who, other):
            self.answer(person, back=0)

    def held(self, who: int) -> Slot | None:
        return Slot.objects.filter(user=self.people[who], status="leased").first()

    def take(self, who: int, slot: Slot | None) -> None:
        if slot is None:
            return
        assert slot.user_id == self.people[who].pk
        assert (who, slot.task_id) not in self.skipped
        assert self.told.get((who, slot.task_id), ("", None))[1] is None  # never a task that they have answered
        self.leases[who].append(slot)

    def send(self, key: str, who: int, lease: Slot, body: Any) -> Reply | None:
        slot = Slot.objects.select_related("task", "queue__project").get(pk=lease.pk)
        slot.task.queue = slot.queue
        by, token = self.people[who], lease.token or ""
        known = key in self.keys
        try:
            reply, following = submit_and_claim(slot=slot, by=by, token=token, key=key, body=body, times=TIMES)
        except AnnotateError as refusal:
            self.refused(refusal.code == "already_answered")
            return None
        except PermissionDenied:
            own = LeaseEvent.objects.filter(slot__task=slot.task_id, user=by)
            self.refused(own.filter(ending="skipped").exists())
            return None
        if not known:
            self.keys[key] = (who, lease, body, reply)
            self.told[who, slot.task_id] = (reply.judgement, body["text"])
        self.take(who, following.slot)
        return reply

    def refused(self, rightly: bool) -> None:  # noqa: FBT001 one fact
        assert rightly

    @invariant()
    def a_task_has_never_more_than_overlap_leases_and_answers(self) -> None:
        wanted = Q(slots__status__in=["leased", "done"])
        assert not self.queue.tasks.annotate(n=Count("slots", filter=wanted)).filter(n__gt=self.queue.overlap).exists()

    @invariant()
    def nobody_has_a_task_twice_or_two_leases(self) -> None:
        rows = list(self.queue.slots.filter(status__in=["leased", "done"]).values_list("task", "user"))
        assert len(set(rows)) == len(rows)
        leases = list(self.queue.slots.filter(status="leased").values_list("user", flat=True))
        assert len(set(leases)) == len(leases)

    @invariant()
    def what_was_acknowledged_is_stored_exactly_once(self) -> None:
        newest = {
            str(uuid): body and body["text"]
            for uuid, body in Revision.objects.filter(judgement__task__queue=self.queue)
            .order_by("number")
            .values_list("judgement__uuid", "body")
        }
        assert newest == dict(self.told.values())
        assert Judgement.objects.filter(task__queue=self.queue).count() == len(self.told)

    @invariant()
    def no_more_tasks_are_begun_than_the_cap(self) -> None:
        begun = self.queue.tasks.filter(state="admitted").count()
        assert begun <= (self.queue.intake_cap or 0) + self.undone  # an undo begins a task again

    def teardown(self) -> None:
        """Every lease that ends comes back: others finish all that is not parked."""
        if not hasattr(self, "queue"):
            return
        Slot.objects.filter(queue=self.queue, status="leased").update(lease_until=now() - timedelta(seconds=1))
        others = assessors(self.queue.project, self.queue.overlap)
        while any([work_through(self.queue, user) for user in others]):
            pass  # the cap lets nobody go ahead of the others
        assert set(self.queue.tasks.values_list("state", flat=True)) <= {"complete", "parked"}
        assert self.queue.slots.filter(task__state="complete").exclude(status="done").count() == 0
        assert reconcile_queue(fix=False) == []


def work_through(queue: Queue, user: User) -> int:
    """Answer until nothing is left for user, each next task from the reply before; how many answers."""
    done, slot = 0, claims.claim(queue, user).slot
    while slot:
        key, body = f"key-{next(NUMBERS)}", {"text": f"An answer by {user.name}."}
        _, following = submit_and_claim(slot=slot, by=user, token=slot.token or "", key=key, body=body, times=TIMES)
        done, slot = done + 1, following.slot
    return done


def days(count: int, steps: int) -> settings:
    return settings(
        max_examples=count,
        stateful_step_count=steps,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )


def test_no_order_of_events_breaks_a_promise(database):
    run_state_machine_as_test(Day, settings=days(8, 20))


@pytest.mark.full
def test_no_order_of_events_breaks_a_promise_in_many_long_days(database):
    run_state_machine_as_test(Day, settings=days(300, 50))


def run_dry(project: Project, queue: Queue, *, tasks: int, people: int, overlap: int, cap: int) -> None:
    """Everybody at once until nothing is left, while one looks how many tasks are begun."""
    Queue.objects.filter(pk=queue.pk).update(overlap=overlap, intake_cap=cap)
    queue.refresh_from_db()
    build_tasks(queue=queue, items=questions(project, tasks))
    most, over = 0, threading.Event()

    def work(user: User) -> int:
        own, done = Queue.objects.select_related("project").get(pk=queue.pk), 0
        deadline = time.monotonic() + PATIENCE_S
        while own.tasks.exclude(state="complete").exists() and time.monotonic() < deadline:
            done += work_through(own, user)  # who finds nothing comes again: others may let go of what they hold
        connection.close()
        return done

    def look() -> None:
        nonlocal most
        while not over.wait(0.02):
            most = max(most, queue.tasks.filter(state="admitted").count())
        connection.close()

    with ThreadPoolExecutor(people + 1) as pool:
        looking = pool.submit(look)
        try:
            counts = list(pool.map(work, assessors(project, people)))
        finally:
            over.set()
        looking.result()
    assert sum(counts) == tasks * overlap
    assert Judgement.objects.filter(task__queue=queue, counted=True).count() == tasks * overlap
    assert set(queue.tasks.values_list("state", flat=True)) == {"complete"}
    assert most <= cap


def test_what_killed_clients_held_is_leased_again_and_each_late_answer_kept(database, project, writing):
    """Sixteen people take a task each; half of them are killed, and some come back when all is done."""
    Queue.objects.filter(pk=writing.pk).update(overlap=2, intake_cap=100)
    writing.refresh_from_db()
    build_tasks(queue=writing, items=questions(project, 8))
    people = assessors(project, 16)
    held = all_at_once([partial(claims.claim, writing, user) for user in people])
    assert sum(one.slot is not None for one in held) == 16
    killed = [(user, one.slot) for user, one in zip(people[:8], held, strict=False) if one.slot]
    Slot.objects.filter(user__in=people[:8]).update(lease_until=now() - timedelta(seconds=1))
    done = sum(all_at_once([partial(work_through, writing, user) for user in [*people[8:], *assessors(project, 8)]]))
    assert done == 16
    assert writing.slots.filter(status="done").count() == 16
    late = [send(slot, user, {"text": f"Late, by {user.name}."}) for user, slot in killed]
    assert {reply.outcome for reply in late} == {"surplus"}
    assert Judgement.objects.filter(task__queue=writing, counted=False).count() == 8


def test_eight_people_run_a_queue_dry_under_its_cap(database, project, writing):
    run_dry(project, writing, tasks=20, people=8, overlap=3, cap=6)


@pytest.mark.full
def test_twenty_people_run_three_thousand_tasks_dry(database, project, writing):
    run_dry(project, writing, tasks=3_000, people=20, overlap=3, cap=40)
