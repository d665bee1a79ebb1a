"""What counts as a row, what is left out, and why."""

from collections.abc import Iterable
from typing import Any

import pytest

from annotate.actions.undo import undo
from annotate.errors import AnnotateError
from annotate.exports.answers import sft_counts, sft_rows
from annotate.exports.documents import corpus_counts, corpus_rows, edit_rows
from annotate.exports.prompts import prompt_counts, prompt_rows
from annotate.models import Batch, Flag, Import, Queue, Text, User
from trainer.contract.rows import check

from .conftest import answer, ask_to_clean, ask_to_write, make_document, make_prompt, make_text


def decide(cleaning: Queue, document: Text, by: User, **body: object) -> None:
    ask_to_clean(cleaning, document)
    answer(cleaning, by, body)


def flag(text: Text, category: str, *, detector: str = "personal", score: float = 0.95) -> Flag:
    return Flag.objects.create(
        text=text, detector=detector, version=1, category=category, start=0, end=4, score=score, reason="found"
    )


def bodies(rows: Iterable[dict[str, Any]]) -> list[str]:
    return [row["text"] for row in rows]


def write_and(
    review: object, *, writing: Queue, reviewing: Queue, ana: User, rex: User, pasted: str | None = None
) -> None:
    ask_to_write(writing, make_prompt(writing.project))
    answer(writing, ana, {"text": "It returns the least value.", "pasted": pasted})
    if review:
        answer(reviewing, rex, review)


@pytest.fixture
def queues(writing, reviewing, ana, rex):
    return {"writing": writing, "reviewing": reviewing, "ana": ana, "rex": rex}


# Documents


def test_a_document_that_nobody_flagged_goes_in(project):
    document = make_document(project, "Returns the least value.", split="heldout")
    [row] = corpus_rows(project, {})
    assert check(row, "CorpusRow") == []
    assert (row["id"], row["split"], row["decision"]) == (str(document.pk), "heldout", "undecided")
    assert (row["sha256"], row["licence"], row["revision"]) == (document.sha256, "PSF-2.0", None)


def test_rows_stand_in_the_order_of_their_keys(project):
    made = [make_document(project, f"Document {number}") for number in range(5)]
    assert [row["id"] for row in corpus_rows(project, {})] == [str(text.pk) for text in made]


def test_a_rejected_document_is_left_out_and_counted_by_its_reason(project, cleaning, rex):
    decide(cleaning, make_document(project, "x x x"), rex, decision="reject", reasons=["broken", "other"])
    assert list(corpus_rows(project, {})) == []
    assert corpus_counts(project, {}) == {"rejected_broken": 1}


def test_an_edit_stands_for_its_original(project, cleaning, rex):
    decide(cleaning, make_document(project, "Write to ann@corp.io."), rex, decision="edit", text="Write to [email].")
    [row] = corpus_rows(project, {})
    assert (row["text"], row["decision"], row["by"]) == ("Write to [email].", "edit", rex.pseudonym(project))
    assert corpus_counts(project, {}) == {}


def test_an_edit_is_a_pair_to_learn_from(project, cleaning, rex):
    decide(cleaning, make_document(project, "It retruns."), rex, decision="edit", text="It returns.")
    [row] = corpus_rows(project, {})
    [pair] = edit_rows({int(row["id"]): "heldout"})
    assert check(pair, "CorrectionRow") == []
    assert pair == {"id": row["id"], "split": "heldout", "dirty": "It retruns.", "clean": "It returns."}


def test_what_an_edit_took_away_for_someones_sake_is_in_no_pair(project, cleaning, rex):
    document = make_document(project, "Write to ann@corp.io.")
    flag(document, "email")
    decide(cleaning, document, rex, decision="edit", text="Write to [email].")
    [row] = corpus_rows(project, {})
    assert list(edit_rows({int(row["id"]): "train"})) == []


def test_an_edit_that_was_taken_back_counts_nowhere(project, cleaning, rex):
    ask_to_clean(cleaning, make_document(project, "Write to ann@corp.io."))
    judgement = answer(cleaning, rex, {"decision": "edit", "text": "Write to [email]."}).judgement
    undo(judgement=judgement, by=rex)
    assert bodies(corpus_rows(project, {})) == ["Write to ann@corp.io."]


