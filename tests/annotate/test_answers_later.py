"""An answer can be changed and withdrawn later, by further versions of it; on both databases."""

import pytest
from django.core.exceptions import PermissionDenied

from annotate.actions.change_queue import change_queue
from annotate.actions.edit_answer import edit_answer
from annotate.actions.reconcile_queue import reconcile_queue
from annotate.actions.submit import Times
from annotate.actions.undo import undo
from annotate.actions.withdraw import withdraw
from annotate.errors import AnnotateError
from annotate.exports.answers import sft_rows
from annotate.models import Judgement, Presentation, Revision, Slot, Task, Text, User
from annotate.presentation import shown_order
from annotate.queue import claim

from .conftest import answer, ask_to_clean, ask_to_write, leased, make_document, make_prompt, send

pytestmark = pytest.mark.usefixtures("database")

TIED = {"groups": [["A", "B", "C", "D"]]}
RANKED = {"groups": [["B"], ["A", "C"], ["D"]], "acceptable_groups": 1}
TIMES = Times(active_ms=9_000, hidden_ms=0, by="pointer")


@pytest.fixture
def ranked(database, task, ana) -> Judgement:
    return answer(task.queue, ana, TIED).judgement


def changed(judgement: Judgement, by: User, body: object) -> Revision:
    return edit_answer(judgement=of(judgement), by=by, body=body, times=TIMES)


def of(judgement: Judgement) -> Judgement:
    return Judgement.objects.select_related("task__queue__project", "user", "slot").get(pk=judgement.pk)


def kinds(judgement: Judgement) -> list[str]:
    return list(judgement.revisions.order_by("number").values_list("kind", flat=True))


def test_an_edit_is_a_version_in_the_letters_that_were_shown(ranked, ana):
    made = changed(ranked, ana, RANKED)
    letters = dict(zip("ABCD", [text.pk for text in shown_order(ranked.task, ana)], strict=True))
    assert made.body is not None
    assert made.body["groups"] == [[letters["B"]], [letters["A"], letters["C"]], [letters["D"]]]
    assert (kinds(ranked), Revision.objects.current().get()) == (["submit", "edit"], made)
    assert Presentation.objects.get(revision=made).by == "pointer"


def test_an_edit_that_says_the_same_is_refused(ranked, ana):
    with pytest.raises(AnnotateError) as refusal:
        changed(ranked, ana, TIED)
    assert refusal.value.code == "unchanged"


def test_nobody_edits_anothers_answer(ranked, ada):
    with pytest.raises(PermissionDenied):
        changed(ranked, ada, RANKED)


def test_an_undo_of_an_edit_puts_the_answer_before_it_back(ranked, ana):
    before = Revision.objects.current().get().body
    changed(ranked, ana, RANKED)
    assert undo(judgement=of(ranked), by=ana) is None
    assert Revision.objects.current().get().body == before
    assert kinds(ranked) == ["submit", "edit", "edit"]


def test_an_edited_answer_is_reviewed_in_its_new_words(database, project, writing, reviewing, ana, rex):
    ask_to_write(writing, make_prompt(project))
    written = answer(writing, ana, {"text": "It returns the least value."}).judgement
    changed(written, ana, {"text": "It returns the smallest value."})
    assert list(reviewing.tasks.order_by("pk").values_list("state", flat=True)) == ["void", "held"]
    task = leased(reviewing, rex).task
    assert Text.objects.get(task_texts__task=task, kind="answer").body == "It returns the smallest value."


def test_an_answer_that_was_reviewed_is_not_edited(database, project, writing, reviewing, ana, rex):
    ask_to_write(writing, make_prompt(project))
    written = answer(writing, ana, {"text": "It returns the least value."}).judgement
    answer(reviewing, rex, {"decision": "accept"})
    with pytest.raises(AnnotateError) as refusal:
        changed(written, ana, {"text": "It returns the smallest value."})
    assert refusal.value.code == "followed"
    assert kinds(written) == ["submit"]


