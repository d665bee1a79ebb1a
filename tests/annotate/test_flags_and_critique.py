"""What a queue asks of each answer beside its place, from letters to the stored body and out again."""

import pytest

from annotate.actions.change_queue import change_queue
from annotate.api.answers import in_letters
from annotate.critique import quoted
from annotate.errors import AnnotateError
from annotate.exports.rankings import ranking_rows
from annotate.flags import DEFAULT
from annotate.pages.forms import body_of, form_of
from annotate.presentation import payload, shown, shown_order

from .conftest import answer, build, leased, rank_item, send

ANSWERS = ["The **least** of all items.", "The most.", "A number."]
GROUPS = {"groups": [["A"], ["B"], ["C"]]}
ASKED = {"flags": ["false_claim", "x_rude"], "critique_least": 10, "axes": ["overall"]}


@pytest.fixture
def asking(ranking):
    """A queue that asks for two flags and a critique, with one task of three answers."""
    build(ranking, rank_item(ranking.project, ANSWERS))
    return change_queue(queue=ranking, **ASKED)


def letter_of(queue, user, body):
    order = [text.body for text in shown_order(queue.tasks.get(), user)]
    return "ABC"[order.index(body)]


def key_of(revision, letter):
    return str(revision.presentation.order["ABC".index(letter)])


def refused(queue, user, **body):
    with pytest.raises(AnnotateError) as refusal:
        send(leased(queue, user), user, {**GROUPS, **body})
    return refusal.value


def test_a_flag_keeps_yes_no_and_not_answered(asking, ana):
    given = {"A": {"false_claim": True}, "B": {"false_claim": False, "x_rude": None}}
    revision = answer(asking, ana, {**GROUPS, "flags": given})
    assert revision.body["flags"] == {
        key_of(revision, "A"): {"false_claim": True, "x_rude": None},
        key_of(revision, "B"): {"false_claim": False, "x_rude": None},
        key_of(revision, "C"): {"false_claim": None, "x_rude": None},
    }


def test_nothing_said_is_null_and_not_missing(asking, ana):
    body = answer(asking, ana, GROUPS).body
    assert list(body["critique"].values()) == [None, None, None]
    assert {value for flags in body["flags"].values() for value in flags.values()} == {None}


def test_a_queue_that_asks_nothing_stores_nothing(task, ana):
    revision = answer(task.queue, ana, {"groups": [["A", "B", "C", "D"]]})
    assert not {"flags", "critique"} & set(revision.body)


@pytest.mark.parametrize(
    "body",
    [
        {"flags": {"A": {"sexual": True}}},
        {"flags": {"A": {"false_claim": 1}}},
        {"flags": {"A": {"false_claim": "yes"}}},
        {"flags": {"D": {"false_claim": True}}},
        {"flags": {"A": True}},
        {"critique": {"A": 3}},
        {"critique": {"A": {"text": "Why.", "spans": [{"letter": "A", "start": 4, "end": 4}]}}},
        {"critique": {"A": {"text": "Why.", "spans": [{"letter": "A", "start": 0, "end": 999}]}}},
        {"critique": {"A": {"text": "Why.", "spans": [{"letter": "D", "start": 0, "end": 1}]}}},
        {"critique": {"A": "x" * 4_001}},
    ],
)
def test_what_is_not_asked_or_out_of_range_is_refused(asking, ana, body):
    assert refused(asking, ana, **body).code == "bad_body"


@pytest.mark.parametrize("body", [{"flags": {"A": {"sexual": True}}}, {"critique": {"A": "Why."}}])
def test_a_queue_that_does_not_ask_takes_none(task, ana, body):
    with pytest.raises(AnnotateError) as refusal:
        send(leased(task.queue, ana), ana, {"groups": [["A", "B", "C", "D"]], **body})
    assert refusal.value.code == "bad_body"


@pytest.mark.parametrize(("overall", "critique"), [(3, "Too short"), (1, "> The most.\nNo"), (2, None)])
def test_a_low_rating_needs_its_reasons(asking, ana, overall, critique):
    refusal = refused(asking, ana, ratings={"B": {"overall": overall}}, critique={"B": critique})
    assert (refusal.code, refusal.facts["field"]) == ("too_short", "critique-B")


@pytest.mark.parametrize("overall", [4, 7, None])
def test_other_ratings_need_none(asking, ana, overall):
    assert answer(asking, ana, {**GROUPS, "ratings": {"B": {"overall": overall}}})


def test_a_line_that_quotes_becomes_a_span_of_the_text(asking, ana):
    letter = letter_of(asking, ana, ANSWERS[0])
    revision = answer(asking, ana, {**GROUPS, "critique": {letter: "> least of all\nSay which."}})
    [span] = revision.body["critique"][key_of(revision, letter)]["spans"]
    assert ANSWERS[0][span["start"] : span["end"]] == "least** of all"  # 6 … 20: as it is written, marks and all
    assert str(span["text_id"]) == key_of(revision, letter)