def test_people_who_disagree_keep_a_document_out(project, cleaning, rex, ana):
    Queue.objects.filter(pk=cleaning.pk).update(overlap=2)
    cleaning.refresh_from_db()
    decide(cleaning, make_document(project, "A document."), rex, decision="keep")
    answer(cleaning, ana, {"decision": "reject", "reasons": ["other"]})
    assert corpus_counts(project, {}) == {"disagreed": 1}


@pytest.mark.parametrize("category", ["card", "iban", "id"])
def test_an_undecided_number_of_a_person_is_held_out(project, category):
    flag(make_document(project, "4111 1111 1111 1111"), category)
    assert list(corpus_rows(project, {})) == []
    assert corpus_counts(project, {}) == {f"held_{category}": 1}


def test_an_undecided_secret_is_held_out(project):
    flag(make_document(project, "key = abc"), "cloud_key", detector="secrets")
    assert corpus_counts(project, {}) == {"held_secrets": 1}


def test_a_kept_text_stays_with_its_open_flags(project, cleaning, rex):
    document = make_document(project, "4111 1111 1111 1111")
    flag(document, "card")
    decide(cleaning, document, rex, decision="keep")
    assert bodies(corpus_rows(project, {})) == ["4111 1111 1111 1111"]


def test_other_undecided_flags_are_no_verdict(project):
    flag(make_document(project, "Write to ann@corp.io."), "email")
    assert corpus_counts(project, {}) == {}


def test_which_flags_hold_a_text_out_can_be_chosen(project):
    flag(make_document(project, "Write to ann@corp.io."), "email")
    flag(make_document(project, "4111 1111 1111 1111"), "card")
    assert corpus_counts(project, {"hold": ["email"]}) == {"held_email": 1}


def test_a_retired_flag_holds_nothing(project):
    Flag.objects.filter(pk=flag(make_document(project, "4111 1111"), "card").pk).update(retired_at="2026-01-01T00:00Z")
    assert corpus_counts(project, {}) == {}


def test_an_unknown_licence_goes_in_only_where_asked_for(project):
    make_document(project, "From somewhere.", licence="unknown")
    assert corpus_counts(project, {}) == {"licence_unknown": 1}
    assert bodies(corpus_rows(project, {"unknown_licence": True})) == ["From somewhere."]


def test_the_sources_licence_holds_where_a_row_has_none(project, source):
    make_document(project, "From the docs.", licence="", source=source)
    [row] = corpus_rows(project, {})
    assert (row["licence"], row["source"]) == ("PSF-2.0", "docs")


def test_undecided_near_duplicates_stay_unless_representatives_are_asked_for(project):
    first = make_document(project, "Returns the least value.")
    make_document(project, "Returns the least value!", cluster=first)
    assert len(list(corpus_rows(project, {}))) == 2
    assert bodies(corpus_rows(project, {"duplicates": "representatives"})) == ["Returns the least value."]


def test_another_projects_documents_stay_there(project, other_project):
    make_document(other_project, "Elsewhere.")
    assert list(corpus_rows(project, {})) == []


@pytest.mark.parametrize(
    "settings", [{"hold": "card"}, {"unknown_licence": "yes"}, {"duplicates": "none"}, {"colour": "red"}]
)
def test_settings_that_are_none_are_refused(project, settings):
    with pytest.raises(AnnotateError) as refusal:
        list(corpus_rows(project, settings))
    assert (refusal.value.code, refusal.value.facts["field"]) == ("bad_settings", next(iter(settings)))


def test_an_export_costs_as_much_with_thirty_rows_as_with_one(project, cleaning, rex, django_assert_num_queries):
    decide(cleaning, make_document(project, "First."), rex, decision="keep")
    with django_assert_num_queries(6):
        list(corpus_rows(project, {}))
    for number in range(30):
        make_document(project, f"Document {number}")
    with django_assert_num_queries(6):
        list(corpus_rows(project, {}))


# Answers


def test_an_accepted_answer_is_a_row(project, queues, ana):
    write_and({"decision": "accept"}, **queues)
    [row] = sft_rows(project, {})
    text = Text.objects.get(author=ana)
    assert check(row, "SftRow") == []
    assert (row["id"], row["prompt_id"]) == (str(text.pk), str(text.parent_id))
    assert row["messages"] == [
        {"role": "user", "content": "What does min do?"},
        {"role": "assistant", "content": "It returns the least value."},
    ]
    assert (row["source"], row["by"], row["decision"]) == ("write", ana.pseudonym(project), "accept")


