"""Where people write the instruction and the answer: what is stored, asked of reviewers, counted and taken back."""

from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction

from annotate.actions.add_queue import add_queue
from annotate.actions.build_tasks import TaskItem
from annotate.actions.change_queue import change_queue
from annotate.actions.count_surplus import count_no_longer, count_surplus
from annotate.actions.edit_answer import edit_answer
from annotate.actions.fill_queue import empty_queue, fill_queue
from annotate.actions.publish_guideline import publish_guideline
from annotate.actions.undo import undo
from annotate.actions.withdraw import withdraw
from annotate.errors import AnnotateError
from annotate.exports.answers import sft_rows
from annotate.exports.prompts import prompt_counts, prompt_rows
from annotate.models import Group, Import, Judgement, Project, Queue, Revision, Sighting, Slot, TaskText, Text
from annotate.presentation import payload
from annotate.queue import claim
from trainer.contract.rows import check

from .conftest import BY_KEYBOARD, answer, ask_to_write, build, leased, make_prompt, make_text, send, taken_back
from .test_surplus import late

pytestmark = pytest.mark.usefixtures("database")

PAIR = {"instruction": "Name three fruits.", "text": "Apples, pears and plums."}
OTHER = {"instruction": "What is the tallest mountain of Wales?", "text": "Yr Wyddfa, 1,085 metres."}
LONG = "Write a short letter to the landlord of a flat in which the heating has not worked for a week this winter."
RETURN = {"decision": "return", "reasons": ["unclear"], "comment": "Fruits of which season?"}


@pytest.fixture
def pairing(database, project) -> Queue:
    """A queue that asks for three pairs."""
    queue = add_queue(project=project, kind="write_answer", name="Write pairs")
    fill_queue(queue=queue, most=3)
    return queue


def written(pairing: Queue, by: Any, body: dict[str, Any]) -> tuple[Judgement, Text, Text]:
    """The judgement, the prompt and the answer of a pair that by writes."""
    revision = answer(pairing, by, body)
    text = Text.objects.select_related("parent__group").get(pk=revision.answer["text_id"])
    assert text.parent is not None
    return revision.judgement, text.parent, text


def prompts(project: Project) -> list[str]:
    """What a snapshot of prompts would hold."""
    return [row["messages"][-1]["content"] for row in prompt_rows(project, {})]


# Where the tasks come from


def test_a_project_asks_for_answers_until_its_admin_adds_a_queue_for_pairs(project, writing, pairing):
    assert (writing.instruction, pairing.instruction) == (False, True)


def test_as_many_tasks_are_built_as_somebody_asks_for(project, pairing):
    filled = fill_queue(queue=pairing, most=2)
    assert (filled.made, pairing.tasks.count(), TaskText.objects.count()) == (2, 5, 0)
    assert empty_queue(queue=pairing, batch=filled.batch) == 2


@pytest.mark.parametrize("most", [None, 0, 1_001])
def test_a_number_of_pairs_that_cannot_be_builds_nothing(pairing, most):
    with pytest.raises(AnnotateError) as refusal:
        fill_queue(queue=pairing, most=most)
    assert (refusal.value.code, refusal.value.facts["field"], pairing.tasks.count()) == ("bad_count", "most", 3)


def test_a_queue_that_asks_for_answers_is_not_filled_with_nothing(writing):
    with pytest.raises(AnnotateError) as refusal:
        fill_queue(queue=writing, most=2)
    assert (refusal.value.code, writing.tasks.count()) == ("bad_queue", 0)


def test_only_a_task_to_write_may_have_no_text(ranking):
    with pytest.raises(AnnotateError) as refusal:
        build(ranking, TaskItem(texts=[]))
    assert refusal.value.code == "wrong_texts"


def test_only_a_queue_to_write_may_ask_for_instructions(ranking):
    with pytest.raises(AnnotateError) as refusal:
        change_queue(queue=ranking, instruction=True)
    assert refusal.value.facts["field"] == "instruction"
    with pytest.raises(IntegrityError), transaction.atomic():
        Queue.objects.filter(pk=ranking.pk).update(instruction=True)


def test_the_mode_is_versioned_and_tasks_stay_as_they_were_built(pairing, ana):
    changed = change_queue(queue=pairing, instruction=False)
    assert changed.settings_version == 2
    assert answer(changed, ana, PAIR).answer["instruction"] == "Name three fruits."
    with pytest.raises(AnnotateError):
        fill_queue(queue=changed, most=1)


