"""One ranking, from what a person sends in letters to the row that the trainer reads."""

import pytest

from annotate.actions.undo import undo
from annotate.exports.rankings import ranking_counts, ranking_rows
from annotate.models import Slot
from annotate.presentation import shown_order
from trainer.contract.rows import check

from .conftest import answer, build, leased, make_prompt, make_text, rank_item, send

BODIES = ["The least.", "The most.", "A number.", "Nothing."]
BODY = {
    "groups": [["D"], ["A", "C"], ["B"]],
    "acceptable_groups": 2,
    "unplaced": [],
    "ratings": {"A": {"helpful": 6, "truthful": None}},
}


@pytest.fixture
def ranked(task, ana):
    return answer(task.queue, ana, BODY)


def by_letter(task, user):
    return {letter: text.body for letter, text in zip("ABCD", shown_order(task, user), strict=True)}


def test_ties_and_order_survive_to_the_row(project, task, ana, ranked):
    said = by_letter(task, ana)
    [row] = ranking_rows(project, {})
    texts = [answer["text"] for answer in row["answers"]]
    groups = [{texts[index] for index in group} for group in row["groups"]]
    assert groups == [{said["D"]}, {said["A"], said["C"]}, {said["B"]}]


def test_the_line_survives_to_the_row(project, ranked):
    [row] = ranking_rows(project, {})
    assert row["acceptable_groups"] == 2


def test_a_line_that_was_not_asked_stays_null(project, task, ana):
    answer(task.queue, ana, {"groups": [["A", "B", "C", "D"]]})
    [row] = ranking_rows(project, {})
    assert row["acceptable_groups"] is None


def test_none_acceptable_stays_zero(project, task, ana):
    answer(task.queue, ana, {**BODY, "acceptable_groups": 0})
    [row] = ranking_rows(project, {})
    assert row["acceptable_groups"] == 0


def test_ratings_stand_beside_their_answers_and_null_stays_null(project, task, ana, ranked):
    [row] = ranking_rows(project, {})
    place = [text["text"] for text in row["answers"]].index(by_letter(task, ana)["A"])
    assert row["ratings"][place] == {"helpful": 6, "truthful": None, "harmless": None}


def test_the_row_is_what_the_trainer_reads(project, ranked):
    [row] = ranking_rows(project, {})
    assert check(row, "RankingRow") == []
    assert row["messages"] == [{"role": "user", "content": "What does min do?"}]
    assert (row["id"], row["weight"], row["source"], row["strength"]) == (str(ranked.pk), 1.0, "rank", None)


def test_the_row_says_where_it_comes_from(project, ranked, ana):
    [row] = ranking_rows(project, {})
    assert (row["revision"], row["by"], row["scripted"]) == (str(ranked.uuid), ana.pseudonym(project), False)
    assert "ana" not in str(row)


def test_answers_stand_in_an_order_that_no_person_saw(project, task, ranked):
    [row] = ranking_rows(project, {})
    assert [text["text"] for text in row["answers"]] == BODIES


def test_a_surplus_ranking_is_no_row_but_counted(project, task, ana, abe):
    slot = leased(task.queue, ana)
    Slot.objects.filter(pk=slot.pk).update(lease_until="2020-01-01T00:00Z")
    answer(task.queue, abe, BODY)
    send(slot, ana, BODY)
    assert [row["by"] for row in ranking_rows(project, {})] == [abe.pseudonym(project)]
    assert ranking_counts(project, {}) == {"surplus": 1}


def test_an_undone_ranking_is_no_row(project, ranked, ana):
    undo(judgement=ranked.judgement, by=ana)
    assert list(ranking_rows(project, {})) == []


def test_a_dialogue_travels_with_its_turns(project, ranking, ana):
    first = make_prompt(project, "What does min do?")
    said = make_text(project, "It compares.", parent=first)
    asked = make_prompt(project, "And then?", parent=said)
    item = rank_item(project, ["It returns.", "Nothing."], prompt="Unused?")
    texts = [(asked, "prompt"), *item.texts[1:]]
    build(ranking, type(item)(texts))
    answer(ranking, ana, {"groups": [["A"], ["B"]]})
    [row] = ranking_rows(project, {})
    assert [(turn["role"], turn["content"]) for turn in row["messages"]] == [
        ("user", "What does min do?"),
        ("assistant", "It compares."),
        ("user", "And then?"),
    ]
