"""A better answer, written while ranking: from the letter to the rows of both snapshots."""

import pytest

from annotate.actions.build_tasks import TaskItem
from annotate.actions.change_queue import change_queue
from annotate.actions.edit_answer import edit_answer
from annotate.actions.undo import undo
from annotate.errors import AnnotateError
from annotate.exports.answers import sft_counts, sft_rows
from annotate.exports.rankings import ranking_counts, ranking_rows
from annotate.models import Judgement, Slot, Task, Text
from annotate.pages.forms import body_of, form_of
from annotate.presentation import shown, shown_order
from annotate.queue import claim
from trainer.contract.rows import check

from .conftest import BY_KEYBOARD, answer, build, leased, make_prompt, make_text, rank_item, send, taken_back

ANSWERS = ["The least.", "The most.", "A number."]
GROUPS = {"groups": [["A"], ["B"], ["C"]]}
BETTER = "The least of all items."


@pytest.fixture
def asking(ranking):
    """A queue that takes better answers, with one task of three."""
    build(ranking, rank_item(ranking.project, ANSWERS))
    return change_queue(queue=ranking, better=True)


def improving(queue, user, better=BETTER):
    """The body of a ranking with a better text for the first of ANSWERS, whichever letter it has."""
    order = [text.body for text in shown_order(queue.tasks.get(), user)]
    return {**GROUPS, "better": {"ABC"[order.index(ANSWERS[0])]: better}}


@pytest.fixture
def ranked(asking, ana):
    return answer(asking, ana, improving(asking, ana))


def order_of(revision):
    return revision.presentation.order


def better_text() -> Text:
    return Text.objects.get(body=BETTER)


def reviewed(project, by, decision="accept", **more):
    queue = project.queues.get(kind="review_answer")
    return answer(queue, by, {"decision": decision, "reasons": [], "comment": "", **more})


def rows_of(project, source, rows=ranking_rows, **settings):
    return [row for row in rows(project, settings) if row["source"] == source]


def test_it_is_an_answer_of_the_judge_in_the_place_of_the_original(ranked, ana):
    text = better_text()
    assert text.edited_from is not None
    assert text.edited_from.body == ANSWERS[0]
    assert (text.author, text.kind, text.origin) == (ana, "answer", "human")
    assert (text.parent_id, text.group_id) == (text.edited_from.parent_id, text.edited_from.group_id)
    assert ranked.body["better_ids"] == {str(text.edited_from_id): text.pk}
    assert ranked.body["better"] == {str(pk): BETTER if pk == text.edited_from_id else None for pk in order_of(ranked)}


def test_it_stands_over_its_original_in_the_preferences(project, ranked, ana):
    [row] = rows_of(project, "better")
    assert check(row, "RankingRow") == []
    best = [row["answers"][index]["text"] for group in row["groups"] for index in group]
    assert best == [BETTER, ANSWERS[0]]
    assert (row["revision"], row["by"], row["acceptable_groups"]) == (str(ranked.uuid), ana.pseudonym(project), None)
    assert row["messages"] == [{"role": "user", "content": "What does min do?"}]


def test_the_ranking_itself_holds_only_what_was_shown(project, ranked):
    [row] = rows_of(project, "rank")
    assert [one["text"] for one in row["answers"]] == ANSWERS
    assert row["id"] != rows_of(project, "better")[0]["id"]


@pytest.mark.parametrize(("sources", "found"), [(["rank"], ["rank"]), (["better"], ["better"])])
def test_each_use_can_be_left_out(project, ranked, sources, found):
    assert [row["source"] for row in ranking_rows(project, {"sources": sources})] == found


def test_it_teaches_once_a_reviewer_has_accepted_it(project, ranked, rex):
    assert list(sft_rows(project, {})) == []
    assert sft_counts(project, {})["not_reviewed"] == 1
    reviewed(project, rex)
    [row] = sft_rows(project, {})
    assert check(row, "SftRow") == []
    assert (row["source"], row["messages"][-1]) == ("better", {"role": "assistant", "content": BETTER})
    assert list(sft_rows(project, {"sources": ["write", "import"]})) == []


def test_a_reviewers_edit_of_it_stands_for_it(project, ranked, rex):
    reviewed(project, rex, "edit", text="The least of all its arguments.")
    [row] = sft_rows(project, {})
    assert (row["source"], row["messages"][-1]["content"]) == ("better", "The least of all its arguments.")


def test_a_returned_one_teaches_nothing(project, ranked, rex):
    reviewed(project, rex, "return", comment="Of which items?")
    assert list(sft_rows(project, {})) == []
    assert sft_counts(project, {})["returned"] == 1


def test_an_undone_ranking_takes_it_along(project, ranked, ana, rex):
    reviewed(project, rex)
    undo(judgement=ranked.judgement, by=ana)
    assert list(ranking_rows(project, {})) == []
    assert list(sft_rows(project, {})) == []


def test_undo_asks_no_reviewer_any_more(project, ranked, ana):
    undo(judgement=ranked.judgement, by=ana)
    assert project.queues.get(kind="review_answer").tasks.get().state == Task.State.VOID


