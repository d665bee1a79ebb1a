"""One more person is asked while people disagree, up to the queue's most; on both databases."""

import itertools
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from annotate import queue as claims
from annotate.actions.change_queue import change_queue
from annotate.actions.edit_answer import edit_answer
from annotate.actions.reconcile_queue import reconcile_queue
from annotate.actions.skip import skip
from annotate.actions.submit import Times
from annotate.actions.submit_and_claim import submit_and_claim
from annotate.actions.undo import undo
from annotate.actions.withdraw import withdraw
from annotate.errors import AnnotateError
from annotate.models import Judgement, Queue, Revision, Slot, Task, User
from annotate.presentation import LETTERS, shown_order
from tests.conftest import make_project

from .conftest import answer, ask_to_clean, build, leased, make_document, rank_item, taken_back
from .test_queue_promises import assessors, days

KEEP, REJECT = {"decision": "keep"}, {"decision": "reject", "reasons": ["broken"]}
BY_API = Times(active_ms=None, hidden_ms=None, by="api")
NUMBERS = itertools.count(1)
PEOPLE = st.integers(0, 4)

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def judges(database, project):
    return assessors(project, 5)


@pytest.fixture
def growing(database, cleaning) -> Queue:
    return change_queue(queue=cleaning, overlap=2, overlap_max=4)


@pytest.fixture
def document(growing, project) -> Task:
    return ask_to_clean(growing, make_document(project, "A document."))


def state_of(task: Task) -> tuple[str, bool, list[str]]:
    task.refresh_from_db()
    return task.state, task.disputed, list(task.slots.order_by("ordinal").values_list("status", flat=True))


def test_people_who_agree_are_asked_no_more(growing, document, judges):
    for judge in judges[:2]:
        answer(growing, judge, KEEP)
    assert state_of(document) == ("complete", False, ["done", "done"])


def test_people_who_disagree_are_joined_by_one_more(growing, document, judges):
    answer(growing, judges[0], KEEP)
    answer(growing, judges[1], REJECT)
    assert state_of(document) == ("admitted", False, ["done", "done", "open"])
    assert Slot.objects.get(status="open").extra


def test_an_extra_opinion_says_that_it_is_one(growing, document, judges):
    answer(growing, judges[0], KEEP)
    answer(growing, judges[1], REJECT)
    assert claims.claim(growing, judges[2]).why == "extra opinion"


def test_a_task_with_all_answers_that_still_disagree_is_disputed(growing, document, judges):
    for judge, body in zip(judges[:4], (KEEP, REJECT, KEEP, KEEP), strict=True):
        answer(growing, judge, body)
    assert state_of(document) == ("complete", True, ["done"] * 4)
    assert claims.claim(growing, judges[4]).cause == "finished"


def test_rankings_that_never_come_to_agree_are_disputed(database, project, ranking, judges):
    queue = change_queue(queue=ranking, overlap=2, overlap_max=5)
    task = build(queue, rank_item(project, ["One.", "Two.", "Three."]))
    first, second, third = sorted(task.text_ids()[1:])
    orders = [[first, second, third], [third, second, first], *[[first, second, third]] * 3]
    for judge, wanted in zip(judges, orders, strict=True):
        slot = leased(queue, judge)
        submit(slot, judge, in_letters(slot, judge, wanted))
    # taus of the 2, 3, 4, 5 answers: -1; (1 - 1 - 1) / 3; (3 - 3) / 6 = 0; (6 - 4) / 10 = 0.2
    assert state_of(task) == ("complete", True, ["done"] * 5)


def in_letters(slot: Slot, judge: Any, order: list[int]) -> dict[str, Any]:
    letters = {text.pk: letter for letter, text in zip(LETTERS, shown_order(slot.task, judge), strict=False)}
    return {"groups": [[letters[key]] for key in order]}


def submit(slot: Slot, judge: Any, body: Any) -> Slot | None:
    """By the way of the hot path; the next slot."""
    held = Slot.objects.select_related("task", "queue__project").get(pk=slot.pk)
    held.task.queue = held.queue
    key = f"overlap-{next(NUMBERS)}"
    return submit_and_claim(slot=held, by=judge, token=slot.token or "", key=key, body=body, times=BY_API)[1].slot


