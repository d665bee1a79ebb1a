"""The learning game's rows: what is dealt, what is kept, what a replay finds, and what no network may read."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from django.core.management import call_command
from django.db import DatabaseError, transaction

from annotate import game
from annotate.actions.play import (
    begin_round,
    erase_play,
    finish_round,
    open_round,
    record_attempts,
    record_consent,
)
from annotate.actions.reserve_cloze import reserve_cloze
from annotate.actions.train_start import ask_for_start, bundled_start, start_of, train_start
from annotate.errors import AnnotateError
from annotate.exports.documents import corpus_counts, corpus_rows
from annotate.models import GameAttempt, GameRound, Group
from annotate.tinynet import bundled, items, play, replay
from tests.annotate.conftest import make_document

pytestmark = pytest.mark.django_db


@pytest.fixture
def start(db):
    return bundled_start()


@pytest.fixture
def willing(project, ana):
    record_consent(project=project, by=ana, scopes=["annotation"])
    return ana


def deal(start, user, project, *, mode="missing", seed=7, newborn=False):
    return game.deal(start=start, user=user, project=project, mode=mode, seed=seed, newborn=newborn)


@pytest.fixture
def round_(start, willing, project):
    return begin_round(dealt=deal(start, willing, project), project=project, by=willing)


def played(round_, count, *, context_on=True):
    """Rows as the browser writes them, each answering with the gold; and the digest of its weights."""
    start = round_.paragraph.start
    net, known = game.network(start, round_.newborn), game.read_start(start)
    whole = game.paragraph_of(round_.paragraph)
    by_key = {row.pk: game.item_of(row) for row in round_.paragraph.items.all()}
    rows = []
    for at in range(count):
        item = by_key[round_.items[at]]
        given = play.example(whole, item, known.vocabulary, mode=round_.mode)
        outcome = play.answer(net, given, gold=item.gold, eta=0.02, context_on=context_on)
        rows.append(
            {
                "number": at + 1,
                "kind": "answer",
                "item": at,
                "choice": item.gold,
                "context_on": context_on,
                "shown": items.options(item, seed=round_.seed, number=at + 1),
                "eta": 0.02,
                **asdict(outcome),
            }
        )
    return rows, net.digest()


# what is dealt


def test_a_deal_asks_one_blank_in_each_of_eight_sentences(start, ana, project):
    dealt = deal(start, ana, project)
    assert len({row.sentence for row in dealt.items}) == 8


def test_the_exam_is_never_dealt(start, ana, project):
    reserved = set(start.paragraphs.filter(reserved=True).values_list("pk", flat=True))
    assert reserved
    assert all(deal(start, ana, project, seed=seed).paragraph.pk not in reserved for seed in range(30))


def test_a_paragraph_that_was_played_waits_until_the_others_were(start, willing, project):
    first = deal(start, willing, project)
    begin_round(dealt=first, project=project, by=willing)
    assert all(deal(start, willing, project, seed=seed).paragraph != first.paragraph for seed in range(30))


def test_the_bundled_start_is_made_once(start):
    assert bundled_start() == start


def test_a_project_without_a_start_of_its_own_plays_the_bundled_one(start, project):
    assert start_of(project) == (start, "bundled")


# what is kept


def test_without_consent_no_round_begins(start, ana, project):
    with pytest.raises(AnnotateError) as refusal:
        begin_round(dealt=deal(start, ana, project), project=project, by=ana)
    assert refusal.value.code == "no_consent"
    assert not GameRound.objects.exists()


def test_a_round_that_was_opened_and_never_answered_is_taken_up_again(start, willing, project, round_):
    found, dealt = open_round(dealt=deal(start, willing, project, seed=99), project=project, by=willing)
    assert (found, dealt.seed) == (round_, round_.seed)


def test_rows_that_come_twice_are_stored_once(round_):
    rows, _ = played(round_, 3)
    record_attempts(round_=round_, rows=rows)
    assert record_attempts(round_=round_, rows=rows) == 3
    assert round_.attempts.count() == 3


def test_a_missing_row_is_asked_for(round_):
    rows, _ = played(round_, 3)
    with pytest.raises(AnnotateError) as refusal:
        record_attempts(round_=round_, rows=[rows[0], rows[2]])
    assert (refusal.value.code, refusal.value.status, refusal.value.facts) == ("out_of_order", 409, {"expected": 2})
    assert not round_.attempts.exists()


def test_an_order_that_the_round_did_not_show_is_refused(round_):
    rows, _ = played(round_, 1)
    with pytest.raises(AnnotateError) as refusal:
        record_attempts(round_=round_, rows=[rows[0] | {"shown": rows[0]["shown"][::-1]}])
    assert (refusal.value.code, refusal.value.status) == ("wrong_order_shown", 422)


def test_a_word_that_was_not_shown_cannot_be_chosen(round_):
    rows, _ = played(round_, 1)
    other = next(word for word in range(3, 50) if word not in rows[0]["shown"])
    with pytest.raises(AnnotateError) as refusal:
        record_attempts(round_=round_, rows=[rows[0] | {"choice": other}])
    assert refusal.value.code == "bad_row"


def test_an_undo_of_nothing_is_refused(round_):
    with pytest.raises(AnnotateError) as refusal:
        record_attempts(round_=round_, rows=[{"number": 1, "kind": "undo"}])
    assert refusal.value.code == "bad_row"


def test_the_server_decides_what_was_right(round_):
    rows, _ = played(round_, 2)
    wrong = next(word for word in rows[1]["shown"] if word != rows[1]["choice"])
    record_attempts(round_=round_, rows=[rows[0], rows[1] | {"choice": wrong, "right": True}])
    assert list(round_.attempts.order_by("number").values_list("right", flat=True)) == [True, False]


def test_a_typed_word_is_right_where_it_is_the_gold(start, round_):
    rows, _ = played(round_, 1)
    gold = game.read_start(start).vocabulary.words[rows[0]["choice"]]
    record_attempts(round_=round_, rows=[rows[0] | {"choice": None, "free": gold.upper()}])
    assert round_.attempts.get().right


def test_a_correction_needs_the_wrong_word_found_too(start, willing, project):
    dealt = deal(start, willing, project, mode="correction")
    round_ = begin_round(dealt=dealt, project=project, by=willing)
    rows, _ = played(round_, 1)
    record_attempts(round_=round_, rows=[rows[0] | {"picked": dealt.items[0].position + 1}])
    assert not round_.attempts.get().right


def test_attempts_only_append(round_):
    rows, _ = played(round_, 1)
    record_attempts(round_=round_, rows=rows)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        GameAttempt.objects.update(right=False)


# the replay


@pytest.mark.parametrize("newborn", [False, True])
def test_a_round_as_it_happened_replays_the_same(start, willing, project, newborn):
    dealt = deal(start, willing, project, newborn=newborn)
    round_ = begin_round(dealt=dealt, project=project, by=willing)
    rows, digest = played(round_, 8)
    record_attempts(round_=round_, rows=rows)
    assert finish_round(round_=round_, digest=digest).replay == "same"


def test_a_changed_probability_makes_the_replay_differ(round_):
    rows, digest = played(round_, 8)
    rows[4]["p_with"] += 1e-3
    record_attempts(round_=round_, rows=rows)
    assert finish_round(round_=round_, digest=digest).replay == "differs"


def test_an_answer_that_was_taken_back_leaves_no_trace_in_the_weights(round_):
    rows, digest = played(round_, 1)
    again = rows[0] | {"number": 3}
    again["shown"] = items.options(
        game.item_of(round_.paragraph.items.get(pk=round_.items[0])), seed=round_.seed, number=3
    )
    record_attempts(round_=round_, rows=[rows[0], {"number": 2, "kind": "undo"}, again])
    assert finish_round(round_=round_, digest=digest).replay == "same"


def test_a_finished_round_takes_no_more_rows(round_):
    rows, digest = played(round_, 2)
    record_attempts(round_=round_, rows=rows[:1])
    finish_round(round_=round_, digest=digest)
    with pytest.raises(AnnotateError) as refusal:
        record_attempts(round_=round_, rows=rows)
    assert (refusal.value.code, round_.attempts.count()) == ("round_finished", 1)


# withdrawal


def test_a_withdrawal_erases_what_was_played(round_, willing, project):
    rows, _ = played(round_, 2)
    record_attempts(round_=round_, rows=rows)
    record_consent(project=project, by=willing, scopes=[])
    assert not GameAttempt.objects.exists()
    assert not willing.allows("annotation", project)


def test_erasing_ones_own_play_leaves_that_of_others(round_, willing, project, abe):
    assert erase_play(project=project, by=abe) == 0
    assert GameRound.objects.get() == round_


# what no network may read


@pytest.fixture
def documents(project):
    """The paragraphs to play of all themes, and thirty short documents."""
    long = [make_document(project, theme.play) for theme in bundled.themes()]
    short = [
        make_document(project, " ".join(f"word{n}x{word} is here and there." for word in range(40))) for n in range(30)
    ]
    return long, short


def test_documents_of_eight_sentences_are_reserved_up_to_a_tenth_of_the_words(project, documents):
    long, _ = documents
    count = reserve_cloze(project)
    marked = set(project.cloze_documents.values_list("text", flat=True))
    assert 0 < count < len(long)
    assert marked <= {text.pk for text in long}


def test_a_second_wish_reserves_no_second_tenth(project, documents):
    reserve_cloze(project)
    assert reserve_cloze(project) == 0


def test_a_document_that_a_snapshot_has_frozen_is_never_reserved(project, documents):
    Group.objects.update(frozen_at="2026-01-01T00:00Z")
    assert reserve_cloze(project) == 0


def test_a_reserved_document_is_in_no_corpus(project, documents):
    reserve_cloze(project)
    marked = {str(key) for key in project.cloze_documents.values_list("text", flat=True)}
    rows = {row["id"] for row in corpus_rows(project, {})}
    assert not marked & rows
    assert corpus_counts(project, {})["cloze"] == len(marked)


def test_a_document_that_shares_thirteen_words_with_a_reserved_one_is_in_no_corpus(project, documents):
    reserve_cloze(project)
    played_text = project.cloze_documents.first().text
    quoting = make_document(project, "As they say: " + " ".join(played_text.body.split()[:20]))
    assert str(quoting.pk) not in {row["id"] for row in corpus_rows(project, {})}
    assert corpus_counts(project, {})["shares_13_words_with_cloze"] == 1


# a start of the project's own


def test_a_small_corpus_gets_no_start_and_a_reason(project, ada, documents):
    training = ask_for_start(project=project, by=ada)
    train_start(training)
    training.refresh_from_db()
    assert (training.state, training.start) == ("failed", None)
    assert "needs 20,000" in training.sentence


def test_a_wish_is_not_doubled_while_a_worker_is_at_it(project, ada):
    assert ask_for_start(project=project, by=ada) == ask_for_start(project=project, by=ada)


@pytest.mark.full
def test_a_corpus_of_twenty_thousand_words_gets_a_start_with_its_table(project, ada):
    texts = bundled.training(bundled.themes())
    for turn in range(8):
        for nth, text in enumerate(texts):
            make_document(project, f"Part {turn} of {nth}. {text}")
    training = ask_for_start(project=project, by=ada)
    train_start(training)
    training.refresh_from_db()
    assert training.state == "finished", training.sentence
    assert training.start
    assert set(training.start.header["held_out"]["modes"]) == {"missing", "next"}
    assert training.start.paragraphs.count() == training.start.header["held_out"]["paragraphs"]


def test_a_long_round_waits_for_its_verdict_and_gets_it_from_the_command(round_, capsys):
    rows, _ = played(round_, 1)
    burst = {"number": 2, "kind": "auto", "stream": 0, "count": 1_001, "eta": 0.02, "context_on": True}
    record_attempts(round_=round_, rows=[rows[0], burst])
    net = game.network(round_.paragraph.start, None)
    practice = game.practice(round_.paragraph.start)
    replay.replay(net, game.replay_rows(round_), seed=round_.seed, practice=practice, digest=None)
    assert finish_round(round_=round_, digest=net.digest()).replay == "none"
    call_command("verify_rounds")
    round_.refresh_from_db()
    assert (round_.replay, capsys.readouterr().out) == ("same", "1 the same, 0 differ\n")
