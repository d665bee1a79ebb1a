"""What leaves the server before an answer names nobody and nothing behind a text."""

import pytest

from annotate.actions.add_queue import add_queue
from annotate.actions.fill_queue import fill_queue
from annotate.models import Flag, Guideline, Task
from annotate.presentation import payload, shown, shown_order

from .conftest import (
    answer,
    ask_to_clean,
    ask_to_write,
    build,
    leased,
    make_document,
    make_prompt,
    make_text,
    rank_item,
    send,
)

PLANTED = "zanzibar"
FIELDS = {
    "slot", "token", "lease_until", "why", "kind", "queue", "guideline_version", "progress", "prompt", "document",
    "evidence", "answer", "answers", "axes", "required_axes", "returned", "wrong", "pasted",
    "flags", "critique_least", "better", "partial", "line_required", "instruction",
}  # fmt: skip


def leaked(found: object, secrets: set[object]) -> set[object]:
    """Those of the secrets that stand anywhere in a payload: as a value, or within a string."""
    if isinstance(found, dict):
        return set().union(*(leaked(value, secrets) for value in found.values()), leaked(list(found), secrets))
    if isinstance(found, list):
        return set().union(*(leaked(value, secrets) for value in found)) if found else set()
    if isinstance(found, str):
        return {secret for secret in secrets if isinstance(secret, str) and secret in found}
    return {found} & secrets if not isinstance(found, bool) else set()


@pytest.fixture(autouse=True)
def standing_out(project):
    """Keys of texts from here on are none that a count or a place could be mistaken for."""
    make_text(project, "Before.", id=4_000_000)


@pytest.fixture
def abe_of_zanzibar(abe):
    abe.name = PLANTED
    abe.save(update_fields=["name"])
    return abe


def secrets_of(task: Task) -> set[object]:
    texts = [row.text for row in task.task_texts.select_related("text")]
    secrets: set[object] = {
        PLANTED,
        str(task.uuid),
        *(str(text.uuid) for text in texts),
        *(str(text.pk) for text in texts),
    }
    secrets |= {text.sha256 for text in texts} | {text.pk for text in texts}
    return secrets


def test_a_comparison_names_no_author_and_no_text(project, ranking, ana, abe_of_zanzibar):
    item = rank_item(project, ["The least.", "The most."])
    for text, _ in item.texts:
        text.author = abe_of_zanzibar
        text.meta = {"model": PLANTED}
        text.save(update_fields=["author", "meta"])
    task = build(ranking, type(item)(item.texts, selection={"model": PLANTED, "reward": 0.731}))
    found = payload(leased(ranking, ana))
    assert leaked(found, secrets_of(task) | {0.731}) == set()
    assert set(found) == FIELDS


def test_a_pair_names_no_author_and_no_text(project, comparing, ana, abe_of_zanzibar):
    item = rank_item(project, ["The least.", "The most."])
    for text, _ in item.texts:
        text.author = abe_of_zanzibar
        text.save(update_fields=["author"])
    task = build(comparing, type(item)(item.texts, selection={"model": PLANTED, "propensity": 0.731}))
    found = payload(leased(comparing, ana))
    assert leaked(found, secrets_of(task) | {0.731}) == set()
    assert set(found) == FIELDS
    assert [answer["letter"] for answer in found["answers"]] == ["A", "B"]


def test_a_review_names_no_author(project, writing, reviewing, abe_of_zanzibar, rex):
    ask_to_write(writing, make_prompt(project))
    answer(writing, abe_of_zanzibar, {"text": "It returns the least value."})
    slot = leased(reviewing, rex)
    assert leaked(payload(slot), secrets_of(slot.task)) == set()


def test_a_review_says_what_its_writer_said_of_a_paste_and_not_who_they_are(
    project, writing, reviewing, abe_of_zanzibar, rex
):
    ask_to_write(writing, make_prompt(project))
    answer(writing, abe_of_zanzibar, {"text": "It returns the least value.", "pasted": "docs.python.org"})
    slot = leased(reviewing, rex)
    found = payload(slot)
    assert found["pasted"] == "docs.python.org"
    assert leaked(found, secrets_of(slot.task)) == set()


