"""An answer is taken once, from who may give it, and no work is dropped."""

from datetime import timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.utils.timezone import now

from annotate.actions.build_tasks import TaskItem
from annotate.actions.save_draft import save_draft
from annotate.actions.skip import skip
from annotate.actions.submit import Times
from annotate.errors import AnnotateError
from annotate.models import (
    Draft,
    Exclusion,
    Flag,
    Judgement,
    Presentation,
    Queue,
    Revision,
    Slot,
    Task,
    TaskText,
    Text,
    User,
)
from annotate.presentation import shown_order
from annotate.queue import claim, sweep

from .conftest import (
    answer,
    ask_to_clean,
    ask_to_write,
    build,
    leased,
    make_document,
    make_prompt,
    make_text,
    rank_item,
    send,
)

ALL_TIED: dict[str, object] = {"groups": [["A", "B", "C", "D"]], "acceptable_groups": None, "ratings": {}}


def expire(slot: Slot) -> None:
    Slot.objects.filter(pk=slot.pk).update(lease_until=now() - timedelta(seconds=1))


def refused(slot: Slot, by: User, body: object, **more: str) -> AnnotateError:
    with pytest.raises(AnnotateError) as refusal:
        send(slot, by, body, **more)
    return refusal.value


def test_an_answer_settles_its_slot_and_its_task(task, ana):
    reply = send(leased(task.queue, ana), ana, ALL_TIED)
    task.refresh_from_db()
    assert reply.outcome == "counted"
    assert (task.state, Slot.objects.get().status) == (Task.State.COMPLETE, Slot.Status.DONE)


def test_what_was_not_answered_is_null(task, ana):
    revision = answer(task.queue, ana, {"groups": [["A", "B", "C", "D"]], "ratings": {"A": {"helpful": 6}}})
    first = shown_order(task, ana)[0]
    assert revision.body["acceptable_groups"] is None
    assert revision.body["ratings"][str(first.pk)] == {"helpful": 6, "truthful": None, "harmless": None}


def test_the_order_shown_is_kept_with_the_answer(task, ana):
    revision = answer(task.queue, ana, ALL_TIED)
    shown = Presentation.objects.get(revision=revision)
    assert shown.order == [text.pk for text in shown_order(task, ana)]
    assert (shown.active_ms, shown.by) == (4_000, "keyboard")
    assert shown.shown_at is not None


def test_the_same_key_and_body_get_the_same_reply_and_one_judgement(task, ana):
    slot = leased(task.queue, ana)
    first = send(slot, ana, ALL_TIED, key="once")
    assert send(slot, ana, ALL_TIED, key="once") == first
    assert Revision.objects.count() == 1


def test_a_key_with_another_body_is_refused(task, ana):
    slot = leased(task.queue, ana)
    send(slot, ana, ALL_TIED, key="once")
    error = refused(slot, ana, {"groups": [["A"], ["B", "C", "D"]]}, key="once")
    assert (error.code, error.status) == ("key_reused", 422)


def test_a_second_answer_by_the_same_person_names_the_first(task, ana):
    slot = leased(task.queue, ana)
    first = send(slot, ana, ALL_TIED)
    error = refused(slot, ana, ALL_TIED)
    assert (error.code, error.status, error.facts) == ("already_answered", 409, {"judgement": first.judgement})
    assert Judgement.objects.count() == 1


def test_no_key_is_refused(task, ana):
    slot = leased(task.queue, ana)
    with pytest.raises(AnnotateError) as refusal:
        send(slot, ana, ALL_TIED, key=" " * 81)
    assert refusal.value.code == "no_key"


def test_who_never_held_the_task_is_refused(task, ana, abe):
    slot = leased(task.queue, ana)
    with pytest.raises(PermissionDenied):
        send(slot, abe, ALL_TIED, token="guessed")
    assert not Judgement.objects.exists()


def test_another_persons_token_opens_nothing(task, ana, abe):
    slot = leased(task.queue, ana)
    with pytest.raises(PermissionDenied):
        send(slot, abe, ALL_TIED, token=slot.token)


