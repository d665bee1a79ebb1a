"""Claim, lease, release, skip, admission: on both databases."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import TypeVar

import pytest
from django.db import connection
from django.utils.timezone import now

from annotate import queue as claims
from annotate.actions.build_tasks import TaskItem
from annotate.actions.change_queue import change_queue
from annotate.actions.reconcile_queue import reconcile_queue
from annotate.actions.skip import skip
from annotate.errors import AnnotateError
from annotate.models import LeaseEvent, Membership, Project, Queue, Revision, Role, Slot, Task, TaskText, User

from .conftest import answer, ask_to_clean, ask_to_write, build, leased, make_document, make_prompt, rank_item, send

T = TypeVar("T")

pytestmark = pytest.mark.usefixtures("database")


def all_at_once(calls: list[Callable[[], T]]) -> list[T]:
    """Each call in a thread with a connection of its own, begun together."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], T]) -> T:
        try:
            start.wait()
            return call()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def expire(slot: Slot) -> None:
    Slot.objects.filter(pk=slot.pk).update(lease_until=now() - timedelta(seconds=1))


def people(project: Project, count: int) -> list[User]:
    users = User.objects.bulk_create(User(name=f"p{number}", password="") for number in range(count))
    Membership.objects.bulk_create(Membership(project=project, user=user, role=Role.ASSESSOR) for user in users)
    return users


def test_fifty_people_at_once_get_thirty_slots_and_none_twice(database, project, writing):
    writing.overlap = 3
    writing.save(update_fields=["overlap"])
    build(writing, *(TaskItem([(make_prompt(project, f"Question {n}"), TaskText.Part.PROMPT)]) for n in range(10)))
    got = all_at_once([partial(claims.claim, writing, user) for user in people(project, 50)])
    assert sum(claim.slot is not None for claim in got) == 30
    rows = Slot.objects.filter(status="leased").values_list("task", "user")
    assert Counter(Counter(task for task, _ in rows).values()) == {3: 10}
    assert len(set(rows)) == len({user for _, user in rows}) == 30


def test_eight_tabs_of_one_person_share_one_lease(database, project, writing, ana):
    build(writing, *(TaskItem([(make_prompt(project, f"Question {n}"), TaskText.Part.PROMPT)]) for n in range(10)))
    got = all_at_once([partial(leased, writing, ana) for _ in range(8)])
    assert len({(slot.pk, slot.token) for slot in got}) == 1
    assert Slot.objects.filter(status="leased").count() == 1


def test_a_lease_that_ran_out_is_returned_to_its_holder_with_the_same_token(database, task, ana):
    first = leased(task.queue, ana)
    expire(first)
    again = leased(task.queue, ana)
    assert (again.pk, again.token) == (first.pk, first.token)
    assert again.lease_until > now()


def test_a_lease_that_ran_out_goes_to_the_next_person(database, task, ana, abe):
    first = leased(task.queue, ana)
    expire(first)
    second = leased(task.queue, abe)
    assert second.pk == first.pk
    assert second.token != first.token
    assert LeaseEvent.objects.get().ending == "taken"


def test_what_others_hold_is_told_with_the_hour(database, task, ana, abe):
    held = leased(task.queue, ana)
    nothing = claims.claim(task.queue, abe)
    assert (nothing.slot, nothing.cause, nothing.until) == (None, "leased", held.lease_until)


def test_an_empty_queue_is_finished(database, ranking, ana):
    assert claims.claim(ranking, ana).cause == "finished"


def test_a_closed_queue_gives_nothing(database, task, ana):
    task.queue.closed_at = now()
    assert claims.claim(task.queue, ana).cause == "closed"


def test_what_a_person_holds_of_a_closed_queue_they_finish_and_get_no_other(database, task, ana, abe):
    build(task.queue, rank_item(task.queue.project, ["One.", "Two.", "Three.", "Four."], prompt="Another?"))
    slot = leased(task.queue, ana)
    change_queue(queue=task.queue, closed=True)
    task.queue.refresh_from_db()
    assert claims.claim(task.queue, ana).slot == slot
    assert claims.claim(task.queue, abe).cause == "closed"
    assert send(slot, ana, {"groups": [["A", "B", "C", "D"]]}).outcome == "counted"
    assert claims.claim(task.queue, ana).cause == "closed"


def test_only_own_texts_left_is_a_cause_of_its_own(database, ranking, ana):
    item = rank_item(ranking.project, ["One.", "Two."])
    build(ranking, TaskItem(item.texts, excluded={ana.pk: "author"}))
    assert claims.claim(ranking, ana).cause == "own_texts"


