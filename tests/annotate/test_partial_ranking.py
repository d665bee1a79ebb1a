"""Rankings that leave answers without a place: only where the queue takes them."""

import pytest

from annotate.actions.change_queue import change_queue
from annotate.errors import AnnotateError
from annotate.exports.rankings import ranking_rows
from annotate.pages.forms import body_of, form_of
from annotate.presentation import shown
from trainer.contract.rows import check

from .conftest import answer, leased, send


@pytest.fixture
def some(task):
    """A queue that takes rankings of some, with one task of four answers."""
    return change_queue(queue=task.queue, partial=True)


def test_what_was_left_out_reaches_the_row_as_such(project, some, ana):
    revision = answer(some, ana, {"groups": [["C"], ["A"]], "unplaced": ["B", "D"]})
    order = revision.presentation.order
    assert revision.body["unplaced"] == [order[1], order[3]]
    [row] = ranking_rows(project, {})
    assert check(row, "RankingRow") == []
    texts = [int(one["id"]) for one in row["answers"]]
    assert [texts[index] for index in row["unplaced"]] == [order[1], order[3]]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"groups": [["A"], ["B"]], "unplaced": ["C"]}, "wrong_letters"),
        ({"groups": [["A"], ["B"]], "unplaced": ["B", "C", "D"]}, "wrong_letters"),
        ({"groups": [["A"], ["B"]]}, "wrong_letters"),
        ({"groups": [["A"]], "unplaced": "BCD"}, "bad_body"),
        ({"groups": [["A"]], "unplaced": [1, 2, 3]}, "wrong_letters"),
        ({"groups": [], "unplaced": ["A", "B", "C", "D"]}, "bad_body"),
    ],
)
def test_each_letter_stands_once_and_one_has_a_place(some, ana, body, code):
    with pytest.raises(AnnotateError) as refusal:
        send(leased(some, ana), ana, body)
    assert refusal.value.code == code


def test_elsewhere_every_answer_needs_a_place(task, ana):
    with pytest.raises(AnnotateError) as refusal:
        send(leased(task.queue, ana), ana, {"groups": [["A"], ["B"], ["C"]], "unplaced": ["D"]})
    assert refusal.value.facts["field"] == "unplaced"


def test_an_empty_place_in_the_form_leaves_the_answer_out_and_comes_back_empty(some, ana):
    slot = leased(some, ana)
    what = shown(slot.task, ana, slot=slot)
    body = body_of({"place-B": ["1"], "place-D": ["3"], "place-A": [""]}, what)
    assert (body["groups"], body["unplaced"]) == ([["B"], ["D"]], ["A", "C"])
    reply = send(slot, ana, body)
    revision = some.tasks.get().judgements.get(uuid=reply.judgement).revisions.get()
    again = form_of(revision.answer, what)
    assert {name: value for name, value in again.items() if name.startswith("place")} == {
        "place-B": ["1"],
        "place-D": ["2"],
    }


def test_a_form_without_any_place_is_no_ranking(some, ana):
    slot = leased(some, ana)
    with pytest.raises(AnnotateError) as refusal:
        body_of({}, shown(slot.task, ana, slot=slot))
    assert refusal.value.code == "unplaced"