def test_prompts_are_put_where_they_are_answered_only(project, writing, pairing):
    assert Queue.objects.to_answer(project.pk) == writing
    change_queue(queue=writing, instruction=True)
    assert Queue.objects.to_answer(project.pk) == writing  # they are answered there where nowhere else is
    change_queue(queue=pairing, instruction=False)
    assert Queue.objects.to_answer(project.pk) == pairing


def test_a_task_without_texts_tells_its_guideline(project, pairing, ana, ada):
    publish_guideline(project=project, body="1. Be kind.", by=ada)
    found = payload(leased(pairing, ana))
    assert (found["instruction"], found["prompt"], found["guideline_version"]) == (True, [], 1)
    assert answer(pairing, ana, PAIR).guideline_version == 1


# What is stored


def test_a_pair_is_a_prompt_and_its_answer_by_who_wrote_both(project, pairing, reviewing, ana, rex):
    judgement, prompt, text = written(pairing, ana, PAIR)
    assert [(one.kind, one.body, one.author, one.origin) for one in (prompt, text)] == [
        ("prompt", "Name three fruits.", ana, "human"),
        ("answer", "Apples, pears and plums.", ana, "human"),
    ]
    assert (text.group, prompt.group.first_sha256) == (prompt.group, prompt.sha256)
    stored = Revision.objects.get(judgement=judgement).answer
    assert stored == {**PAIR, "pasted": None, "prompt_id": prompt.pk, "text_id": text.pk}
    seen = payload(leased(reviewing, rex))
    assert ([turn["text"] for turn in seen["prompt"]], seen["answer"]["text"]) == ([PAIR["instruction"]], PAIR["text"])


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"text": "Apples."}, "bad_body", "instruction"),
        ({**PAIR, "instruction": " \n"}, "empty_text", "instruction"),
        ({**PAIR, "instruction": "é" * 100_001}, "too_long", "instruction"),
        ({**PAIR, "text": ""}, "empty_text", "text"),
        ({**PAIR, "prompt": "Name three fruits."}, "unknown_field", "prompt"),
    ],
)
def test_half_a_pair_is_refused_and_writes_nothing(pairing, ana, body, code, field):
    with pytest.raises(AnnotateError) as refusal:
        answer(pairing, ana, body)
    assert (refusal.value.code, refusal.value.facts["field"]) == (code, field)
    assert not Text.objects.exists()
    assert Slot.objects.get(user=ana).status == "leased"


def test_where_a_prompt_is_given_no_instruction_is_taken(project, writing, ana):
    ask_to_write(writing, make_prompt(project))
    with pytest.raises(AnnotateError) as refusal:
        answer(writing, ana, PAIR)
    assert (refusal.value.code, refusal.value.facts["field"]) == ("unknown_field", "instruction")


def test_an_instruction_that_stands_already_is_used_again(project, pairing, source, ana):
    known = make_prompt(project, PAIR["instruction"], source=source, licence="PSF-2.0", split="heldout")
    _, prompt, text = written(pairing, ana, PAIR)
    assert (prompt, prompt.author, prompt.source, text.group) == (known, None, source, known.group)
    assert Text.objects.prompts().count() == 1


def test_an_instruction_nearly_like_another_is_on_its_side_of_the_split(pairing, ana, abe):
    _, first, _ = written(pairing, ana, {"instruction": LONG, "text": "Dear landlord."})
    Group.objects.update(split="heldout")
    _, second, text = written(pairing, abe, {"instruction": LONG.replace("this", "last"), "text": "Dear Sir."})
    assert (second.group, text.group, second.cluster) == (first.group, first.group, first)
    _, apart, _ = written(pairing, ana, OTHER)
    assert apart.group != first.group


# Who reviews


def test_nobody_reviews_a_pair_or_an_answer_to_an_instruction_of_their_own(project, pairing, reviewing, ana, rex, rita):
    own, prompt, _ = written(pairing, rex, PAIR)
    theirs, again, _ = written(pairing, ana, {**PAIR, "text": "Cherries, medlars and quinces."})
    assert prompt == again
    assert claim(reviewing, rex).cause == "own_texts"
    assert leased(reviewing, rita).task.follows in {own, theirs}
    for task in reviewing.tasks.all():
        assert task.exclusions.get(user=rex).reason == "author"