def test_the_sweep_opens_leases_that_ran_out(database, task, ana):
    expire(leased(task.queue, ana))
    assert claims.sweep() == 1
    assert Slot.objects.get().status == "open"
    assert LeaseEvent.objects.get().ending == "expired"


def test_a_released_slot_is_open_at_once(database, task, ana, abe):
    slot = leased(task.queue, ana)
    claims.release(slot, user=ana, token=slot.token)
    assert leased(task.queue, abe).pk == slot.pk


def test_a_release_with_a_foreign_token_changes_nothing(database, task, ana):
    slot = leased(task.queue, ana)
    claims.release(slot, user=ana, token="another")
    assert Slot.objects.get().status == "leased"


def test_a_heartbeat_with_input_moves_the_end_of_the_lease(database, task, ana):
    slot = leased(task.queue, ana)
    Slot.objects.filter(pk=slot.pk).update(lease_until=now() + timedelta(minutes=1))
    until = claims.heartbeat(slot, user=ana, token=slot.token, active=True)
    assert until > now() + timedelta(minutes=19)
    assert Slot.objects.get().first_input_at is not None


def test_a_heartbeat_without_input_moves_nothing(database, task, ana):
    slot = leased(task.queue, ana)
    assert claims.heartbeat(slot, user=ana, token=slot.token, active=False) == slot.lease_until


def test_a_lease_lives_four_times_its_length_at_most(database, task, ana):
    slot = leased(task.queue, ana)
    begun = now() - timedelta(minutes=75)
    Slot.objects.filter(pk=slot.pk).update(leased_at=begun, lease_until=now() + timedelta(minutes=1))
    assert claims.heartbeat(slot, user=ana, token=slot.token, active=True) == begun + timedelta(minutes=80)


def test_a_heartbeat_for_a_lost_lease_says_so(database, task, ana, abe):
    slot = leased(task.queue, ana)
    expire(slot)
    leased(task.queue, abe)
    with pytest.raises(AnnotateError) as refusal:
        claims.heartbeat(slot, user=ana, token=slot.token, active=True)
    assert refusal.value.code == "lease_lost"


def test_no_more_tasks_are_begun_than_the_cap(database, project, writing, ana):
    writing.intake_cap = 2
    writing.save(update_fields=["intake_cap"])
    for number in range(5):
        ask_to_write(writing, make_prompt(project, f"Question {number}"))
    leased(writing, ana)
    assert writing.tasks.filter(state="admitted").count() == 2


def test_tasks_are_admitted_in_the_order_of_their_random_keys(database, project, writing, ana):
    for number in range(3):
        ask_to_write(writing, make_prompt(project, f"Question {number}"))
    slot = leased(writing, ana)
    assert slot.task == writing.tasks.order_by("random_key").first()


def test_begun_tasks_come_before_new_ones(database, ranking, ana, abe):
    Queue.objects.filter(pk=ranking.pk).update(overlap=2)
    build(ranking, *(rank_item(ranking.project, ["One.", "Two."], prompt=f"Question {n}") for n in range(3)))
    begun = leased(ranking, ana)
    slot = leased(ranking, abe)
    assert (slot.task, claims.why(slot)) == (begun.task, "oldest begun")


def test_a_returned_task_comes_first_and_to_its_author_only(database, project, writing, ana, abe):
    ask_to_write(writing, make_prompt(project, "Open to all"))
    returned = TaskItem([(make_prompt(project, "Returned"), TaskText.Part.PROMPT)], reserved_for=ana)
    task = build(writing, returned)
    assert leased(writing, abe).task != task
    slot = leased(writing, ana)
    assert (slot.task, claims.why(slot)) == (task, "returned to you")


def test_a_skipped_task_goes_to_others_and_never_back(database, task, ana, abe):
    slot = leased(task.queue, ana)
    skip(slot=slot, by=ana, token=slot.token, reason="needs_expertise", note="")
    assert claims.claim(task.queue, ana).slot is None
    assert leased(task.queue, abe).task == task


def test_a_task_put_off_is_told_with_the_hour(database, task, ana):
    slot = leased(task.queue, ana)
    skip(slot=slot, by=ana, token=slot.token, reason="later", note="")
    nothing = claims.claim(task.queue, ana)
    assert nothing.cause == "later"
    assert nothing.until is not None
    assert timedelta(minutes=29) < nothing.until - now() <= timedelta(minutes=30)