def test_an_answer_after_the_lease_ran_out_counts(task, ana):
    slot = leased(task.queue, ana)
    expire(slot)
    assert send(slot, ana, ALL_TIED).outcome == "counted"


def test_an_answer_after_the_sweep_counts_while_nobody_took_the_slot(task, ana):
    slot = leased(task.queue, ana)
    expire(slot)
    sweep()
    assert send(slot, ana, ALL_TIED).outcome == "counted"
    assert Slot.objects.get().user == ana


def test_late_work_fills_another_open_slot(ranking, ana, abe):
    Queue.objects.filter(pk=ranking.pk).update(overlap=2)
    build(ranking, rank_item(ranking.project, ["One.", "Two.", "Three.", "Four."]))
    slot = leased(ranking, ana)
    expire(slot)
    other = Slot.objects.exclude(pk=slot.pk).get()
    Slot.objects.filter(pk=other.pk).update(status="void")
    leased(ranking, abe)
    Slot.objects.filter(pk=other.pk).update(status="open")
    assert send(slot, ana, ALL_TIED).outcome == "other_slot"
    assert Slot.objects.get(pk=other.pk).user == ana


def test_late_work_is_kept_as_surplus_where_others_finished(task, ana, abe):
    slot = leased(task.queue, ana)
    expire(slot)
    answer(task.queue, abe, ALL_TIED)
    assert send(slot, ana, ALL_TIED).outcome == "surplus"
    assert list(Judgement.objects.order_by("pk").values_list("user__name", "counted")) == [
        ("abe", True),
        ("ana", False),
    ]


def test_a_surplus_answer_is_not_asked_for_again(task, ana, abe):
    slot = leased(task.queue, ana)
    expire(slot)
    answer(task.queue, abe, ALL_TIED)
    send(slot, ana, ALL_TIED)
    assert Exclusion.objects.get(task=task, user=ana).reason == "surplus"


def test_who_skipped_the_task_cannot_answer_it_later(task, ana):
    slot = leased(task.queue, ana)
    skip(slot=slot, by=ana, token=slot.token, reason="needs_expertise", note="")
    with pytest.raises(PermissionDenied):
        send(slot, ana, ALL_TIED)


def test_nobody_judges_own_text_whatever_the_lease_says(ranking, ana):
    build(ranking, rank_item(ranking.project, ["One.", "Two."]))
    slot = leased(ranking, ana)
    Text.objects.filter(body="One.").update(author=ana)
    with pytest.raises(PermissionDenied):
        send(slot, ana, {"groups": [["A", "B"]]})
    assert not Judgement.objects.exists()


def test_an_author_is_excluded_when_the_task_is_built(project, ranking, ana, abe):
    asked = make_prompt(project)
    own = make_text(project, "Mine.", author=ana, parent=asked)
    other = make_text(project, "Theirs.", parent=asked)
    texts = [(asked, TaskText.Part.PROMPT), (own, TaskText.Part.ANSWER), (other, TaskText.Part.ANSWER)]
    task = build(ranking, TaskItem(texts))
    assert claim(ranking, ana).cause == "own_texts"
    assert leased(ranking, abe).task == task


def test_who_reviewed_an_answer_does_not_rank_it(project, writing, reviewing, ranking, ana, rex):
    asked = make_prompt(project)
    ask_to_write(writing, asked)
    answer(writing, ana, {"text": "It returns the least value."})
    answer(reviewing, rex, {"decision": "accept"})
    written = Text.objects.get(author=ana)
    texts = [(asked, TaskText.Part.PROMPT), (written, TaskText.Part.ANSWER)]
    texts.append((make_text(project, "Other.", parent=asked), TaskText.Part.ANSWER))
    task = build(ranking, TaskItem(texts))
    assert dict(task.exclusions.values_list("user__name", "reason")) == {"ana": "author", "rex": "upstream"}