def test_a_lease_of_ones_own_pair_is_no_licence_to_review_it(pairing, reviewing, rex):
    written(pairing, rex, PAIR)
    reviewing.tasks.get().exclusions.all().delete()
    with pytest.raises(PermissionDenied):
        answer(reviewing, rex, {"decision": "accept"})


# What counts


def test_a_pair_counts_once_a_reviewer_lets_it_pass(project, pairing, reviewing, ana, rex):
    _, prompt, _ = written(pairing, ana, PAIR)
    assert (prompts(project), prompt_counts(project, {})) == ([], {"not_accepted": 1})
    passed = answer(reviewing, rex, {"decision": "accept"})
    [row] = prompt_rows(project, {})
    assert check(row, "PromptRow") == []
    assert (row["id"], row["source"], row["revision"]) == (str(prompt.pk), "write", str(passed.uuid))
    assert (row["by"], row["scripted"]) == (ana.pseudonym(project), False)
    assert prompt_counts(project, {}) == {}
    [learnt] = sft_rows(project, {})
    assert [one["content"] for one in learnt["messages"]] == [PAIR["instruction"], PAIR["text"]]


def test_splits_are_picked_among_the_instructions_that_count(project, pairing, reviewing, ana, abe, rex):
    written(pairing, ana, PAIR)
    written(pairing, abe, OTHER)
    answer(reviewing, rex, {"decision": "accept"})
    Group.objects.update(split="train")
    settings = {"splits": {"train": 5}}
    assert len(list(prompt_rows(project, settings))) == 1
    assert prompt_counts(project, settings) == {"not_accepted": 1}


def test_an_edited_answer_keeps_its_instruction_and_a_returned_one_does_not_count(
    project, pairing, reviewing, ana, abe, rex
):
    written(pairing, ana, PAIR)
    answer(reviewing, rex, {"decision": "edit", "text": "Apples, pears, plums."})
    assert prompts(project) == [PAIR["instruction"]]
    written(pairing, abe, OTHER)
    answer(reviewing, rex, RETURN)
    assert prompts(project) == [PAIR["instruction"]]


def test_nothing_of_an_undone_pair_counts(project, pairing, reviewing, ana, rex):
    judgement, _, _ = written(pairing, ana, PAIR)
    taken_back(judgement, ana)
    assert reviewing.tasks.get().state == "void"
    assert (prompts(project), list(sft_rows(project, {}))) == ([], [])


def test_what_was_accepted_before_it_was_undone_counts_no_more_also_after_another_answer(
    project, pairing, reviewing, ana, rex
):
    judgement, _, _ = written(pairing, ana, PAIR)
    answer(reviewing, rex, {"decision": "accept"})
    slot = taken_back(judgement, ana)
    assert prompts(project) == []
    send(slot, ana, OTHER)
    assert prompts(project) == []
    answer(reviewing, rex, {"decision": "accept"})
    assert prompts(project) == [OTHER["instruction"]]


def test_a_withdrawn_pair_counts_no_more_until_that_is_undone(project, pairing, reviewing, ana, rex):
    judgement, _, _ = written(pairing, ana, PAIR)
    answer(reviewing, rex, {"decision": "accept"})
    withdraw(judgement=judgement, by=ana, note="")
    assert (prompts(project), list(sft_rows(project, {}))) == ([], [])
    undo(judgement=judgement, by=ana)
    assert prompts(project) == [PAIR["instruction"]]


def test_an_instruction_stands_as_long_as_one_of_its_pairs(project, pairing, reviewing, ana, abe, rex):
    first, prompt, _ = written(pairing, ana, PAIR)
    second, _, _ = written(pairing, abe, {**PAIR, "text": "Figs."})
    for _ in range(2):
        answer(reviewing, rex, {"decision": "accept"})
    undo(judgement=first, by=ana)
    assert [(row["id"], row["by"]) for row in prompt_rows(project, {})] == [(str(prompt.pk), abe.pseudonym(project))]
    undo(judgement=second, by=abe)
    assert prompts(project) == []