def test_a_returned_answer_names_no_reviewer(project, writing, reviewing, ana, rex):
    rex.name = PLANTED
    rex.save(update_fields=["name"])
    ask_to_write(writing, make_prompt(project))
    answer(writing, ana, {"text": "It returns"})
    answer(reviewing, rex, {"decision": "return", "reasons": ["incomplete"], "comment": "Say what."})
    slot = leased(writing, ana)
    found = payload(slot)
    assert leaked(found, secrets_of(slot.task)) == set()
    said = {"reasons": ["incomplete"], "comment": "Say what.", "text": "It returns", "upheld": None}
    assert found["returned"] == said | {"instruction": None}


def test_a_pair_to_be_written_shows_nothing_and_a_returned_one_its_own_words_only(
    project, reviewing, ana, abe_of_zanzibar, rex
):
    pairing = add_queue(project=project, kind="write_answer", name="Write pairs")
    fill_queue(queue=pairing, most=1)
    first = payload(leased(pairing, ana))
    assert (set(first), first["prompt"], first["returned"]) == (FIELDS, [], None)
    known = make_prompt(project, "Name three fruits.", author=abe_of_zanzibar)
    answer(pairing, ana, {"instruction": "Name three fruits.", "text": "Figs."})
    review = leased(reviewing, rex)
    assert leaked(payload(review), secrets_of(review.task)) == set()
    send(review, rex, {"decision": "return", "comment": "Three."})
    slot = leased(pairing, ana)
    assert leaked(payload(slot), {PLANTED, str(known.uuid), known.pk, str(slot.task.uuid)}) == set()


def test_a_document_names_no_importer_and_its_evidence_no_row(project, cleaning, source, ada, rex):
    ada.name = PLANTED
    ada.save(update_fields=["name"])
    first = make_document(project, "Returns the least value of all.", source=source)
    document = make_document(project, "Returns the least value of any.", source=source)
    Flag.objects.create(
        id=5_000_001,
        text=document,
        detector="near_duplicate",
        version=1,
        category="near_duplicate",
        start=0,
        end=31,
        score=0.93,
        reason="93 % shared",
        evidence={"representative": first.pk, "lost": 1},
    )
    task = ask_to_clean(cleaning, document)
    found = payload(leased(cleaning, rex))
    assert leaked(found, secrets_of(task) | {5_000_001, str(first.uuid)}) == set()
    [evidence] = found["evidence"]
    assert evidence["id"] == "1"
    assert evidence["duplicate"] == {"text": first.body, "similarity": 0.93, "lost": 1}
    assert found["document"]["source"] == "docs"


def test_letters_stay_with_the_texts_for_one_person(task, ana):
    first = shown_order(task, ana)
    slot = leased(task.queue, ana)
    assert [text["text"] for text in payload(slot)["answers"]] == [text.body for text in first]


def test_letters_differ_between_people(project, ranking, ana, abe):
    tasks = [build(ranking, rank_item(project, list("wxyz"), prompt=f"Question {n}")) for n in range(12)]
    # the same order for both in all twelve tasks: one in 24**12
    assert any(shown_order(task, ana) != shown_order(task, abe) for task in tasks)


def test_the_first_place_goes_to_every_text_alike(project, ranking, ana):
    tasks = [build(ranking, rank_item(project, ["first", "second"], prompt=f"Question {n}")) for n in range(40)]
    led = sum(shown(task, ana).answers[0].body == "first" for task in tasks)
    assert 6 <= led <= 34  # beyond it: one in 300,000, with fair coins


def test_the_payload_says_which_guideline_holds(project, task, ana, ada):
    Guideline.objects.create(project=project, version=3, body="Be kind.", created_by=ada)
    assert payload(leased(task.queue, ana))["guideline_version"] == 3


def test_progress_counts_done_and_left(project, ranking, ana):
    build(ranking, *(rank_item(project, ["One.", "Two."], prompt=f"Question {n}") for n in range(3)))
    send(leased(ranking, ana), ana, {"groups": [["A"], ["B"]]})
    assert payload(leased(ranking, ana))["progress"] == {"done_today": 1, "left": 2, "median_s": 4.0}