def test_who_wrote_the_original_of_an_edit_does_not_judge_the_edit(project, ranking, ana, rex):
    asked = make_prompt(project)
    original = make_text(project, "Mine.", author=ana, parent=asked)
    edit = make_text(project, "Ours.", author=rex, parent=asked, edited_from=original)
    other = make_text(project, "Other.", parent=asked)
    texts = [(asked, TaskText.Part.PROMPT), (edit, TaskText.Part.ANSWER), (other, TaskText.Part.ANSWER)]
    task = build(ranking, TaskItem(texts))
    assert dict(task.exclusions.values_list("user__name", "reason")) == {"ana": "author", "rex": "editor"}


def test_a_draft_goes_at_submit(task, ana):
    slot = leased(task.queue, ana)
    save_draft(slot=slot, by=ana, body={"groups": []}, if_match=None)
    send(slot, ana, ALL_TIED)
    assert not Draft.objects.exists()


def test_a_draft_of_another_tab_is_not_overwritten(task, ana):
    slot = leased(task.queue, ana)
    save_draft(slot=slot, by=ana, body={"text": "first"}, if_match=None)
    with pytest.raises(AnnotateError) as refusal:
        save_draft(slot=slot, by=ana, body={"text": "second"}, if_match=None)
    assert refusal.value.facts == {"version": 1, "body": {"text": "first"}}
    assert Draft.objects.get().body == {"text": "first"}


def test_a_written_answer_becomes_a_text_and_asks_for_a_review(project, writing, reviewing, ana):
    asked = make_prompt(project)
    ask_to_write(writing, asked)
    revision = answer(writing, ana, {"text": "It returns the least value."})
    written = Text.objects.get(author=ana)
    assert (written.parent, written.group, written.origin) == (asked, asked.group, "human")
    assert revision.body == {"text": "It returns the least value.", "pasted": None, "text_id": written.pk}
    assert reviewing.tasks.get().text_ids() == [asked.pk, written.pk]


def test_a_returned_answer_goes_back_to_its_author(project, writing, reviewing, ana, abe, rex):
    ask_to_write(writing, make_prompt(project))
    answer(writing, ana, {"text": "It returns"})
    answer(reviewing, rex, {"decision": "return", "reasons": ["incomplete"], "comment": "The whole sentence, please."})
    assert claim(writing, abe).slot is None
    assert claim(writing, ana).why == "returned to you"


def test_an_edit_of_an_answer_is_a_new_text_beside_the_old(project, writing, reviewing, ana, rex):
    ask_to_write(writing, make_prompt(project))
    answer(writing, ana, {"text": "it returns the least value"})
    answer(reviewing, rex, {"decision": "edit", "reasons": ["form"], "text": "It returns the least value."})
    edit = Text.objects.get(edited_from__isnull=False)
    original = Text.objects.get(author=ana)
    assert (edit.body, edit.author, edit.edited_from) == (
        "It returns the least value.",
        rex,
        original,
    )
    assert edit.parent == original.parent


def test_an_edit_of_a_document_keeps_where_it_came_from(project, cleaning, source, rex):
    document = make_document(project, "Write to ann@corp.io now.", source=source, address="docs/mail")
    ask_to_clean(cleaning, document)
    answer(
        cleaning,
        rex,
        {"decision": "edit", "reasons": ["personal_data"], "text": "Write to [email] now.", "evidence": {}},
    )
    edit = Text.objects.get(edited_from=document)
    assert (edit.source, edit.address, edit.group) == (source, "docs/mail", document.group)


