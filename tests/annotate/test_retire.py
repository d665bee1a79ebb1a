"""What is withdrawn retires the networks that read it, and what reviewers reject is played no more."""

from __future__ import annotations

from functools import partial

import pytest
from django.urls import reverse

from annotate import game, tasks
from annotate.actions import train_start as training_of
from annotate.actions.edit_answer import edit_answer
from annotate.actions.publish_start import publish_start
from annotate.actions.train_start import ask_for_start, bundled_start, start_of, train_start
from annotate.actions.undo import undo
from annotate.actions.withdraw import withdraw
from annotate.cloze import blanks
from annotate.exports.documents import documents_played
from annotate.models import ClozeDocument, Flag, GameItem, GameParagraph, GameStart, GameTraining
from tests.annotate.conftest import BY_KEYBOARD, ask_to_clean, make_document
from tests.annotate.conftest import answer as answer_task
from tests.annotate.plays import answer, blank, own_start, paragraphs

pytestmark = pytest.mark.django_db

REJECT = {"decision": "reject", "reasons": ["broken"]}
EDIT = {"decision": "edit", "text": "The tide comes in twice a day."}


@pytest.fixture
def document(project):
    return make_document(project, "The tide comes in twice a day")


@pytest.fixture
def decide(cleaning, rex, document):
    """Answers a clean task about the document, or another, by rex, or another; the judgement."""

    def decided(body, about=document, by=rex):
        ask_to_clean(cleaning, about)
        return answer_task(cleaning, by, body).judgement

    return decided


def stands(start):
    start.refresh_from_db()
    return start.retired_at is None


# starts


def test_a_withdrawn_edit_retires_the_start_that_read_it_and_wishes_for_another(project, rex, decide):
    judgement = decide(EDIT)
    start = own_start(project)
    withdraw(judgement=judgement, by=rex, note="")
    wish = GameTraining.objects.get()
    assert (stands(start), wish.state, wish.by, wish.sent_at) == (False, "running", rex, None)
    assert start_of(project) == (bundled_start(), "bundled")


def test_an_answer_that_is_undone_retires_as_one_that_is_withdrawn(project, rex, decide):
    judgement = decide(EDIT)
    start = own_start(project)
    undo(judgement=judgement, by=rex)
    assert not stands(start)


def test_a_start_from_before_the_answer_never_read_it_and_stays(project, rex, decide):
    start = own_start(project)
    withdraw(judgement=decide(EDIT), by=rex, note="")
    assert stands(start)
    assert not GameTraining.objects.exists()


def test_a_start_from_before_the_answer_stays_while_another_is_trained(project, ada, rex, decide):
    start = own_start(project)
    judgement, training = decide(EDIT), ask_for_start(project=project, by=ada)
    withdraw(judgement=judgement, by=rex, note="")
    training.refresh_from_db()
    assert (stands(start), training.state) == (True, "failed")


def test_what_is_read_all_the_same_retires_nothing(project, rex, decide):
    judgement = decide({"decision": "keep"})
    start = own_start(project)
    withdraw(judgement=judgement, by=rex, note="")
    assert stands(start)


def test_a_document_with_a_finding_is_read_only_while_it_is_kept(project, rex, decide, document):
    Flag.objects.create(text=document, detector="personal", version=1, category="card", start=0, end=3, score=0.9)
    judgement = decide({"decision": "keep"})
    start = own_start(project)
    withdraw(judgement=judgement, by=rex, note="")
    assert not stands(start)


def test_a_document_that_is_played_was_read_by_no_start(project, rex, decide, document):
    ClozeDocument.objects.create(project=project, text=document)
    judgement = decide(EDIT)
    start = own_start(project)
    withdraw(judgement=judgement, by=rex, note="")
    assert stands(start)


def test_a_document_that_is_held_out_was_read_by_no_start(project, rex, decide):
    judgement = decide(EDIT, about=make_document(project, "Another tide", split="heldout"))
    start = own_start(project)
    withdraw(judgement=judgement, by=rex, note="")
    assert stands(start)


def test_other_starts_stay(project, other_project, rex, decide):
    judgement = decide(EDIT)
    starts = [own_start(other_project), bundled_start()]
    own_start(project)
    withdraw(judgement=judgement, by=rex, note="")
    assert [stands(start) for start in starts] == [True, True]


