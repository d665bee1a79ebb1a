"""The last answer can be taken back, until the next one."""

import pytest
from django.core.exceptions import PermissionDenied

from annotate.actions.build_tasks import TaskItem
from annotate.actions.save_draft import save_draft
from annotate.actions.undo import undo
from annotate.errors import AnnotateError
from annotate.models import Draft, Revision, Slot, Task, TaskText, Text
from annotate.queue import claim

from .conftest import answer, ask_to_clean, ask_to_write, build, leased, make_document, make_prompt, send, taken_back


@pytest.fixture
def cleaned(project, cleaning, rex):
    ask_to_clean(cleaning, make_document(project, "A document."))
    return answer(cleaning, rex, {"decision": "keep"}).judgement


@pytest.fixture
def written(project, writing, ana):
    ask_to_write(writing, make_prompt(project))
    return answer(writing, ana, {"text": "It returns the least value."}).judgement


def test_an_undo_is_a_revision_and_leaves_no_current_answer(cleaned, rex):
    undo(judgement=cleaned, by=rex)
    assert list(cleaned.revisions.order_by("number").values_list("kind", "body")) == [
        ("submit", {"decision": "keep", "reasons": [], "evidence": {}}),
        ("undo", None),
    ]
    assert not Revision.objects.current().exists()


def test_an_undo_leases_the_slot_again_with_its_token(cleaned, rex):
    before = Slot.objects.get()
    slot = taken_back(cleaned, rex)
    assert (slot.pk, slot.token, slot.status) == (before.pk, before.token, "leased")
    assert slot.task.state == Task.State.ADMITTED


def test_after_an_undo_the_answer_is_given_anew(cleaned, rex):
    slot = taken_back(cleaned, rex)
    reply = send(slot, rex, {"decision": "reject", "reasons": ["broken"]})
    assert reply.judgement == str(cleaned.uuid)
    current = Revision.objects.current().get()
    assert (current.number, current.answer["decision"]) == (3, "reject")


def test_an_undo_releases_the_next_task_and_keeps_its_draft(project, cleaning, cleaned, rex):
    ask_to_clean(cleaning, make_document(project, "Another document."))
    following = leased(cleaning, rex)
    save_draft(slot=following, by=rex, body={"text": "half"}, if_match=None)
    slot = taken_back(cleaned, rex)
    following.refresh_from_db()
    assert (following.status, Draft.objects.get().slot) == ("open", following)
    assert claim(cleaning, rex).slot == slot


def test_only_the_last_answer_can_be_undone(project, cleaning, cleaned, rex):
    ask_to_clean(cleaning, make_document(project, "Another document."))
    answer(cleaning, rex, {"decision": "keep"})
    with pytest.raises(AnnotateError) as refusal:
        undo(judgement=cleaned, by=rex)
    assert refusal.value.code == "undo_too_late"
    assert cleaned.revisions.count() == 1


def test_an_undo_happens_once(cleaned, rex):
    undo(judgement=cleaned, by=rex)
    with pytest.raises(AnnotateError) as refusal:
        undo(judgement=cleaned, by=rex)
    assert refusal.value.code == "undo_too_late"


def test_nobody_undoes_anothers_answer(cleaned, ana):
    with pytest.raises(PermissionDenied):
        undo(judgement=cleaned, by=ana)
    assert cleaned.revisions.count() == 1


def test_an_undone_answer_is_not_reviewed(reviewing, written, ana, rex):
    undo(judgement=written, by=ana)
    assert reviewing.tasks.get().state == Task.State.VOID
    assert claim(reviewing, rex).cause == "finished"


def test_a_review_that_somebody_has_begun_is_kept_as_surplus(reviewing, written, ana, rex):
    slot = leased(reviewing, rex)
    undo(judgement=written, by=ana)
    assert Slot.objects.get(queue=reviewing).status == "void"
    assert send(slot, rex, {"decision": "accept"}).outcome == "surplus"


def test_an_answer_given_anew_is_reviewed(reviewing, written, ana, rex):
    slot = taken_back(written, ana)
    send(slot, ana, {"text": "It returns the smallest value."})
    task = leased(reviewing, rex).task
    assert Text.objects.get(task_texts__task=task, kind="answer").body == "It returns the smallest value."


def test_an_undone_return_no_longer_asks_the_author(writing, reviewing, written, ana, rex):
    review = answer(reviewing, rex, {"decision": "return", "comment": "Shorter."}).judgement
    undo(judgement=review, by=rex)
    assert claim(writing, ana).cause == "finished"


def test_an_editor_is_kept_from_what_waits_about_the_text(project, writing, reviewing, ranking, written, rex, ana):
    text = Text.objects.select_related("parent").get(author=ana)
    asked = text.parent
    assert asked is not None
    other = Text.objects.create(
        project=project, kind="answer", body="Other.", sha256="0", origin="model", parent=asked, group=text.group
    )
    parts = [(asked, TaskText.Part.PROMPT), (text, TaskText.Part.ANSWER), (other, TaskText.Part.ANSWER)]
    task = build(ranking, TaskItem(parts))
    answer(reviewing, rex, {"decision": "edit", "text": "It returns the smallest value."})
    assert task.exclusions.get(user=rex).reason == "editor"