def test_an_instruction_that_an_import_brings_too_is_a_prompt(project, pairing, ana):
    judgement, prompt, _ = written(pairing, ana, PAIR)
    undo(judgement=judgement, by=ana)
    make_text(project, "Imported.", parent=prompt, origin="import")
    assert prompts(project) == [PAIR["instruction"]]


def test_an_instruction_that_was_met_again_in_an_import_is_a_prompt(project, pairing, source, ana, ada):
    judgement, prompt, _ = written(pairing, ana, PAIR)
    undo(judgement=judgement, by=ana)
    file = {"label": "prompts.jsonl", "format": "jsonl", "sha256": "0" * 64, "file": "0" * 32, "size_bytes": 1}
    imported = Import.objects.create(source=source, what="prompts", by=ada, **file)
    Sighting.objects.create(text=prompt, source=source, imported=imported)
    assert prompts(project) == [PAIR["instruction"]]


def test_an_edit_changes_both_and_its_old_instruction_counts_no_more(project, pairing, reviewing, ana, rex):
    judgement, _, _ = written(pairing, ana, PAIR)
    with pytest.raises(AnnotateError) as refusal:
        edit_answer(judgement=judgement, by=ana, body=PAIR, times=BY_KEYBOARD)
    assert refusal.value.code == "unchanged"
    body = {**PAIR, "instruction": "Name three fruits of autumn."}
    stored = edit_answer(judgement=judgement, by=ana, body=body, times=BY_KEYBOARD).answer
    answer(reviewing, rex, {"decision": "accept"})
    assert prompts(project) == ["Name three fruits of autumn."]
    assert Text.objects.get(pk=stored["text_id"]).parent_id == stored["prompt_id"]


def test_a_late_pair_writes_its_texts_once_it_counts(project, pairing, reviewing, ana, abe, ada, rex):
    pairing.tasks.exclude(pk=pairing.tasks.earliest("pk").pk).delete()
    found = late(pairing, ana, abe, (PAIR, OTHER))
    assert not Text.objects.filter(author=ana).exists()
    count_surplus(judgement=found, by=ada)
    assert set(Text.objects.filter(author=ana).values_list("body", flat=True)) == set(PAIR.values())
    for _ in range(2):
        answer(reviewing, rex, {"decision": "accept"})
    assert set(prompts(project)) == {PAIR["instruction"], OTHER["instruction"]}
    count_no_longer(judgement=Judgement.objects.select_related("task__queue__project").get(pk=found.pk), by=ada)
    assert prompts(project) == [OTHER["instruction"]]


# What comes back


@pytest.fixture
def back(pairing, reviewing, ana, rex) -> Any:  # a Slot that is held
    """ana's pair, which rex sent back: where she is to write it again."""
    written(pairing, ana, PAIR)
    answer(reviewing, rex, RETURN)
    return leased(pairing, ana)


def test_a_returned_pair_comes_back_whole_to_who_wrote_it(back, pairing, ana, abe):
    found = payload(back)
    assert (found["instruction"], found["prompt"], back.reserved_for, back.queue) == (True, [], ana, pairing)
    assert found["returned"] == {
        "reasons": ["unclear"],
        "comment": "Fruits of which season?",
        **PAIR,
        "upheld": None,
    }


def test_both_halves_of_a_returned_pair_may_change(back, project, reviewing, ana, rex):
    send(back, ana, {"instruction": "Name three fruits of autumn.", "text": "Apples."})
    answer(reviewing, rex, {"decision": "accept"})
    assert prompts(project) == ["Name three fruits of autumn."]


def test_an_instruction_that_was_right_stays_the_same_text(back, project, reviewing, ana, rex):
    send(back, ana, {**PAIR, "text": "Apples, pears and quinces."})
    answer(reviewing, rex, {"decision": "accept"})
    assert prompts(project) == [PAIR["instruction"]]
    assert Text.objects.prompts().count() == 1


def test_an_answer_comes_back_to_the_queue_that_it_was_written_in(project, reviewing, ana, rex):
    more = Queue.objects.create(project=project, kind="write_answer", name="Write more")
    ask_to_write(more, make_prompt(project))
    answer(more, ana, {"text": "It returns the least value."})
    answer(reviewing, rex, RETURN)
    found = payload(leased(more, ana))
    assert (found["instruction"], [turn["text"] for turn in found["prompt"]]) == (False, ["What does min do?"])
    assert found["returned"]["instruction"] is None
