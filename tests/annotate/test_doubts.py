"""What players doubt: when a document is asked about, and what a suggestion to fix leaves behind."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, transaction

from annotate.actions.doubt import suggest_fix, take_fix_back
from annotate.actions.play import record_consent
from annotate.actions.train_start import bundled_start
from annotate.cloze import blanks
from annotate.doubts import doubts
from annotate.errors import AnnotateError
from annotate.models import Flag, GameDoubt, GameItem, GameParagraph, GameStart, Task, User
from tests.annotate.conftest import answer as answer_task
from tests.annotate.conftest import make_document
from tests.annotate.plays import answer, blank, other, own_start, paragraphs, seat

pytestmark = pytest.mark.django_db


@pytest.fixture
def bundled(db):
    return blank(paragraphs(bundled_start())[2])


@pytest.fixture
def item(project, bundled):
    """The same blank in a paragraph of a document of the project, after a sentence that is not played."""
    whole = bundled.paragraph
    body = "Once upon a time. " + " ".join(one["text"] for one in whole.shown["sentences"])
    paragraph = GameParagraph.objects.create(
        start=own_start(project),
        key=whole.key,
        theme="tides",
        body=whole.body,
        shown=whole.shown,
        text=make_document(project, body),
    )
    return GameItem.objects.create(
        paragraph=paragraph,
        sentence=bundled.sentence,
        position=bundled.position,
        gold=bundled.gold,
        distractors=bundled.distractors,
    )


@pytest.fixture
def people(db):
    return [User.objects.create_user(f"player{number}") for number in range(5)]


def answered(project, people, item, *, against):
    for nth, person in enumerate(people):
        answer(project, person, item, other(item) if nth < against else {})


def found(project):
    return [one for one in doubts(project, blanks(project)) if one.is_doubted]


def test_three_of_five_against_the_text_ask_about_the_document(project, people, item):
    answered(project, people, item, against=3)
    [task] = Task.objects.all()
    flag = Flag.objects.get()
    assert (task.queue.kind, task.texts.get(), task.selection["reason"]) == (
        "clean",
        item.paragraph.text,
        "players disagree",
    )
    assert flag.text.body[flag.start : flag.end] == item.paragraph.shown["sentences"][item.sentence]["text"]
    assert flag.reason.startswith("Players disagree: 3 of 5")


def test_two_of_five_against_the_text_ask_nobody(project, people, item):
    answered(project, people, item, against=2)
    assert not Task.objects.exists()


def test_four_people_are_too_few_to_doubt_by_themselves(project, people, item):
    answered(project, people[:4], item, against=4)
    assert not Task.objects.exists()


def test_more_doubt_of_one_sentence_asks_no_second_time(project, people, item, ana):
    answered(project, people, item, against=3)
    answer(project, ana, item, other(item))
    assert (Task.objects.count(), Flag.objects.count()) == (1, 1)


def test_a_bundled_paragraph_is_counted_and_asks_nobody(project, people, bundled):
    answered(project, people, bundled, against=3)
    [doubt] = found(project)
    assert (doubt.people, doubt.against) == (5, 3)
    assert not Task.objects.exists()


# a suggestion


def suggest(project, by, item, note="", at=0):
    round_ = answer(project, by, item)
    return suggest_fix(round_=round_, item=at, note=note, by=by)


def test_one_suggestion_waits_for_a_second(project, ana, item):
    suggest(project, ana, item, "The sea does not.")
    assert GameDoubt.objects.get().note == "The sea does not."
    assert not Task.objects.exists()


def test_suggestions_of_two_people_ask_about_the_document(project, ana, abe, item):
    suggest(project, ana, item)
    suggest(project, abe, item)
    assert Task.objects.get().texts.get() == item.paragraph.text
    assert Flag.objects.get().reason == "Players disagree with the text. Suggestions to fix it: 2."


def test_one_person_who_suggests_twice_is_one_person(project, ana, item):
    suggest(project, ana, item, "First.")
    assert suggest(project, ana, item, "Second.").note == "First."
    assert (GameDoubt.objects.count(), Task.objects.exists()) == (1, False)


@pytest.mark.parametrize("act", [lambda **of: suggest_fix(note="", **of), take_fix_back])
def test_what_was_not_answered_cannot_be_doubted(project, ana, item, act):
    round_ = seat(project, ana, [item])
    with pytest.raises(AnnotateError) as refusal:
        act(round_=round_, item=0, by=ana)
    assert (refusal.value.code, GameDoubt.objects.exists()) == ("bad_row", False)


@pytest.mark.parametrize("at", [-1, 1])
def test_a_place_that_the_round_does_not_have_is_refused(project, ana, item, at):
    with pytest.raises(AnnotateError) as refusal:
        suggest(project, ana, item, at=at)
    assert refusal.value.code == "bad_row"


def test_a_note_has_at_most_300_characters(project, ana, item):
    with pytest.raises(AnnotateError) as refusal:
        suggest(project, ana, item, "x" * 301)
    assert refusal.value.code == "too_long"


@pytest.mark.parametrize("change", [lambda rows: rows.update(note="changed"), lambda rows: rows._raw_delete("default")])
def test_suggestions_only_append(project, ana, item, change):
    suggest(project, ana, item)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        change(GameDoubt.objects.all())
    assert GameDoubt.objects.get().note == ""


def test_a_withdrawal_erases_what_was_suggested(project, ana, item):
    suggest(project, ana, item)
    record_consent(project=project, by=ana, scopes=[])
    assert not GameDoubt.objects.exists()


# a suggestion taken back


def take_back(doubt):
    take_fix_back(round_=doubt.round, item=0, by=doubt.by)


def test_a_suggestion_taken_back_is_a_row_more_and_counts_no_more(project, ana, bundled):
    take_back(suggest(project, ana, bundled, "No verb."))
    assert list(GameDoubt.objects.order_by("pk").values_list("note", "withdrawn")) == [("No verb.", False), ("", True)]
    assert doubts(project, blanks(project)) == []


def test_taking_back_what_does_not_stand_leaves_no_row(project, ana, item):
    doubt = suggest(project, ana, item)
    take_back(doubt)
    take_back(doubt)
    assert GameDoubt.objects.count() == 2


def test_nobody_takes_back_what_another_suggests(project, ana, abe, bundled):
    suggest(project, ana, bundled, "Ana's.")
    take_back(suggest(project, abe, bundled, "Abe's."))
    [doubt] = doubts(project, blanks(project))
    assert doubt.fixes == ["Ana's."]


def test_what_was_taken_back_can_be_suggested_anew(project, ana, bundled):
    doubt = suggest(project, ana, bundled, "First.")
    take_back(doubt)
    suggest_fix(round_=doubt.round, item=0, note="Second.", by=ana)
    [found] = doubts(project, blanks(project))
    assert found.fixes == ["Second."]


def test_a_suggestion_taken_back_takes_back_what_reviewers_were_asked(project, ana, abe, item):
    suggest(project, ana, item)
    take_back(suggest(project, abe, item))
    assert Task.objects.get().state == Task.State.VOID
    assert not Flag.objects.live().exists()


def test_two_people_who_suggest_again_ask_again(project, ana, abe, item):
    suggest(project, ana, item)
    doubt = suggest(project, abe, item)
    take_back(doubt)
    suggest_fix(round_=doubt.round, item=0, note="", by=abe)
    assert (Task.objects.exclude(state=Task.State.VOID).count(), Flag.objects.live().count()) == (1, 1)


def test_what_players_answered_keeps_the_question_open(project, people, item):
    answered(project, people, item, against=3)
    for person in people[:2]:
        doubt = suggest(project, person, item)
    take_back(doubt)
    assert Task.objects.get().state != Task.State.VOID
    assert Flag.objects.live().exists()


def test_what_a_reviewer_answered_stays(project, ana, abe, rex, item):
    suggest(project, ana, item)
    doubt = suggest(project, abe, item)
    answer_task(Task.objects.get().queue, rex, {"decision": "keep"})
    take_back(doubt)
    assert Task.objects.get().state == Task.State.COMPLETE


# play that is erased


def test_erased_play_takes_back_what_it_asked(project, people, item):
    answered(project, people, item, against=3)
    record_consent(project=project, by=people[0], scopes=[])
    assert not Flag.objects.live().exists()
    assert Task.objects.get().state == Task.State.VOID


def test_erased_play_leaves_what_others_doubt_and_counts_it_anew(project, people, item, ana):
    answered(project, people, item, against=3)
    answer(project, ana, item, other(item))
    record_consent(project=project, by=people[4], scopes=[])
    [flag] = Flag.objects.live()
    assert flag.reason.startswith("Players disagree: 4 of 5")
    assert Task.objects.get().state != Task.State.VOID


def test_erased_play_leaves_what_a_reviewer_answered(project, people, item, rex):
    answered(project, people, item, against=3)
    answer_task(Task.objects.get().queue, rex, {"decision": "keep"})
    record_consent(project=project, by=people[0], scopes=[])
    assert Task.objects.get().state == Task.State.COMPLETE


def test_erased_play_leaves_what_others_doubt_of_a_paragraph_that_is_played_no_more(project, people, item, ana):
    answered(project, people, item, against=4)
    answer(project, ana, item, other(item))
    GameParagraph.objects.filter(pk=item.paragraph_id).update(retired_at="2026-01-01T00:00Z")
    record_consent(project=project, by=people[4], scopes=[])
    assert Flag.objects.live().get().reason.startswith("Players disagree: 5 of 5")


def test_what_an_earlier_start_was_told_keeps_the_question_open(project, people, item, ana, abe):
    """The same document is played by a newer start, whose players take back what they said."""
    answered(project, people, item, against=3)
    old = item.paragraph
    newer = GameStart.objects.create(
        project=project, version="0" * 64, file=old.start.file, practice=old.start.practice, header=old.start.header
    )
    again = GameParagraph.objects.create(
        start=newer, key=old.key, theme="tides", body=old.body, shown=old.shown, text=old.text
    )
    place = {name: getattr(item, name) for name in ("sentence", "position", "gold", "distractors")}
    blank_again = GameItem.objects.create(paragraph=again, **place)
    doubt = suggest(project, ana, blank_again)
    take_back(doubt)
    assert Flag.objects.live().exists()
    assert Task.objects.get().state != Task.State.VOID


def test_a_document_that_a_reviewer_rejected_is_asked_about_no_more(project, people, item, rex):
    answered(project, people[:4], item, against=4)
    GameParagraph.objects.filter(pk=item.paragraph_id).update(retired_at="2026-01-01T00:00Z")
    item.paragraph.refresh_from_db()
    answer(project, people[4], item, other(item))
    assert not Task.objects.exists()