def test_evidence_is_answered_by_its_place_and_stored_by_flag(project, cleaning, rex):
    document = make_document(project, "Write to ann@corp.io or call.")
    later = Flag.objects.create(
        text=document, detector="personal", version=1, category="phone", start=24, end=28, score=0.5, reason="phone"
    )
    first = Flag.objects.create(
        text=document, detector="personal", version=1, category="email", start=9, end=20, score=0.9, reason="e-mail"
    )
    ask_to_clean(cleaning, document)
    revision = answer(cleaning, rex, {"decision": "keep", "evidence": {"1": "right"}})
    assert revision.body["evidence"] == {str(first.pk): "right", str(later.pk): None}


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"groups": [["A", "B", "C"]]}, "wrong_letters", "groups"),
        ({"groups": [["A", "B", "C", "D", "A"]]}, "wrong_letters", "groups"),
        ({"groups": [["A", "B", "C", "E"]]}, "wrong_letters", "groups"),
        ({"groups": [["A", "B", "C", "D"], []]}, "bad_body", "groups"),
        ({"groups": "ABCD"}, "bad_body", "groups"),
        ({**ALL_TIED, "unplaced": ["A"]}, "bad_body", "unplaced"),
        ({**ALL_TIED, "acceptable_groups": 2}, "bad_body", "acceptable_groups"),
        ({**ALL_TIED, "acceptable_groups": True}, "bad_body", "acceptable_groups"),
        ({**ALL_TIED, "ratings": {"A": {"helpful": 8}}}, "bad_body", "ratings"),
        ({**ALL_TIED, "ratings": {"A": {"pretty": 3}}}, "bad_body", "ratings"),
        ({**ALL_TIED, "ratings": {"E": {"helpful": 3}}}, "bad_body", "ratings"),
        ({**ALL_TIED, "winner": "A"}, "unknown_field", "winner"),
        ([], "bad_body", "body"),
    ],
)
def test_a_ranking_that_is_none_is_refused_and_the_lease_stays(task, ana, body, code, field):
    slot = leased(task.queue, ana)
    error = refused(slot, ana, body)
    assert (error.code, error.status, error.facts["field"]) == (code, 400, field)
    assert Slot.objects.get().status == "leased"
    assert not Judgement.objects.exists()


def test_a_required_axis_must_be_answered(task, ana):
    task.queue.required_axes = ["helpful"]
    assert refused(leased(task.queue, ana), ana, ALL_TIED).facts["field"] == "ratings"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"decision": "reject", "reasons": []}, "bad_body"),
        ({"decision": "reject", "reasons": ["ugly"]}, "bad_body"),
        ({"decision": "maybe"}, "bad_body"),
        ({"decision": "edit", "text": " \n"}, "empty_text"),
        ({"decision": "edit", "text": "A document."}, "unchanged"),
        ({"decision": "edit", "text": "é" * 100_001}, "too_long"),
        ({"decision": "keep", "text": "Another."}, "bad_body"),
        ({"decision": "keep", "evidence": {"1": "right"}}, "bad_body"),
    ],
)
def test_a_cleaning_that_is_none_is_refused(project, cleaning, rex, body, code):
    ask_to_clean(cleaning, make_document(project, "A document."))
    assert refused(leased(cleaning, rex), rex, body).code == code
    assert not Judgement.objects.exists()


def test_a_return_without_a_comment_is_refused(project, writing, reviewing, ana, rex):
    ask_to_write(writing, make_prompt(project))
    answer(writing, ana, {"text": "It returns"})
    assert refused(leased(reviewing, rex), rex, {"decision": "return", "reasons": []}).facts["field"] == "comment"


@pytest.mark.parametrize("bad", [{"active_ms": -1}, {"hidden_ms": 10**12}, {"by": "telepathy"}])
def test_times_that_cannot_be_are_refused(bad):
    with pytest.raises(AnnotateError) as refusal:
        Times(**{"active_ms": None, "hidden_ms": None, "by": None} | bad)
    assert refusal.value.code == "bad_times"


@pytest.mark.parametrize("count", [1, 10])
def test_a_comparison_has_two_to_nine_answers(ranking, count):
    with pytest.raises(AnnotateError) as refusal:
        build(ranking, rank_item(ranking.project, [f"Answer {n}" for n in range(count)]))
    assert refusal.value.code == "wrong_texts"
    assert not Task.objects.exists()


def test_a_submit_is_a_handful_of_statements(task, ana, django_assert_max_num_queries):
    slot = leased(task.queue, ana)
    with django_assert_max_num_queries(18):  # two of them open and release the savepoint
        send(slot, ana, ALL_TIED)
