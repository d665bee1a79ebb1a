"""Which answers of the game become rows of the benchmark, and what a row holds."""

from __future__ import annotations

import pytest

from annotate.actions.decide_word import decide_word
from annotate.actions.play import record_consent
from annotate.actions.train_start import bundled_start
from annotate.cloze import cloze_counts, cloze_rows
from annotate.errors import AnnotateError
from annotate.game import around
from annotate.models import GameAttempt, GameParagraph, User
from annotate.tinynet.items import _spans
from annotate.tinynet.paragraphs import sentences
from tests.annotate.plays import UNDO, answer, blank, other, paragraphs, say, seat, words
from trainer.contract.rows import check

pytestmark = pytest.mark.django_db


@pytest.fixture
def item(db):
    """The first blank of the third paragraph."""
    return blank(paragraphs(bundled_start())[2])


@pytest.fixture
def people(project, db):
    return [User.objects.create_user(f"player{number}") for number in range(6)]


def row_of(project, item, *, mode="missing", least=0):
    found = {row["id"]: row for row in cloze_rows(project, {"min_people": least})}
    return found.get(f"{item.pk}-{mode}")


# what a row holds


def test_a_row_is_what_the_trainer_reads(project, ana, item):
    answer(project, ana, item)
    row = row_of(project, item, least=1)
    assert check(row, "ClozeRow") == []
    gold, *shown, _ = words(item)
    assert (row["gold"], row["golds"], row["options"]) == (gold, [gold], [gold, *shown])
    assert (row["people"], row["free"]) == ({gold: 1}, {})
    assert row["context"] == [one["text"] for one in item.paragraph.shown["sentences"][: item.sentence]]


def test_the_two_halves_and_the_word_are_the_sentence(project, item):
    before, after = row_of(project, item)["sentence"]
    text = item.paragraph.shown["sentences"][item.sentence]["text"]
    assert text.startswith(before)
    assert text.endswith(after)
    assert text[len(before) : len(text) - len(after)].lower() == words(item)[0]


def test_a_letter_beyond_sixteen_bits_moves_no_cut():
    # the wave is two UTF-16 units and one code point
    [sentence] = sentences("The 🌊 sea pulls back 🌊 from the shore again.")
    spans = _spans(sentence)
    at = [token.word for token in sentence.tokens].index("shore")
    assert around({"text": sentence.text, "spans": spans}, at) == ("The 🌊 sea pulls back 🌊 from the ", " again.")


def test_without_players_each_blank_is_a_row_in_both_modes(project):
    start = bundled_start()
    found = list(cloze_rows(project, {"min_people": 0}))
    blanks = sum(paragraph.items.count() for paragraph in paragraphs(start))
    assert len(found) == 2 * blanks
    assert {row["mode"] for row in found} == {"missing", "next"}


def test_the_paragraphs_of_the_exam_are_in_no_row(project):
    keys = set(GameParagraph.objects.filter(reserved=True).values_list("key", flat=True))
    assert not keys & {row["paragraph"] for row in cloze_rows(project, {"min_people": 0})}


def test_a_retired_paragraph_is_in_no_row(project, item):
    GameParagraph.objects.filter(pk=item.paragraph_id).update(retired_at="2026-01-01T00:00Z")
    assert row_of(project, item) is None


# whose answers count


def test_too_few_people_leave_a_blank_out_and_are_counted(project, people, item):
    for person in people[:2]:
        answer(project, person, item)
    assert row_of(project, item, least=3) is None
    left = cloze_counts(project, {"min_people": 3})["too_few_people"]
    answer(project, people[2], item)
    assert row_of(project, item, least=3)["people"] == {words(item)[0]: 3}
    assert cloze_counts(project, {"min_people": 3})["too_few_people"] == left - 1


def test_both_modes_count_for_themselves(project, ana, abe, item):
    answer(project, ana, item)
    answer(project, abe, item, other(item), mode="next")
    gold, wrong, *_ = words(item)
    assert row_of(project, item)["people"] == {gold: 1}
    assert row_of(project, item, mode="next")["people"] == {wrong: 1}