def test_an_edit_may_end_a_dispute(database, project, cleaning, ana, abe):
    queue = change_queue(queue=cleaning, overlap=2, overlap_max=3)
    task = ask_to_clean(queue, make_document(project, "A document."))
    answer(queue, ana, {"decision": "keep"})
    other = answer(queue, abe, {"decision": "reject", "reasons": ["broken"]}).judgement
    assert Slot.objects.filter(task=task, status="open").exists()
    changed(other, abe, {"decision": "keep"})
    assert Task.objects.get().state == "complete"
    assert reconcile_queue(fix=False) == []


def test_a_withdrawn_answer_counts_nowhere_and_others_are_asked(ranked, ana, abe):
    withdraw(judgement=of(ranked), by=ana, note="")
    assert not Revision.objects.current().exists()
    assert claim(ranked.task.queue, ana).cause == "others"
    assert leased(ranked.task.queue, abe).task == ranked.task
    assert reconcile_queue(fix=False) == []


def test_an_answer_is_withdrawn_once_and_not_sent_again(ranked, task, ana):
    slot = Slot.objects.select_related("task", "queue__project").get()
    withdraw(judgement=of(ranked), by=ana, note="")
    with pytest.raises(AnnotateError) as twice:
        withdraw(judgement=of(ranked), by=ana, note="")
    with pytest.raises(AnnotateError) as again:
        send(slot, ana, TIED)
    assert (twice.value.code, again.value.code) == ("taken_back", "withdrawn")


def test_an_undo_of_a_withdrawal_takes_the_place_back(ranked, ana):
    before = Revision.objects.current().get().body
    withdraw(judgement=of(ranked), by=ana, note="")
    undo(judgement=of(ranked), by=ana)
    assert Revision.objects.current().get().body == before
    assert (Slot.objects.get().status, Task.objects.get().state, of(ranked).counted) == ("done", "complete", True)
    assert not ranked.task.exclusions.exists()


def test_an_undo_of_a_withdrawal_is_surplus_where_another_has_the_place(ranked, ana, abe):
    withdraw(judgement=of(ranked), by=ana, note="")
    answer(ranked.task.queue, abe, TIED)
    undo(judgement=of(ranked), by=ana)
    assert (of(ranked).counted, Revision.objects.counted().count()) == (False, 1)
    withdraw(judgement=of(Judgement.objects.get(user=abe)), by=abe, note="")
    assert claim(ranked.task.queue, ana).slot is None  # who answered, if only as surplus, is not asked again


def test_an_admin_withdraws_with_a_reason(ranked, ada):
    with pytest.raises(AnnotateError) as refusal:
        withdraw(judgement=of(ranked), by=ada, note=" ")
    assert refusal.value.code == "no_reason"
    made = withdraw(judgement=of(ranked), by=ada, note="Sent by a script.")
    assert (made.by, made.note) == (ada, "Sent by a script.")


def test_what_an_admin_withdrew_the_judge_does_not_undo(ranked, ana, ada):
    withdraw(judgement=of(ranked), by=ada, note="Sent by a script.")
    with pytest.raises(AnnotateError) as refusal:
        undo(judgement=of(ranked), by=ana)
    assert refusal.value.code == "undo_too_late"


def test_a_reviewer_withdraws_no_answer_of_others(ranked, rex):
    with pytest.raises(PermissionDenied):
        withdraw(judgement=of(ranked), by=rex, note="No.")
    assert kinds(ranked) == ["submit"]


def test_a_withdrawn_text_is_trained_on_no_more_though_it_was_accepted(database, project, writing, reviewing, ana, rex):
    ask_to_write(writing, make_prompt(project))
    written = answer(writing, ana, {"text": "It returns the least value."}).judgement
    answer(reviewing, rex, {"decision": "accept"})
    assert len(list(sft_rows(project, {"sources": ["write"]}))) == 1
    withdraw(judgement=of(written), by=ana, note="")
    assert list(sft_rows(project, {"sources": ["write"]})) == []
    undo(judgement=of(written), by=ana)
    assert len(list(sft_rows(project, {"sources": ["write"]}))) == 1
