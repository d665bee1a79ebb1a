"""What players doubt: when a document is asked about, and what a suggestion to fix leaves behind."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, transaction

from annotate.actions.doubt import suggest_fix
from annotate.actions.play import record_consent
from annotate.actions.train_start import bundled_start
from annotate.cloze import blanks
from annotate.doubts import doubts
from annotate.errors import AnnotateError
from annotate.models import Flag, GameDoubt, GameItem, GameParagraph, GameStart, Task, User
from tests.annotate.conftest import make_document
from tests.annotate.plays import answer, blank, other, paragraphs, seat

pytestmark = pytest.mark.django_db


@pytest.fixture
def bundled(db):
    return blank(paragraphs(bundled_start())[2])


@pytest.fixture
def item(project, bundled):
    """The same blank in a paragraph of a document of the project, after a sentence that is not played."""
    whole, start = bundled.paragraph, bundled.paragraph.start
    body = "Once upon a time. " + " ".join(one["text"] for one in whole.shown["sentences"])
    own = GameStart.objects.create(
        project=project, version=start.version, file=start.file, practice=start.practice, header=start.header
    )
    paragraph = GameParagraph.objects.create(
        start=own, key=whole.key, theme="tides", body=whole.body, shown=whole.shown, text=make_document(project, body)
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


def test_what_was_not_answered_cannot_be_doubted(project, ana, item):
    round_ = seat(project, ana, [item])
    with pytest.raises(AnnotateError) as refusal:
        suggest_fix(round_=round_, item=0, note="", by=ana)
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


def test_suggestions_only_append(project, ana, item):
    suggest(project, ana, item)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        GameDoubt.objects.update(note="changed")


def test_a_withdrawal_erases_what_was_suggested(project, ana, item):
    suggest(project, ana, item)
    record_consent(project=project, by=ana, scopes=[])
    assert not GameDoubt.objects.exists()