def test_only_the_first_time_that_a_person_meets_a_blank_counts(project, ana, item):
    answer(project, ana, item, other(item))
    answer(project, ana, item)
    answer(project, ana, item, mode="next")
    assert row_of(project, item)["people"] == {words(item)[1]: 1}
    assert row_of(project, item, mode="next")["people"] == {}


def test_who_took_their_answer_back_knows_the_word_and_does_not_count(project, ana, item):
    round_ = say(seat(project, ana, [item]), other(item), UNDO, {})
    assert round_.replay == "same"
    assert row_of(project, item)["people"] == {}


def test_an_answer_without_context_does_not_count_nor_does_one_after_it(project, ana, item):
    answer(project, ana, item, {"context_on": False})
    answer(project, ana, item)
    assert row_of(project, item)["people"] == {}


def test_what_the_network_answered_by_itself_is_nobodys_answer(project, ana, item):
    answer(project, ana, item, {"kind": "auto"})
    assert row_of(project, item)["people"] == {}


def test_a_round_that_does_not_replay_the_same_counts_nowhere(project, ana, item):
    assert say(seat(project, ana, [item]), {}, lie=1e-3).replay == "differs"
    assert row_of(project, item)["people"] == {}


def test_who_withdraws_is_gone_from_the_rows(project, ana, abe, item):
    answer(project, ana, item)
    answer(project, abe, item)
    record_consent(project=project, by=ana, scopes=[])
    assert row_of(project, item)["people"] == {words(item)[0]: 1}


def test_another_projects_players_are_not_ours(project, eve, other_project, item):
    answer(other_project, eve, item)
    assert row_of(project, item)["people"] == {}


# other words


def test_a_word_that_one_person_typed_changes_nothing(project, ana, item):
    answer(project, ana, item, {"free": "quay"})
    row = row_of(project, item)
    assert (row["free"], row["golds"]) == ({"quay": 1}, [words(item)[0]])


def test_a_word_that_is_shown_counts_as_chosen_when_it_is_typed(project, ana, item):
    answer(project, ana, item, {"free": words(item)[1]})
    row = row_of(project, item)
    assert (row["people"], row["free"]) == ({words(item)[1]: 1}, {})


@pytest.fixture
def typed(project, people, item):
    """Two people type quay, three choose the gold."""
    for person in people[:2]:
        answer(project, person, item, {"free": "Quay"})
    for person in people[2:5]:
        answer(project, person, item)
    return item


def decide(project, item, by, *, accepted, word="quay"):
    return decide_word(project=project, item=item.pk, mode="missing", word=word, accepted=accepted, by=by)


def test_a_word_that_two_people_typed_keeps_its_blank_out_until_a_reviewer_decides(project, typed):
    assert row_of(project, typed) is None
    assert cloze_counts(project, {"min_people": 3})["waits_for_a_reviewer"] == 1


def test_an_accepted_word_is_a_second_gold(project, typed, rex):
    decide(project, typed, rex, accepted=True)
    row = row_of(project, typed)
    assert (row["golds"], row["free"]) == ([words(typed)[0], "quay"], {"quay": 2})


def test_a_refused_word_leaves_one_gold(project, typed, rex):
    decide(project, typed, rex, accepted=False)
    assert row_of(project, typed)["golds"] == [words(typed)[0]]


def test_a_decision_taken_back_makes_the_blank_wait_again(project, typed, rex):
    decide(project, typed, rex, accepted=True)
    decide(project, typed, rex, accepted=None)
    assert row_of(project, typed) is None


def test_a_word_that_nobody_typed_cannot_be_accepted(project, typed, rex):
    with pytest.raises(AnnotateError) as refusal:
        decide(project, typed, rex, accepted=True, word="pier")
    assert refusal.value.code == "unknown_word"


def test_rows_of_many_players_cost_no_more_queries(project, people, item, django_assert_num_queries):
    answer(project, people[0], item)
    with django_assert_num_queries(5):  # rows of play, decisions, starts, paragraphs, items
        list(cloze_rows(project, {}))
    for person in people[1:]:
        answer(project, person, item)
    with django_assert_num_queries(5):
        list(cloze_rows(project, {}))
    assert GameAttempt.objects.count() == 6