def test_a_training_that_may_have_read_what_is_withdrawn_publishes_nothing(project, ada, rex, decide, monkeypatch):
    judgement, training = decide(EDIT), ask_for_start(project=project, by=ada)

    def trained(_):
        withdraw(judgement=judgement, by=rex, note="")
        return partial(own_start, project)

    monkeypatch.setattr(training_of, "_trained", trained)
    train_start(training)
    training.refresh_from_db()
    assert (training.state, training.start, project.game_starts.count()) == ("failed", None, 0)
    assert project.game_trainings.get(state="running").by == rex


def test_the_next_sweep_asks_a_worker_for_the_new_start_once(
    project, rex, decide, redis_client, django_capture_on_commit_callbacks
):
    judgement = decide(EDIT)
    own_start(project)
    withdraw(judgement=judgement, by=rex, note="")
    with django_capture_on_commit_callbacks(execute=True):
        tasks.sweep_leases()
        tasks.sweep_leases()
    assert redis_client.llen("default") == 1


def test_the_page_says_why_the_bundled_network_plays(project, rex, ana, decide, client):
    client.force_login(ana)
    judgement = decide(EDIT)
    own_start(project)
    before = client.get(reverse("game", args=[project.uuid])).content.decode()
    withdraw(judgement=judgement, by=rex, note="")
    after = client.get(reverse("game", args=[project.uuid])).content.decode()
    assert ("was withdrawn" in before, "was withdrawn" in after) == (False, True)
    assert "A network is being trained" in after


def test_the_same_start_made_again_stands_again(project):
    known = game.read_start(bundled_start())
    made = publish_start(start=known, practice=b"", played=[], project=project)
    GameStart.objects.filter(pk=made.pk).update(retired_at="2026-01-01T00:00Z")
    assert stands(publish_start(start=known, practice=b"", played=[], project=project))


def test_what_people_answered_to_a_retired_start_stays_in_the_benchmark(project, ana):
    start = bundled_start()
    item = blank(paragraphs(start)[2])
    answer(project, ana, item)
    GameStart.objects.filter(pk=start.pk).update(retired_at="2026-01-01T00:00Z")
    [kept] = blanks(project)
    assert (kept.item, kept.mode, kept.people, kept.current) == (item, "missing", 1, False)


# paragraphs


@pytest.fixture
def item(project):
    """A blank in a paragraph of a document of the project."""
    bundled = blank(paragraphs(bundled_start())[2])
    whole = bundled.paragraph
    text = make_document(project, " ".join(one["text"] for one in whole.shown["sentences"]))
    ClozeDocument.objects.create(project=project, text=text)
    paragraph = GameParagraph.objects.create(
        start=own_start(project), key=whole.key, theme="tides", body=whole.body, shown=whole.shown, text=text
    )
    return GameItem.objects.create(
        paragraph=paragraph,
        sentence=bundled.sentence,
        position=bundled.position,
        gold=bundled.gold,
        distractors=bundled.distractors,
    )


def is_played(item):
    """Dealt now, and by the starts to come."""
    paragraph = GameParagraph.objects.get(pk=item.paragraph_id)
    assert paragraph.start.project
    documents = documents_played(paragraph.start.project)
    return paragraph.retired_at is None, paragraph.text in documents


@pytest.mark.parametrize("body", [REJECT, EDIT])
def test_a_document_that_a_reviewer_rejects_or_edits_is_played_no_more(item, decide, body):
    decide(body, about=item.paragraph.text)
    assert is_played(item) == (False, False)


def test_a_document_that_a_reviewer_keeps_is_played(item, decide):
    decide({"decision": "keep"}, about=item.paragraph.text)
    assert is_played(item) == (True, True)


def test_a_rejection_withdrawn_brings_its_paragraph_back(item, decide, rex):
    judgement = decide(REJECT, about=item.paragraph.text)
    withdraw(judgement=judgement, by=rex, note="")
    assert is_played(item) == (True, True)


def test_a_rejection_changed_into_keep_brings_its_paragraph_back(item, decide, rex):
    judgement = decide(REJECT, about=item.paragraph.text)
    edit_answer(judgement=judgement, by=rex, body={"decision": "keep"}, times=BY_KEYBOARD)
    assert is_played(item) == (True, True)


def test_what_another_rejects_too_stays_unplayed(item, decide, rex, ada):
    first = decide(REJECT, about=item.paragraph.text)
    decide(REJECT, about=item.paragraph.text, by=ada)
    withdraw(judgement=first, by=rex, note="")
    assert is_played(item) == (False, False)


def test_a_round_that_was_begun_goes_on_after_its_paragraph_is_retired(project, ana, item, decide):
    decide(REJECT, about=item.paragraph.text)
    assert answer(project, ana, item).replay == "same"
