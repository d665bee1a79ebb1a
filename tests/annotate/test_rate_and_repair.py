"""One answer rated, then put right: from what people send to the rows that models learn from."""

from itertools import pairwise
from random import Random

import pytest

from annotate.actions.build_tasks import TaskItem
from annotate.actions.undo import undo
from annotate.api.answers import in_letters
from annotate.critique import parted
from annotate.errors import AnnotateError
from annotate.exports.answers import sft_counts, sft_rows
from annotate.exports.rankings import ranking_rows
from annotate.models import Exclusion, Text
from annotate.presentation import payload
from annotate.worddiff import distance, runs, share
from trainer.contract.rows import check

from .conftest import answer, build, leased, make_prompt, make_text, send

RATING = {
    "overall": 2,
    "axes": {"helpful": 6, "truthful": 3, "harmless": None},
    "flags": {"false_claim": True, "sexual": False},
    "critique": "> the most\nThe least, not the most.",
}
BEFORE = "It gives the most of all."


@pytest.fixture
def said(project):
    return make_text(project, BEFORE, parent=make_prompt(project))


@pytest.fixture
def rated(rating, said, abe):
    """abe's rating of the answer."""
    build(rating, TaskItem(texts=[(said.parent, "prompt"), (said, "answer")]))
    return answer(rating, abe, RATING)


@pytest.fixture
def broken(repairing, said, rated):
    """The task to put it right."""
    return build(repairing, TaskItem(texts=[(said.parent, "prompt"), (said, "answer")], follows=rated.judgement))


# Rating


def test_a_rating_keeps_null_apart_from_low_and_false(rated):
    body = rated.body
    assert (body["overall"], body["axes"]) == (2, {"helpful": 6, "truthful": 3, "harmless": None})
    assert (body["flags"]["false_claim"], body["flags"]["sexual"], body["flags"]["violent"]) == (True, False, None)


def test_a_critique_quotes_the_answer(rated, said):
    [span] = rated.body["critique"]["spans"]
    assert said.body[span["start"] : span["end"]] == "the most"
    assert span["text_id"] == said.pk


def test_the_stored_rating_reads_as_it_was_sent(rated):
    found = in_letters(rated.body, order=rated.presentation.order, places={})
    assert (found["overall"], found["axes"]) == (2, RATING["axes"])
    assert found["critique"]["spans"][0]["letter"] == "A"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "overall"),
        ({"overall": None, "axes": {"helpful": None}, "flags": {"sexual": None}, "critique": " "}, "overall"),
        ({"overall": 8}, "ratings"),
        ({"overall": True}, "ratings"),
        ({"axes": {"overall": 3}}, "axes"),
        ({"axes": {"colour": 3}}, "ratings"),
        ({"overall": 3, "flags": {"colour": True}}, "flags"),
        ({"overall": 3, "critique": 5}, "critique-A"),
        ({"overall": 3, "prefer": "A"}, "prefer"),
    ],
)
def test_a_rating_that_says_nothing_or_too_much_is_refused(rating, said, ana, body, field):
    task = build(rating, TaskItem(texts=[(said.parent, "prompt"), (said, "answer")]))
    slot = leased(rating, ana)
    with pytest.raises(AnnotateError) as refusal:
        send(slot, ana, body)
    assert (refusal.value.facts["field"], task.judgements.count()) == (field, 0)


def test_an_axis_that_is_required_is_not_left_out(rating, said, ana):
    rating.required_axes = ["overall"]
    rating.save(update_fields=["required_axes"])
    build(rating, TaskItem(texts=[(said.parent, "prompt"), (said, "answer")]))
    slot = leased(rating, ana)
    with pytest.raises(AnnotateError):
        send(slot, ana, {"axes": {"helpful": 3}})
    assert send(slot, ana, {"overall": 3}).outcome == "counted"


def test_a_flag_alone_is_an_answer(rating, said, ana):
    build(rating, TaskItem(texts=[(said.parent, "prompt"), (said, "answer")]))
    assert answer(rating, ana, {"flags": {"sexual": False}}).body["overall"] is None


def test_a_rating_shows_one_answer_under_a_letter_and_nothing_behind_it(rating, said, ana, abe):
    abe.name = "zanzibar"
    abe.save(update_fields=["name"])
    Text.objects.filter(pk=said.pk).update(author=abe)
    build(rating, TaskItem(texts=[(said.parent, "prompt"), (said, "answer")], selection={"model": "zanzibar"}))
    found = payload(leased(rating, ana))
    assert [(one["letter"], one["text"]) for one in found["answers"]] == [("A", BEFORE)]
    assert (found["answer"], found["wrong"]) == (None, None)
    assert "zanzibar" not in str(found)
    assert str(said.uuid) not in str(found)


# Repair


def test_a_repair_is_told_what_is_wrong_and_not_how_low_or_by_whom(broken, ana, abe, said):
    abe.name = "zanzibar"
    abe.save(update_fields=["name"])
    found = payload(leased(broken.queue, ana))
    assert found["wrong"] == {"flags": ["false_claim"], "axes": ["truthful"], "critique": RATING["critique"]}
    assert found["answer"]["text"] == BEFORE
    assert "zanzibar" not in str(found)
    assert "overall" not in str(found["wrong"])