def test_an_extra_opinion_comes_before_any_new_task(growing, document, project, judges):
    for number in range(3):
        ask_to_clean(growing, make_document(project, f"Another {number}."))
    Queue.objects.filter(pk=growing.pk).update(intake_cap=2)
    growing.refresh_from_db()
    begun = leased(growing, judges[0]).task
    submit(leased(growing, judges[0]), judges[0], KEEP)
    following = submit(leased(growing, judges[1]), judges[1], REJECT)
    assert following is not None
    assert following.task != begun  # who answered is not asked again
    slot = leased(growing, judges[2])
    assert (slot.task, claims.why(slot)) == (begun, "extra opinion")


def test_an_answer_taken_back_closes_the_extra_place(growing, document, judges):
    answer(growing, judges[0], KEEP)
    last = answer(growing, judges[1], REJECT).judgement
    slot = taken_back(last, judges[1])
    assert state_of(document) == ("admitted", False, ["done", "leased", "void"])
    submit(slot, judges[1], REJECT)
    assert state_of(document) == ("admitted", False, ["done", "done", "open"])  # the same place again


def released(slot: Slot, judge: Any) -> None:
    claims.release(slot, user=judge, token=slot.token or "")


def skipped(slot: Slot, judge: Any) -> None:
    skip(slot=slot, by=judge, token=slot.token or "", reason="needs_expertise", note="")


def ran_out(slot: Slot, judge: Any) -> None:
    Slot.objects.filter(pk=slot.pk).update(lease_until=now() - timedelta(minutes=1))
    assert claims.sweep() == 1


def ran_out_and_was_wanted(slot: Slot, judge: Any) -> None:
    """By somebody who may not have it in the end."""
    Slot.objects.filter(pk=slot.pk).update(lease_until=now() - timedelta(minutes=1))
    assert claims.claim(slot.queue, User.objects.latest("pk")).slot is None


def left_for_an_earlier_answer(slot: Slot, judge: Any) -> None:
    assert taken_back(Judgement.objects.exclude(task=slot.task).get(user=judge), judge)


ENDINGS = [released, skipped, ran_out, ran_out_and_was_wanted, left_for_an_earlier_answer]


@pytest.mark.parametrize("end", ENDINGS)
def test_an_extra_place_that_is_let_go_while_a_first_answer_is_open_asks_nobody(
    growing, project, document, judges, end
):
    if end is left_for_an_earlier_answer:
        for judge in judges[2:4]:
            answer(growing, judge, KEEP)
        document = ask_to_clean(growing, make_document(project, "A later document."))
    answer(growing, judges[0], KEEP)
    last = answer(growing, judges[1], REJECT).judgement
    extra = leased(growing, judges[2])
    assert extra.extra
    slot = taken_back(last, judges[1])
    end(extra, judges[2])
    assert state_of(document) == ("admitted", False, ["done", "leased", "void"])
    submit(slot, judges[1], KEEP)
    assert state_of(document) == ("complete", False, ["done", "done", "void"])


@pytest.mark.parametrize("end", ENDINGS[:3])
def test_an_extra_place_that_is_let_go_after_all_agree_asks_nobody(growing, document, judges, end):
    answer(growing, judges[0], KEEP)
    last = answer(growing, judges[1], REJECT).judgement
    extra = leased(growing, judges[2])
    edit_answer(judgement=last, by=judges[1], body=KEEP, times=BY_API)
    end(extra, judges[2])
    assert state_of(document) == ("complete", False, ["done", "done", "void"])


def test_a_queue_whose_most_is_its_overlap_asks_no_more(cleaning, project, judges):
    queue = change_queue(queue=cleaning, overlap=2, overlap_max=2)
    task = ask_to_clean(queue, make_document(project, "A document."))
    answer(queue, judges[0], KEEP)
    answer(queue, judges[1], REJECT)
    assert state_of(task) == ("complete", False, ["done", "done"])


@pytest.mark.parametrize("most", [1, 10])
def test_the_most_is_the_overlap_or_more_and_nine_at_most(growing, most):
    with pytest.raises(AnnotateError) as refusal:
        change_queue(queue=growing, overlap_max=most)
    assert refusal.value.facts["field"] == "overlap_max"