def test_sent_again_only_the_last_text_counts(project, asking, ranked, ana):
    slot = taken_back(ranked.judgement, ana)
    send(slot, ana, improving(asking, ana, "The least of its arguments."))
    [row] = rows_of(project, "better")
    assert row["answers"][1]["text"] == "The least of its arguments."


def test_its_author_does_not_review_it_and_others_may(project, ranked, ana, rex):
    queue = project.queues.get(kind="review_answer")
    [task] = queue.tasks.all()
    assert set(task.exclusions.values_list("user", flat=True)) == {ana.pk}
    assert claim(queue, rex).slot is not None


def test_who_wrote_a_better_one_ranks_the_original_nowhere_else(project, asking, ana):
    original = Text.objects.get(body=ANSWERS[0])
    prompt = Text.objects.prompts().get()
    other = make_text(project, "Nothing at all.", parent=prompt)
    texts = [(prompt, "prompt"), (original, "answer"), (other, "answer")]
    slot = leased(asking, ana)
    elsewhere = build(asking, TaskItem(texts))
    order = [text.body for text in shown_order(slot.task, ana)]
    send(slot, ana, {**GROUPS, "better": {"ABC"[order.index(ANSWERS[0])]: BETTER}})
    assert list(elsewhere.exclusions.values_list("user", "reason")) == [(ana.pk, "editor")]


def test_a_surplus_ranking_writes_no_text(project, asking, ana, abe):
    slot = leased(asking, ana)
    body = improving(asking, ana)
    Slot.objects.filter(pk=slot.pk).update(lease_until="2020-01-01T00:00Z")
    answer(asking, abe, GROUPS)
    send(slot, ana, body)
    assert not Text.objects.filter(body=BETTER).exists()
    assert ranking_counts(project, {}) == {"surplus": 1}


@pytest.mark.parametrize(
    ("better", "code"),
    [("The least. ", "unchanged"), ("  ", "empty_text"), (3, "bad_body"), ("x" * 200_001, "too_long")],
)
def test_what_is_no_better_text_is_refused_by_its_letter(asking, ana, better, code):
    body = improving(asking, ana, better)
    with pytest.raises(AnnotateError) as refusal:
        send(leased(asking, ana), ana, body)
    [letter] = body["better"]
    assert (refusal.value.code, refusal.value.facts["field"]) == (code, f"better-{letter}")
    assert Text.objects.filter(edited_from__isnull=False).count() == 0


def test_a_queue_that_does_not_ask_takes_none(task, ana):
    with pytest.raises(AnnotateError) as refusal:
        send(leased(task.queue, ana), ana, {"groups": [["A", "B", "C", "D"]], "better": {"A": BETTER}})
    assert refusal.value.facts["field"] == "better"


def test_a_copy_that_nobody_changed_is_nothing(asking, ana):
    slot = leased(asking, ana)
    what = shown(slot.task, ana, slot=slot)
    form = {f"place-{letter}": [str(place)] for place, letter in enumerate("ABC", start=1)}
    copies = {f"better-{letter}": [text.body + "\r\n"] for letter, text in what.by_letter().items()}
    body = body_of(form | copies | {"better-B": ["New.\r\nLines."]}, what)
    assert body["better"] == {"A": None, "B": "New.\nLines.", "C": None}
    reply = send(slot, ana, body)
    revision = asking.tasks.get().judgements.get(uuid=reply.judgement).revisions.get()
    assert form_of(revision.answer, what)["better-B"] == ["New.\nLines."]


def test_it_follows_the_whole_conversation(project, ranking, ana, rex):
    first = make_prompt(project, "What does min do?")
    said = make_text(project, "It compares.", parent=first)
    asked = make_prompt(project, "And then?", parent=said)
    answers = [make_text(project, body, parent=asked) for body in ("It returns.", "Nothing.")]
    texts = [(asked, "prompt"), *((one, "answer") for one in answers)]
    build(ranking, TaskItem(texts))
    queue = change_queue(queue=ranking, better=True)
    answer(queue, ana, {"groups": [["A"], ["B"]], "better": {"A": BETTER}})
    reviewed(project, rex)
    turns = ["What does min do?", "It compares.", "And then?"]
    [row] = rows_of(project, "better")
    assert [turn["content"] for turn in row["messages"]] == turns
    [row] = sft_rows(project, {})
    assert [turn["content"] for turn in row["messages"]] == [*turns, BETTER]


def changed(revision, user, body):
    judgement = Judgement.objects.select_related("task__queue__project", "slot").get(pk=revision.judgement_id)
    return edit_answer(judgement=judgement, by=user, body=body, times=BY_KEYBOARD)


def test_a_change_that_says_the_same_is_none(asking, ranked, ana):
    with pytest.raises(AnnotateError) as refusal:
        changed(ranked, ana, improving(asking, ana))
    assert refusal.value.code == "unchanged"


def test_a_changed_better_answer_stands_for_the_first(project, asking, ranked, ana):
    changed(ranked, ana, improving(asking, ana, "The least of its arguments."))
    [row] = rows_of(project, "better")
    assert row["answers"][1]["text"] == "The least of its arguments."
    states = project.queues.get(kind="review_answer").tasks.order_by("pk").values_list("state", flat=True)
    assert list(states) == [Task.State.VOID, Task.State.HELD]