def test_a_task_put_off_returns_after_its_time(database, task, ana):
    slot = leased(task.queue, ana)
    skip(slot=slot, by=ana, token=slot.token, reason="later", note="")
    task.exclusions.update(until=now() - timedelta(seconds=1))
    assert leased(task.queue, ana).task == task


def test_three_skips_park_a_task(database, task, ana, abe, rex):
    for user in (ana, abe, rex):
        slot = leased(task.queue, user)
        skip(slot=slot, by=user, token=slot.token, reason="broken_text", note="")
    task.refresh_from_db()
    assert task.state == Task.State.PARKED
    assert Slot.objects.get().status == "void"


def test_a_skip_for_another_reason_needs_a_note(database, task, ana):
    slot = leased(task.queue, ana)
    with pytest.raises(AnnotateError) as refusal:
        skip(slot=slot, by=ana, token=slot.token, reason="other", note=" ")
    assert refusal.value.code == "bad_reason"
    assert Slot.objects.get().status == "leased"


def test_six_people_run_a_queue_dry_and_every_answer_counts_once(database, project, writing):
    Queue.objects.filter(pk=writing.pk).update(overlap=2)
    writing.refresh_from_db()
    build(writing, *(TaskItem([(make_prompt(project, f"Question {n}"), TaskText.Part.PROMPT)]) for n in range(15)))

    def work(user: User) -> int:
        done = 0
        while slot := claims.claim(writing, user).slot:
            send(slot, user, {"text": f"An answer by {user.name}."})
            done += 1
        return done

    counts = all_at_once([partial(work, user) for user in people(project, 6)])
    assert sum(counts) == 30
    assert set(writing.tasks.values_list("state", flat=True)) == {"complete"}
    assert writing.slots.filter(status="done").count() == 30


def test_a_claim_costs_as_much_with_thirty_tasks_as_with_one(
    database, project, cleaning, rex, django_assert_max_num_queries
):
    for number in range(30):
        ask_to_clean(cleaning, make_document(project, f"Document {number}"))
    answer(cleaning, rex, {"decision": "keep"})
    with django_assert_max_num_queries(5 if database == "sqlite" else 6):  # with BEGIN or SAVEPOINT, and the clock
        leased(cleaning, rex)


def test_tasks_in_use_agree_with_their_slots(database, project, writing, reviewing, ana, rex):
    ask_to_write(writing, make_prompt(project))
    answer(writing, ana, {"text": "It returns the least value."})
    leased(reviewing, rex)
    assert reconcile_queue(fix=False) == []


def test_a_task_whose_state_is_wrong_is_found_and_mended(database, task, ana):
    leased(task.queue, ana)
    Task.objects.update(state="complete")
    assert [str(found) for found in reconcile_queue(fix=True)] == [
        f"task {task.pk} is complete; its slots say admitted"
    ]
    assert reconcile_queue(fix=False) == []


def test_who_answered_a_task_gets_another_not_its_next_place(database, ranking, ana):
    Queue.objects.filter(pk=ranking.pk).update(overlap=2)
    build(ranking, *(rank_item(ranking.project, ["One.", "Two."], prompt=f"Question {n}") for n in range(2)))
    first = answer(ranking, ana, {"groups": [["A", "B"]]}).judgement.task
    assert leased(ranking, ana).task != first


def test_a_submit_sent_twice_at_once_is_one_answer(database, task, ana):
    slot = leased(task.queue, ana)
    body = {"groups": [["A", "B", "C", "D"]]}
    replies = all_at_once(
        [
            lambda: send(Slot.objects.select_related("task", "queue__project").get(pk=slot.pk), ana, body, key="once")
            for _ in range(2)
        ]
    )
    assert replies[0] == replies[1]
    assert Revision.objects.count() == 1


def test_late_answers_of_all_are_kept(database, project, writing):
    build(writing, *(TaskItem([(make_prompt(project, f"Question {n}"), TaskText.Part.PROMPT)]) for n in range(4)))
    first, second = people(project, 8)[:4], User.objects.filter(name__in=["p4", "p5", "p6", "p7"])
    lost = [(user, leased(writing, user)) for user in first]
    Slot.objects.update(lease_until=now() - timedelta(seconds=1))
    for user in second:
        send(leased(writing, user), user, {"text": "In time."})
    assert {send(slot, user, {"text": "Late."}).outcome for user, slot in lost} == {"surplus"}
    assert Revision.objects.filter(body__text="Late.").count() == 4