def test_a_reviewers_edit_stands_for_the_answer(project, queues):
    write_and({"decision": "edit", "text": "It returns the smallest."}, **queues)
    assert [row["messages"][-1]["content"] for row in sft_rows(project, {})] == ["It returns the smallest."]


@pytest.mark.parametrize("review", [{"decision": "accept"}, {"decision": "edit", "text": "It returns the smallest."}])
def test_where_an_answer_was_pasted_from_stands_in_its_row(project, queues, review):
    write_and(review, pasted="docs.python.org", **queues)
    assert [row["pasted"] for row in sft_rows(project, {})] == ["docs.python.org"]


def test_what_nobody_says_of_a_paste_is_null(project, queues, pair):
    write_and({"decision": "accept"}, **queues)
    assert [row["pasted"] for row in sft_rows(project, {})] == [None, None]


def test_an_answer_that_nobody_reviewed_is_left_out(project, queues):
    write_and(None, **queues)
    assert list(sft_rows(project, {})) == []
    assert sft_counts(project, {}) == {"not_reviewed": 1}


def test_a_returned_answer_is_left_out(project, queues):
    write_and({"decision": "return", "comment": "Which value?"}, **queues)
    assert sft_counts(project, {}) == {"returned": 1}


def test_an_accepted_answer_that_its_author_took_back_is_left_out(project, queues, ana):
    write_and({"decision": "accept"}, **queues)
    undo(judgement=ana.judgements.get(), by=ana)
    assert list(sft_rows(project, {})) == []
    assert sft_counts(project, {}) == {"taken_back": 1}


@pytest.fixture
def pair(project, source, ada):
    row = Import.objects.create(
        source=source, label="pairs.jsonl", what="pairs", format="jsonl", sha256="0", file="0", size_bytes=1, by=ada
    )
    batch = Batch.objects.create(imported=row, number=1, texts_count=2)
    asked = make_prompt(project, "What does max do?", split="heldout", source=source)
    return make_text(project, "It returns the most.", parent=asked, origin="import", source=source, batch=batch)


def test_an_imported_pair_is_a_row_of_its_own_source(project, pair):
    [row] = sft_rows(project, {})
    assert check(row, "SftRow") == []
    assert (row["id"], row["source"], row["split"], row["licence"]) == (str(pair.pk), "import", "heldout", "PSF-2.0")
    assert "by" not in row


def test_imported_pairs_can_be_left_out(project, queues, pair):
    write_and({"decision": "accept"}, **queues)
    assert [row["source"] for row in sft_rows(project, {"sources": ["write"]})] == ["write"]


def test_a_models_answer_is_no_example_to_learn_from(project):
    make_text(project, "I am a model.", parent=make_prompt(project))
    assert list(sft_rows(project, {})) == []
    assert sft_counts(project, {}) == {}


# Prompts


def test_every_prompt_is_a_row(project):
    prompt = make_prompt(project)
    [row] = prompt_rows(project, {})
    assert check(row, "PromptRow") == []
    assert (row["id"], row["messages"]) == (str(prompt.pk), [{"role": "user", "content": "What does min do?"}])


def test_prompts_are_picked_in_the_order_of_their_hashes(project):
    train = [make_prompt(project, f"Question {number}") for number in range(8)]
    heldout = [make_prompt(project, f"Held {number}", split="heldout") for number in range(4)]
    first = {text.pk for rows, count in ((train, 3), (heldout, 2)) for text in sorted(rows, key=by_hash)[:count]}
    settings = {"splits": {"train": 3, "heldout": 2}}
    assert [int(row["id"]) for row in prompt_rows(project, settings)] == sorted(first)
    assert prompt_counts(project, settings) == {"not_asked_for": 7}


def by_hash(text: Text) -> str:
    return text.sha256


@pytest.mark.parametrize("splits", [{"train": -1}, {"train": True}, {"test": 4}, [3]])
def test_splits_that_are_none_are_refused(project, splits):
    with pytest.raises(AnnotateError) as refusal:
        list(prompt_rows(project, {"splits": splits}))
    assert refusal.value.code == "bad_settings"