def test_who_rated_an_answer_does_not_repair_it(broken, abe):
    assert broken.exclusions.get(user=abe).reason == Exclusion.Reason.UPSTREAM


def test_a_repair_becomes_a_text_in_the_place_of_the_old_one(broken, ana, said):
    revision = answer(broken.queue, ana, {"text": "It gives the least of all.", "note": "min, not max"})
    text = Text.objects.get(pk=revision.body["text_id"])
    assert (text.edited_from, text.author, text.parent, text.group) == (said, ana, said.parent, said.group)
    assert revision.body["note"] == "min, not max"


def test_the_server_says_what_a_repair_changed(broken, ana):
    body = answer(broken.queue, ana, {"text": "It gives the least of all."}).body
    assert body["diff"] == [["same", "It gives the "], ["del", "most"], ["ins", "least"], ["same", " of all."]]
    assert (body["distance"], body["share"], body["note"]) == (1, 0.1667, None)  # one word of six


@pytest.mark.parametrize(
    ("body", "field"),
    [({"text": BEFORE}, "text"), ({"text": " "}, "text"), ({}, "text"), ({"text": "New.", "note": 3}, "note")],
)
def test_a_repair_that_changes_nothing_is_refused(broken, ana, body, field):
    slot = leased(broken.queue, ana)
    with pytest.raises(AnnotateError) as refusal:
        send(slot, ana, body)
    assert refusal.value.facts["field"] == field
    assert Text.objects.filter(edited_from__isnull=False).count() == 0


def test_a_repair_is_a_preference_of_the_new_text_over_the_old(project, broken, ana):
    revision = answer(broken.queue, ana, {"text": "It gives the least of all."})
    [row] = ranking_rows(project, {})
    assert check(row, "RankingRow") == []
    [[better], [worse]] = row["groups"]
    assert (row["answers"][better]["text"], row["answers"][worse]["text"]) == ("It gives the least of all.", BEFORE)
    assert (row["source"], row["id"], row["strength"]) == ("repair", str(revision.pk), None)
    assert list(ranking_rows(project, {"sources": ["rank", "pair"]})) == []


def test_a_repair_is_an_answer_to_learn_only_where_a_freeze_takes_repairs(project, broken, ana, said):
    revision = answer(broken.queue, ana, {"text": "It gives the least of all."})
    assert list(sft_rows(project, {})) == []
    [row] = sft_rows(project, {"sources": ["repair"]})
    assert check(row, "SftRow") == []
    assert row["messages"][-1]["content"] == "It gives the least of all."
    assert (row["source"], row["prompt_id"]) == ("repair", str(said.parent_id))
    assert (row["decision"], row["revision"], row["by"]) == ("repair", str(revision.uuid), ana.pseudonym(project))
    assert sft_counts(project, {"sources": ["repair"]}) == {}


def test_a_repair_that_was_taken_back_is_no_row(project, broken, ana):
    revision = answer(broken.queue, ana, {"text": "It gives the least of all."})
    undo(judgement=revision.judgement, by=ana)
    assert list(ranking_rows(project, {})) == []
    assert list(sft_rows(project, {"sources": ["repair"]})) == []


def test_a_rating_that_is_taken_back_asks_for_no_repair(broken, rated, abe):
    undo(judgement=rated.judgement, by=abe)
    broken.refresh_from_db()
    assert broken.state == "void"


# What differs


def by_the_table(before: list[str], after: list[str]) -> int:
    """Levenshtein's distance by the table of all prefixes (Wagner and Fischer 1974)."""
    above = list(range(len(after) + 1))
    for row, word in enumerate(before, start=1):
        here = [row]
        for column, other in enumerate(after, start=1):
            here.append(min(above[column] + 1, here[-1] + 1, above[column - 1] + (word != other)))
        above = here
    return above[-1]


def test_the_distance_is_the_least_number_of_words():
    draw = Random(7)
    texts = [[draw.choice("abcd") for _ in range(draw.randrange(15))] for _ in range(400)]
    pairs = list(pairwise(texts))
    found = [distance(" ".join(before), " ".join(after)) for before, after in pairs]
    assert found == [by_the_table(before, after) for before, after in pairs]


def test_a_repair_of_many_words_is_measured_beyond_a_machine_word():
    before, after = "x " * 90 + "y", "y " + "x " * 70
    assert distance(before, after) == by_the_table(before.split(), after.split())


@pytest.mark.parametrize(("before", "after"), [("a  b\n\nc", "a b\nc d"), ("", "x"), ("x", ""), ("a b", "a b")])
def test_the_runs_lead_from_one_text_to_the_other(before, after):
    found = runs(before, after)
    assert "".join(text for kind, text in found if kind != "ins") == before
    assert "".join(text for kind, text in found if kind != "del") == after


def test_what_is_longer_than_can_be_compared_counts_as_exchanged():
    before, after = " ".join(map(str, range(1_200))), " ".join(map(str, range(2_000, 3_300)))
    assert [kind for kind, _ in runs(before, after)] == ["del", "ins"]
    assert share(before, after) == 1.0


def test_a_quotation_ends_with_its_line():
    assert parted("> a\nb\n> c\n> d\n\ne") == "> a\n\nb\n> c\n> d\n\ne"