def test_reconciling_finds_and_mends_what_answers_do_not_say(growing, document, judges):
    answer(growing, judges[0], KEEP)
    answer(growing, judges[1], REJECT)
    Slot.objects.filter(extra=True).delete()
    Task.objects.update(state="complete", disputed=True)
    assert [str(found) for found in reconcile_queue(fix=True)] == [
        f"task {document.pk} is disputed; its answers say one more"
    ]
    assert state_of(document) == ("admitted", False, ["done", "done", "open"])
    assert reconcile_queue(fix=False) == []


def test_reconciling_costs_as_many_queries_for_thirty_tasks_as_for_one(
    growing, project, judges, django_assert_num_queries
):
    for number in range(30):
        ask_to_clean(growing, make_document(project, f"Document {number}."))
    for judge, body in zip(judges[:2], (KEEP, REJECT), strict=True):
        answer(growing, judge, body)
    with django_assert_num_queries(8):
        assert reconcile_queue(fix=False) == []


class Contest(RuleBasedStateMachine):
    """Five people at a queue of two documents that grows where they disagree."""

    @initialize(overlap=st.integers(1, 3), more=st.integers(1, 2))
    def open_queue(self, overlap: int, more: int) -> None:
        project = make_project(f"Contest {next(NUMBERS)}", {})
        queue = project.queues.get(kind=Queue.Kind.CLEAN)
        self.queue = change_queue(queue=queue, overlap=overlap, overlap_max=overlap + more)
        for number in range(2):
            ask_to_clean(self.queue, make_document(project, f"Document {number}."))
        self.people = assessors(project, 5)

    @rule(who=PEOPLE, keeps=st.booleans())
    def answer(self, who: int, keeps: bool) -> None:  # noqa: FBT001 drawn
        slot = claims.claim(self.queue, self.people[who]).slot
        if slot:
            submit(slot, self.people[who], KEEP if keeps else REJECT)

    @rule(who=PEOPLE)
    def undo(self, who: int) -> None:
        last = Judgement.objects.filter(user=self.people[who]).order_by("-revisions__pk").first()
        if last:
            with suppress(AnnotateError):
                undo(judgement=last, by=self.people[who])

    @rule(who=PEOPLE, back=st.integers(0, 1))
    def change_mind(self, who: int, back: int) -> None:
        judgement = self.given(who, back)
        if judgement:
            kept = judgement.revisions.latest("number").body
            body = REJECT if kept and kept["decision"] == "keep" else KEEP
            with suppress(AnnotateError):
                edit_answer(judgement=judgement, by=self.people[who], body=body, times=BY_API)

    @rule(who=PEOPLE, back=st.integers(0, 1))
    def withdraw(self, who: int, back: int) -> None:
        judgement = self.given(who, back)
        if judgement:
            with suppress(AnnotateError):
                withdraw(judgement=judgement, by=self.people[who], note="")

    @rule(who=PEOPLE, end=st.sampled_from(ENDINGS[:3]))
    def let_go(self, who: int, end: Any) -> None:
        held = Slot.objects.filter(queue=self.queue, user=self.people[who], status="leased").first()
        if held:
            end(held, self.people[who])

    def given(self, who: int, back: int) -> Judgement | None:
        own = Judgement.objects.filter(user=self.people[who]).select_related("task__queue__project", "user", "slot")
        return own.order_by("-pk")[back : back + 1].first()

    @invariant()
    def slots_and_words_of_dispute_are_what_the_answers_say(self) -> None:
        assert reconcile_queue(fix=False) == []

    @invariant()
    def a_complete_task_is_agreed_on_or_disputed(self) -> None:
        for task in self.queue.tasks.filter(state="complete"):
            answers = Revision.objects.counted().filter(judgement__task=task)
            said = {revision.answer["decision"] for revision in answers}
            assert task.disputed == (len(said) > 1)
            assert not task.disputed or len(answers) >= (self.queue.overlap_max or 0)

    @invariant()
    def nobody_is_asked_beyond_the_most(self) -> None:
        for task in self.queue.tasks.all():
            assert task.slots.exclude(status="void").count() <= (self.queue.overlap_max or 0)


def test_no_order_of_answers_breaks_the_overlap(database):  # nor of leases that end
    run_state_machine_as_test(Contest, settings=days(10, 15))


@pytest.mark.full
def test_no_order_of_answers_breaks_the_overlap_in_many_long_contests(database):
    run_state_machine_as_test(Contest, settings=days(200, 40))
