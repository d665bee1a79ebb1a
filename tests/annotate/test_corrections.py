"""Corrections of the game as instruction pairs: which are taken, which a reviewer sees first, and how many."""

from __future__ import annotations

import pytest

from annotate.actions.play import record_consent
from annotate.actions.train_start import bundled_start
from annotate.corrections import INSTRUCTION, repaired, with_error
from annotate.exports.answers import sft_counts, sft_rows
from annotate.exports.prompts import prompt_rows
from annotate.models import Group, Source, Task, Text
from tests.annotate.conftest import answer as judge
from tests.annotate.conftest import make_prompt, make_text
from tests.annotate.plays import UNDO, answer, blank, other, paragraphs, say, seat, words
from trainer.contract.rows import check

pytestmark = pytest.mark.django_db

WITH_GAME = {"sources": ["import", "game"], "unknown_licence": True}


@pytest.fixture
def item(db):
    return blank(paragraphs(bundled_start())[2])


@pytest.fixture
def twenty(project, ada):
    twenty_pairs(project, ada)


def twenty_pairs(project, by):
    """Twenty imported pairs: room for one correction."""
    source = Source.objects.create(project=project, name="pairs", kind="upload", added_by=by)
    imported = source.imports.create(label="pairs", what="pairs", format="jsonl", sha256="0" * 64, size_bytes=1, by=by)
    batch = imported.batches.create(number=1, texts_count=20)
    for nth in range(20):
        asked = make_prompt(project, f"Question {nth}?")
        make_text(project, f"Answer {nth}.", parent=asked, origin="import", batch=batch)


def corrections(project, settings=WITH_GAME):
    return [row for row in sft_rows(project, settings) if row["source"] == "game"]


def texts(row):
    return [turn["content"] for turn in row["messages"]]


def correct(project, by, item, said=None):
    return answer(project, by, item, said, mode="correction")


def test_a_right_find_and_repair_is_an_instruction_pair(project, ana, item, twenty):
    correct(project, ana, item)
    [row] = corrections(project)
    assert check(row, "SftRow") == []
    before, after = with_error(item.paragraph, item), repaired(item.paragraph, item)
    assert texts(row) == [INSTRUCTION + before, after]
    assert before != after
    assert words(item)[4] in before
    assert row["by"] == ana.pseudonym(project)


def test_corrections_are_taken_only_where_they_are_asked_for(project, ana, item, twenty):
    correct(project, ana, item)
    assert corrections(project, {"unknown_licence": True}) == []


def test_a_repair_of_the_wrong_place_is_none(project, ana, item, twenty):
    correct(project, ana, item, {"picked": item.position + 1})
    assert corrections(project) == []


def test_a_wrong_word_is_no_repair(project, ana, item, twenty):
    correct(project, ana, item, other(item))
    assert corrections(project) == []
    assert not Task.objects.exists()


def test_a_repair_taken_back_is_none(project, ana, item, twenty):
    say(seat(project, ana, [item], mode="correction"), {}, UNDO)
    assert corrections(project) == []


def test_a_round_that_differs_corrects_nothing(project, ana, item, twenty):
    say(seat(project, ana, [item], mode="correction"), {}, lie=1e-3)
    assert corrections(project) == []


def test_who_withdraws_takes_their_corrections_along(project, ana, item, twenty):
    correct(project, ana, item)
    record_consent(project=project, by=ana, scopes=[])
    assert corrections(project) == []


def test_the_same_repair_by_two_people_is_one_row(project, ana, abe, item, twenty):
    correct(project, ana, item)
    correct(project, abe, item)
    assert len(corrections(project)) == 1


def test_at_most_five_percent_are_corrections(project, ana, item, twenty):
    for nth in range(3):
        correct(project, ana, blank(item.paragraph, nth))
    rows = list(sft_rows(project, WITH_GAME))
    assert [row["source"] for row in rows].count("game") == 1  # 1 of 21 = 4.8 %; 2 of 22 would be 9.1 %
    assert sft_counts(project, WITH_GAME)["more_than_5_percent_corrections"] == 2


def test_a_paragraph_is_on_one_side_of_the_split(project, ana, item, twenty):
    correct(project, ana, item)
    assert corrections(project)[0]["split"] == Group.split_of(project=project, first_sha256=item.paragraph.key)


# another word


@pytest.fixture
def quay(project, ana, item, twenty):
    correct(project, ana, item, {"free": "quay"})
    return item


def test_another_word_is_put_before_a_reviewer_first(project, quay):
    [task] = Task.objects.all()
    prompt, proposed = (row.text for row in task.task_texts.all())
    assert task.queue.kind == "review_answer"
    assert prompt.body == INSTRUCTION + with_error(quay.paragraph, quay)
    assert proposed.body == repaired(quay.paragraph, quay, "quay")
    assert corrections(project) == []


def test_what_a_reviewer_accepts_joins(project, reviewing, rex, quay):
    judge(reviewing, rex, {"decision": "accept"})
    [row] = corrections(project)
    assert texts(row)[1] == repaired(quay.paragraph, quay, "quay")
    assert row["decision"] == "accept"


def test_what_a_reviewer_returns_does_not_join(project, reviewing, rex, quay):
    judge(reviewing, rex, {"decision": "return", "comment": "No such word."})
    assert corrections(project) == []
    assert sft_counts(project, WITH_GAME)["returned"] == 1


def test_of_two_repairs_of_one_sentence_one_joins(project, reviewing, rex, abe, quay):
    judge(reviewing, rex, {"decision": "accept"})
    correct(project, abe, quay)
    assert len(corrections(project)) == 1
    assert sft_counts(project, WITH_GAME)["corrected_twice"] == 1


def test_the_same_other_word_is_reviewed_once(project, abe, quay):
    correct(project, abe, quay, {"free": "quay"})
    assert Task.objects.count() == 1


def test_what_the_game_asks_is_no_prompt_for_models(project, quay):
    assert INSTRUCTION not in {row["messages"][0]["content"][: len(INSTRUCTION)] for row in prompt_rows(project, {})}


def test_a_withdrawal_erases_the_word_and_asks_nobody(project, ana, quay):
    record_consent(project=project, by=ana, scopes=[])
    assert Task.objects.get().state == "void"
    assert Text.objects.get(origin="game", kind="answer").body == ""


def test_an_erased_word_joins_no_snapshot(project, ana, reviewing, rex, quay):
    judge(reviewing, rex, {"decision": "accept"})
    record_consent(project=project, by=ana, scopes=[])
    assert corrections(project) == []
    assert sft_counts(project, WITH_GAME)["erased"] == 1
