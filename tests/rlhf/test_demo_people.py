"""The scripted people of the demo follow the rule that README states."""

import pytest

from rlhf.demo import people

KNOWN = frozenset(["return", "the", "current", "time", "of", "a", "clock", "as", "number", "in", "seconds"])


@pytest.mark.parametrize(
    ("answer", "points"),
    [
        ("Return the current time of a clock.", 5),
        ("Return the current time of a clock", 4),  # no full stop: no sentence
        ("Return the current time of a glorp.", 4),  # one made-up word
        ("Return the blurb time of a glorp.", 3),  # two of them
        ("Return the the current time of clock.", 4),  # a word twice in a row
        ("Return the time. Return the time.", 2),  # two sentences, three words twice, four different words
        ("Return time.", 4),  # two different words
        ("", 0),
    ],
)
def test_an_answer_gets_a_point_for_each_part_of_the_rule(answer, points):
    assert people.points(answer, known=KNOWN) == points


def test_equal_points_tie_and_better_ones_stand_first():
    answers = ["Return the current time of a clock.", "clock clock", "Return the current time of a number."]
    task = {"answers": [{"letter": letter, "text": text} for letter, text in zip("ABC", answers, strict=True)]}
    body = people.rank(task, known=KNOWN)
    assert body["groups"] == [["A", "C"], ["B"]]
    assert body["acceptable_groups"] == 1
    assert body["ratings"]["A"] == {"helpful": 7, "truthful": 7, "harmless": 7}


def document(text, *evidence):
    return {"document": {"text": text}, "evidence": list(evidence)}


def test_a_reviewer_keeps_what_a_detector_merely_flags():
    flag = {"id": "1", "detector": "unsafe", "category": "violent_crimes", "score": 0.9, "threshold": 0.5}
    assert people.clean(document("Kill the process and wait for it.", flag))["decision"] == "keep"


def test_a_reviewer_rejects_a_near_duplicate_as_such():
    flag = {"id": "1", "detector": "near_duplicate", "category": "near_duplicate", "score": 0.95, "threshold": 0.7}
    body = people.clean(document("Return the time as a number.", flag))
    assert (body["decision"], body["reasons"], body["evidence"]) == ("reject", ["duplicate"], {"1": "right"})


def test_a_reviewer_puts_a_mark_where_an_address_stood():
    flag = {
        "id": "1", "detector": "personal", "category": "email", "score": 0.9, "threshold": 0.5, "start": 6, "end": 18,
    }  # fmt: skip
    assert people.clean(document("Write ada@home.org for help.", flag))["text"] == "Write [email] for help."


def test_a_returned_answer_is_written_in_full():
    task = {"prompt": [{"text": "What does time.time do?"}], "returned": {"comment": "whole sentence"}}
    assert people.write(task, reference="Return the current time.") == {"text": "Return the current time."}


def test_an_answer_that_is_one_word_long_does_not_come_back_for_ever():
    task = {"prompt": [{"text": "Which city?"}], "returned": {"comment": "whole sentence"}}
    written = people.write(task, reference="Paris")
    assert people.review({"answer": written})["text"] == "The answer is Paris."


def test_a_reviewer_returns_half_an_answer_and_mends_a_missing_stop():
    assert people.review({"answer": {"text": "Return the current"}})["decision"] == "return"
    edited = people.review({"answer": {"text": "return the current time"}})
    assert (edited["decision"], edited["text"]) == ("edit", "Return the current time.")