@pytest.mark.parametrize(
    ("text", "spans"),
    [
        ("> cat", [("A", 16, 19)]),  # the word, not the start of concatenate
        ("> ate", [("A", 20, 23)]),  # nor its end
        ("> the  CAT", []),
        ("> ncat", [("A", 2, 6)]),
        ("> dog", [("B", 0, 3)]),
        ("No quote > cat", []),
        ("> !", []),
        ("> cat\n> dog", [("A", 16, 19), ("B", 0, 3)]),
    ],
)
def test_a_quotation_is_found_by_its_words(text, spans):
    found = quoted(text, letter="A", bodies={"A": "concatenate the cat ate", "B": "dog cat"})
    assert [(span["letter"], span["start"], span["end"]) for span in found] == spans


def test_the_form_says_what_the_api_says_and_comes_back_after_an_undo(asking, ana):
    slot = leased(asking, ana)
    form = {f"place-{letter}": [str(place)] for place, letter in enumerate("ABC", start=1)}
    form |= {"flag-A-false_claim": ["no"], "flag-B-x_rude": ["yes"], "critique-C": ["> number\nWhich one?"]}
    what = shown(slot.task, ana, slot=slot)
    body = body_of(form, what)
    assert body["flags"] == {
        "A": {"false_claim": False, "x_rude": None},
        "B": {"false_claim": None, "x_rude": True},
        "C": {"false_claim": None, "x_rude": None},
    }
    assert body["critique"] == {"A": None, "B": None, "C": "> number\nWhich one?"}
    reply = send(slot, ana, body)
    revision = asking.tasks.get().judgements.get(uuid=reply.judgement).revisions.get()
    again = form_of(revision.answer, what)
    assert {name: value for name, value in again.items() if value and name != "reasons"} == form


def test_the_api_tells_an_answer_in_the_letters_that_were_shown(asking, ana):
    letter = letter_of(asking, ana, ANSWERS[2])
    given = {**GROUPS, "flags": {letter: {"x_rude": True}}, "critique": {letter: "> number\nWhich one?"}}
    revision = answer(asking, ana, given)
    told = in_letters(revision.body, order=revision.presentation.order, places={})
    assert told["flags"][letter] == {"false_claim": None, "x_rude": True}
    text = "> number\nWhich one?"
    assert told["critique"][letter] == {"text": text, "spans": [{"letter": letter, "start": 2, "end": 8}]}


def test_flags_and_critiques_stand_beside_their_answers_in_the_row(asking, ana):
    letter = letter_of(asking, ana, ANSWERS[2])
    answer(asking, ana, {**GROUPS, "flags": {letter: {"x_rude": True}}, "critique": {letter: "> number\nWhich one?"}})
    [row] = ranking_rows(asking.project, {})
    assert [one["text"] for one in row["answers"]] == ANSWERS
    nothing = {"false_claim": None, "x_rude": None}
    assert row["flags"] == [nothing, nothing, {"false_claim": None, "x_rude": True}]
    spans = [{"answer": 2, "start": 2, "end": 8}]
    assert row["critiques"] == [None, None, {"text": "> number\nWhich one?", "spans": spans}]


def test_a_row_of_a_queue_that_did_not_ask_says_null(project, task, ana):
    answer(task.queue, ana, {"groups": [["A", "B", "C", "D"]]})
    [row] = ranking_rows(project, {})
    assert (row["flags"], row["critiques"]) == ([None] * 4, [None] * 4)


def test_the_payload_says_what_is_asked(asking, ana):
    found = payload(leased(asking, ana))
    assert (found["flags"], found["critique_least"]) == (["false_claim", "x_rude"], 10)


def test_a_new_queue_asks_for_none(ranking):
    assert (ranking.flags, ranking.critique_least, ranking.better, ranking.partial) == ([], None, False, False)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("flags", ["rude"]),
        ("flags", ["x_Rude"]),
        ("flags", ["sexual", "sexual"]),
        ("flags", "sexual"),
        ("flags", [f"x_{n}" for n in range(61)]),
        ("critique_least", -1),
        ("critique_least", 1_001),
        ("better", 1),
        ("partial", None),
    ],
)
def test_a_queue_asks_only_what_is_known(ranking, field, value):
    with pytest.raises(AnnotateError) as refusal:
        change_queue(queue=ranking, **{field: value})
    assert refusal.value.facts["field"] == field


def test_all_flags_of_the_default_set_can_be_asked_and_dropped(ranking):
    assert change_queue(queue=ranking, flags=list(DEFAULT)).flags == list(DEFAULT)
    assert change_queue(queue=ranking, flags=[], critique_least=None).flags == []
