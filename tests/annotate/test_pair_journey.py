"""One comparison of two, from what a person sends in letters to the pair and margin that a reward model learns."""

import pytest

from annotate.actions.undo import undo
from annotate.errors import AnnotateError
from annotate.exports.rankings import ranking_counts, ranking_rows
from annotate.models import Slot
from annotate.presentation import shown_order
from trainer.contract.rows import check
from trainer.data import Ranked, Ranking
from trainer.rankings import Rules, element_of

from .conftest import answer, build, leased, rank_item, send

BETTER = {"prefer": "A", "strength": 3, "both_unacceptable": None}


@pytest.fixture
def pair(comparing):
    return build(comparing, rank_item(comparing.project, ["The least.", "The most."]))


def said(task, user) -> dict[str, str]:
    return {letter: text.body for letter, text in zip("AB", shown_order(task, user), strict=True)}


def row_of(project):
    [row] = ranking_rows(project, {})
    return row


def read(row, rules):
    """The pairs that the trainer makes of a row: ((better, worse), p, margin)."""
    line, strength = row["acceptable_groups"], row["strength"]
    ranking = Ranking(row["id"], row["groups"], row["unplaced"], row["weight"], line, strength)
    ids = [one["id"] for one in row["answers"]]
    element = element_of(Ranked(row["prompt_id"], row["messages"], [1], ids, [[2], [3]], [ranking]), rules)
    return [((pair.better, pair.worse), pair.p, round(pair.margin, 6)) for pair in element.pairs], element.sides


def test_the_side_chosen_is_the_better_text_whatever_its_letter(project, pair, ana):
    bodies = said(pair, ana)
    answer(pair.queue, ana, {**BETTER, "prefer": "B"})
    row = row_of(project)
    [[first], [second]] = row["groups"]
    assert (row["answers"][first]["text"], row["answers"][second]["text"]) == (bodies["B"], bodies["A"])
    assert row["unplaced"] == []


def test_the_row_is_what_the_trainer_reads(project, pair, ana):
    revision = answer(pair.queue, ana, BETTER)
    row = row_of(project)
    assert check(row, "RankingRow") == []
    assert (row["id"], row["source"], row["strength"], row["acceptable_groups"]) == (str(revision.pk), "pair", 3, None)
    assert (row["by"], row["ratings"]) == (ana.pseudonym(project), [None, None])


def test_strength_becomes_the_margin_that_the_reward_model_asks_for(project, pair, ana):
    answer(pair.queue, ana, BETTER)
    [(_, p, margin)], _ = read(row_of(project), Rules(ties="drop", margin=True))
    assert (p, margin) == (1, round(2 / 3, 6))  # (3 - 1) / 3


def test_a_choice_without_strength_asks_for_no_margin(project, pair, ana):
    answer(pair.queue, ana, {"prefer": "A"})
    [(_, p, margin)], _ = read(row_of(project), Rules(ties="drop", margin=True))
    assert (p, margin) == (1, 0)


def test_a_tie_is_a_pair_only_where_the_run_takes_ties(project, pair, ana):
    answer(pair.queue, ana, {"prefer": "tie"})
    row = row_of(project)
    assert (row["groups"], row["unplaced"]) == ([[0, 1]], [])
    assert read(row, Rules(ties="drop"))[0] == []
    assert [p for _, p, _ in read(row, Rules(ties="half"))[0]] == [0.5]


def test_both_unacceptable_puts_both_below_the_line_beside_a_preference(project, pair, ana):
    answer(pair.queue, ana, {**BETTER, "both_unacceptable": True})
    row = row_of(project)
    assert (len(row["groups"]), row["acceptable_groups"]) == (2, 0)
    pairs, sides = read(row, Rules(ties="drop", line_weight=1.0))
    assert (len(pairs), [side.above for side in sides]) == (1, [False, False])


def test_both_unacceptable_alone_prefers_neither(project, pair, ana):
    answer(pair.queue, ana, {"both_unacceptable": True})
    row = row_of(project)
    assert (row["groups"], row["unplaced"], row["acceptable_groups"]) == ([], [0, 1], 0)
    assert check(row, "RankingRow") == []


def test_not_said_and_said_to_be_acceptable_stay_apart(project, pair, ana, abe):
    first = answer(pair.queue, ana, BETTER)
    assert first.body["both_unacceptable"] is None
    other = build(pair.queue, rank_item(project, ["A number.", "Nothing."], prompt="And max?"))
    second = answer(other.queue, abe, {**BETTER, "both_unacceptable": False})
    assert second.body["both_unacceptable"] is False


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "prefer"),
        ({"both_unacceptable": False}, "prefer"),
        ({"prefer": "C"}, "prefer"),
        ({"prefer": 1}, "prefer"),
        ({"prefer": ["A"]}, "prefer"),
        ({"prefer": "A", "strength": 4}, "strength"),
        ({"prefer": "A", "strength": True}, "strength"),
        ({"prefer": "A", "strength": 1.0}, "strength"),
        ({"prefer": "A", "strength": []}, "strength"),
        ({"prefer": "tie", "strength": 1}, "strength"),
        ({"prefer": None, "strength": 1, "both_unacceptable": True}, "strength"),
        ({"prefer": "A", "both_unacceptable": "yes"}, "both_unacceptable"),
        ({"prefer": "A", "groups": []}, "groups"),
    ],
)
def test_what_says_nothing_or_too_much_is_refused(pair, ana, body, field):
    slot = leased(pair.queue, ana)
    with pytest.raises(AnnotateError) as refusal:
        send(slot, ana, body)
    assert (refusal.value.facts["field"], refusal.value.status) == (field, 400)
    assert pair.judgements.count() == 0


def test_three_answers_are_no_pair(comparing):
    with pytest.raises(AnnotateError) as refusal:
        build(comparing, rank_item(comparing.project, ["One.", "Two.", "Three."]))
    assert refusal.value.code == "wrong_texts"


def test_a_surplus_and_an_undone_comparison_are_no_rows(project, pair, ana, abe):
    slot = leased(pair.queue, ana)
    Slot.objects.filter(pk=slot.pk).update(lease_until="2020-01-01T00:00Z")
    judged = answer(pair.queue, abe, BETTER)
    send(slot, ana, BETTER)
    assert ranking_counts(project, {}) == {"surplus": 1}
    undo(judgement=judged.judgement, by=abe)
    assert list(ranking_rows(project, {})) == []


def test_a_freeze_takes_the_kinds_of_judgement_that_it_is_told(project, pair, ana, ranking):
    build(ranking, rank_item(project, ["A number.", "Nothing."], prompt="And max?"))
    answer(pair.queue, ana, BETTER)
    answer(ranking, ana, {"groups": [["A"], ["B"]]})
    assert [row["source"] for row in ranking_rows(project, {})] == ["pair", "rank"]
    assert [row["source"] for row in ranking_rows(project, {"sources": ["pair"]})] == ["pair"]
    with pytest.raises(AnnotateError) as refusal:
        list(ranking_rows(project, {"sources": ["write"]}))
    assert refusal.value.facts["field"] == "sources"
