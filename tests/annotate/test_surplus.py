"""A reviewer may let a surplus answer count; nobody their own."""

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.utils.timezone import now

from annotate.actions.change_queue import change_queue
from annotate.actions.count_surplus import count_no_longer, count_surplus
from annotate.actions.reconcile_queue import reconcile_queue
from annotate.actions.undo import undo
from annotate.errors import AnnotateError
from annotate.exports.rankings import ranking_counts, ranking_rows
from annotate.models import Judgement, Queue, Slot, Task, Text, User

from .conftest import answer, ask_to_clean, ask_to_write, leased, make_document, make_prompt, send

pytestmark = pytest.mark.usefixtures("database")

ALL_TIED = {"groups": [["A", "B", "C", "D"]]}
BEST_FIRST = {"groups": [["A"], ["B"], ["C"], ["D"]]}


def late(queue: Queue, user: User, other: User, bodies: tuple[object, object]) -> Judgement:
    """user's answer, after other has taken the place that user had."""
    slot = leased(queue, user)
    Slot.objects.filter(pk=slot.pk).update(lease_until=now() - timedelta(seconds=1))
    answer(queue, other, bodies[1])
    reply = send(slot, user, bodies[0])
    assert reply.outcome == "surplus"
    return Judgement.objects.select_related("task__queue__project", "user", "slot").get(uuid=reply.judgement)


@pytest.fixture
def surplus(database, task, ana, abe) -> Judgement:
    return late(task.queue, ana, abe, (BEST_FIRST, ALL_TIED))


def test_a_surplus_answer_counts_once_a_reviewer_says_so(surplus, project, rex):
    assert ranking_counts(project, {}) == {"surplus": 1}
    count_surplus(judgement=surplus, by=rex)
    assert len(list(ranking_rows(project, {}))) == 2
    assert Judgement.objects.get(pk=surplus.pk).counted_by == rex


def test_nobody_counts_their_own_answer(surplus, ana):
    with pytest.raises(PermissionDenied):
        count_surplus(judgement=surplus, by=ana)
    assert not Judgement.objects.get(pk=surplus.pk).counted


def test_an_answer_counts_once(surplus, rex):
    count_surplus(judgement=surplus, by=rex)
    with pytest.raises(AnnotateError) as refusal:
        count_surplus(judgement=surplus, by=rex)
    assert refusal.value.code == "not_surplus"


def test_an_answer_that_was_taken_back_counts_never(surplus, ana, rex):
    undo(judgement=surplus, by=ana)
    with pytest.raises(AnnotateError) as refusal:
        count_surplus(judgement=surplus, by=rex)
    assert refusal.value.code == "taken_back"


def test_who_let_an_answer_count_is_not_asked_about_its_task(surplus, rex):
    count_surplus(judgement=surplus, by=rex)
    assert surplus.task.exclusions.get(user=rex).reason == "conflict"


def test_counting_can_be_undone(surplus, project, rex):
    count_surplus(judgement=surplus, by=rex)
    count_no_longer(judgement=surplus, by=rex)
    assert len(list(ranking_rows(project, {}))) == 1
    with pytest.raises(AnnotateError) as refusal:
        count_no_longer(judgement=surplus, by=rex)
    assert refusal.value.code == "not_surplus"


def test_an_answer_with_a_place_is_never_made_surplus(surplus, rex, abe):
    with pytest.raises(AnnotateError) as refusal:
        count_no_longer(judgement=Judgement.objects.select_related("task__queue").get(user=abe), by=rex)
    assert refusal.value.code == "not_surplus"


def test_a_written_answer_that_comes_to_count_is_reviewed(database, project, writing, reviewing, ana, abe, rex, ada):
    ask_to_write(writing, make_prompt(project))
    found = late(writing, ana, abe, ({"text": "The least value."}, {"text": "Another."}))
    assert not Text.objects.filter(body="The least value.").exists()
    count_surplus(judgement=found, by=ada)
    written = Text.objects.get(body="The least value.")
    assert written.author == ana
    assert found.revisions.latest("number").answer["text_id"] == written.pk
    assert {answer(reviewing, rex, {"decision": "accept"}).judgement.task_id for _ in range(2)} == set(
        reviewing.tasks.values_list("pk", flat=True)
    )


def test_a_counted_answer_that_disagrees_asks_for_one_more(database, project, cleaning, ana, abe, rex):
    queue = change_queue(queue=cleaning, overlap=1, overlap_max=3)
    ask_to_clean(queue, make_document(project, "A document."))
    found = late(queue, ana, abe, ({"decision": "reject", "reasons": ["broken"]}, {"decision": "keep"}))
    assert Task.objects.get().state == "complete"
    count_surplus(judgement=found, by=rex)
    assert Task.objects.get().state == "admitted"
    assert Slot.objects.get(status="open").extra
    assert reconcile_queue(fix=False) == []


def test_an_undone_surplus_answer_leaves_its_task_complete(surplus, ana):
    assert undo(judgement=surplus, by=ana) is None
    assert Task.objects.get().state == "complete"
    assert reconcile_queue(fix=False) == []
