"""The pages without a browser: what they refuse, what they say, what they cost."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from annotate.actions.change_queue import change_queue
from annotate.models import Flag, Judgement, Queue, Revision, Slot
from annotate.pages import errors, spans
from annotate.pages.forms import body_of, form_of, kept
from annotate.pages.keys import Key, names_of
from annotate.presentation import shown
from tests.annotate.conftest import (
    answer,
    ask_to_clean,
    ask_to_write,
    build,
    leased,
    make_document,
    make_prompt,
    make_text,
    rank_item,
)

RANKED: dict[str, Any] = {
    "place-A": ["2"],
    "place-B": ["1"],
    "place-C": ["2"],
    "place-D": ["4"],
    "acceptable": ["2"],
    "rating-A-helpful": ["6"],
}


@pytest.fixture
def signed_in():
    """A client as one of the cast."""

    def enter(user) -> Client:
        client = Client(raise_request_exception=False)
        client.force_login(user)
        return client

    return enter


def submit(client: Client, slot: Slot, *, script: bool = False, **fields):
    headers = {"Accept": "application/json"} if script else {}
    data = {"token": slot.token, "key": "k1", **fields}
    return client.post(reverse("slot-submit", args=[slot.uuid]), data, headers=headers)


# signing in


def test_a_wrong_password_and_an_unknown_name_get_the_same_words(ana, db):
    ana.set_password("a long password")
    ana.save()
    wrong = Client().post(reverse("login"), {"username": "ana", "password": "no"})
    unknown = Client().post(reverse("login"), {"username": "ana2", "password": "no"})
    assert (wrong.status_code, words(wrong)) == (422, words(unknown).replace("ana2", "ana"))


@pytest.mark.parametrize("onward", ["https://elsewhere.example/", "//elsewhere.example/", "javascript:alert(1)"])
def test_a_log_in_leads_to_no_other_host(onward, ana, db):
    ana.set_password("a long password")
    ana.save()
    found = Client().post(reverse("login"), {"username": "ana", "password": "a long password", "next": onward})
    assert found["Location"] == "/"


def test_signing_out_erases_what_the_browser_kept(signed_in, ana):
    client = signed_in(ana)
    assert client.post(reverse("logout"))["Clear-Site-Data"] == '"storage"'
    assert client.get(reverse("me")).status_code == 302


# refusals and faults


def test_a_foreign_and_a_missing_thing_read_the_same(signed_in, ana, other_project):
    missing = signed_in(ana).get("/p/00000000-0000-4000-8000-000000000000/work/")
    foreign = signed_in(ana).get(reverse("work", args=[other_project.uuid]))
    assert (missing.status_code, words(missing)) == (404, words(foreign))


def test_a_fault_shows_an_id_and_no_trace_and_asks_no_row(django_assert_num_queries, db):
    with django_assert_num_queries(0):
        found = errors.failed(RequestFactory().get("/"))
    assert found.status_code == 500
    assert re.search(r"Error 500, id [0-9a-f]{8}", found.content.decode())


def test_a_lost_database_is_a_503_that_reads_no_row(django_assert_num_queries, db):
    middleware = errors.Refusals(lambda request: HttpResponse())
    with django_assert_num_queries(0):
        found = middleware.process_exception(RequestFactory().get("/"), OperationalError())
    assert found is not None
    assert (found.status_code, found["Retry-After"]) == (503, "30")


def test_too_many_starts_are_told_when_to_come_again(signed_in, project, ana, ranking, settings):
    settings.RATE_CLAIMS = 1
    client = signed_in(ana)
    client.post(reverse("start", args=[ranking.uuid]))
    found = client.post(reverse("start", args=[ranking.uuid]))
    assert (found.status_code, 0 < int(found["Retry-After"]) <= 60) == (429, True)


def test_a_script_that_nobody_is_signed_in_for_gets_a_401(db, task, ana):
    slot = leased(task.queue, ana)
    client = Client(enforce_csrf_checks=True)
    found = client.post(reverse("slot-draft", args=[slot.uuid]), headers={"Accept": "application/json"})
    assert (found.status_code, found.json()["code"]) == (401, "signed_out")


# tasks


def test_looking_at_work_claims_nothing(signed_in, project, ana, task):
    signed_in(ana).get(reverse("work", args=[project.uuid]))
    assert not Slot.objects.filter(user=ana).exists()


def test_a_start_with_nothing_to_do_says_why(signed_in, project, ana, ranking):
    found = signed_in(ana).post(reverse("start", args=[ranking.uuid]), follow=True)
    assert "Everything in that queue is answered." in words(found)


def test_work_shows_the_share_of_the_weeks_answers_that_are_ones_own(signed_in, project, ana, abe, writing):
    for who in (ana, ana, ana, abe):
        ask_to_write(writing, make_prompt(project, f"What is {writing.tasks.count()}?"))
        answer(writing, who, {"text": f"It is {writing.tasks.count()}."})
    rows = signed_in(ana).get(reverse("work", args=[project.uuid])).context["rows"]
    assert {row.queue.kind: row.share for row in rows} == {"write_answer": 75, "rank": None}


def test_a_closed_queue_says_by_whom_and_since_when(signed_in, project, ana, ranking, task):
    change_queue(queue=ranking, closed=True)
    page = signed_in(ana).get(reverse("work", args=[project.uuid]))
    assert re.search(r"closed by an admin, +just now", words(page))
    assert reverse("start", args=[ranking.uuid]) not in page.content.decode()


def test_an_answer_in_a_queue_that_was_closed_meanwhile_leads_to_why_no_other_comes(signed_in, project, ana, task):
    build(task.queue, rank_item(project, ["One.", "Two.", "Three.", "Four."], prompt="Another?"))
    slot, client = leased(task.queue, ana), signed_in(ana)
    change_queue(queue=task.queue, closed=True)
    assert "Finish your task" in words(client.get(reverse("work", args=[project.uuid])))
    fields = {"token": slot.token, "key": "1", **{f"place-{letter}": "1" for letter in "ABCD"}}
    page = words(client.post(reverse("slot-submit", args=[slot.uuid]), fields, follow=True))
    assert re.search(r"An admin closed “Rank answers” +just now +\. What you gave there stays and counts\.", page)
    assert "Finish your task" not in page


def test_what_came_back_in_a_closed_queue_says_that_it_waits(signed_in, project, ana, rex, writing, reviewing):
    ask_to_write(writing, make_prompt(project))
    answer(writing, ana, {"text": "Too short"})
    answer(reviewing, rex, {"decision": "return", "comment": "A whole sentence, please."})
    change_queue(queue=writing, closed=True)
    page = words(signed_in(ana).get(reverse("mine", args=[project.uuid])))
    assert "it waits until the queue opens." in page
    assert "Write it again" not in page


def test_work_costs_the_same_with_thirty_queues(signed_in, project, ana):
    with_few = cost(signed_in(ana), reverse("work", args=[project.uuid]))
    Queue.objects.bulk_create(Queue(project=project, kind="rank", name=f"Rank {n}") for n in range(30))
    assert cost(signed_in(ana), reverse("work", args=[project.uuid])) == with_few <= 20


def test_a_task_that_was_answered_is_told_so_and_not_shown(signed_in, ana, task):
    slot = leased(task.queue, ana)
    client = signed_in(ana)
    submit(client, slot, **RANKED | {"place-D": "3"})
    found = client.get(reverse("slot", args=[slot.uuid]))
    assert (found.status_code, "You do not hold this task any more" in words(found)) == (409, True)


def test_a_form_sent_twice_counts_once(signed_in, ana, task):
    slot = leased(task.queue, ana)
    client = signed_in(ana)
    submit(client, slot, **RANKED)
    submit(client, slot, **RANKED)
    assert Judgement.objects.filter(task=task).count() == 1


def test_a_script_is_told_where_to_go_on(signed_in, ana, task, project):
    found = submit(signed_in(ana), leased(task.queue, ana), script=True, **RANKED)
    assert found.json()["url"].startswith(reverse("work", args=[project.uuid]))


def test_a_script_gets_the_refusal_with_its_field(signed_in, ana, task):
    found = submit(signed_in(ana), leased(task.queue, ana), script=True, **{"place-A": "1"})
    assert (found.status_code, found.json()["facts"]) == (422, {"field": "place-B"})
    assert found.json()["sentence"] == "Every answer needs a place; none yet: B, C, D."


def test_a_refused_form_comes_back_with_what_was_typed(signed_in, ana, writing, project):
    ask_to_write(writing, make_prompt(project))
    slot = leased(writing, ana)
    found = submit(signed_in(ana), slot, text="   ")
    assert (found.status_code, "The text is empty." in words(found)) == (422, True)


def test_times_that_are_no_numbers_are_not_known(signed_in, ana, task):
    submit(signed_in(ana), leased(task.queue, ana), active_ms="soon", hidden_ms="-4", by="mind", **RANKED)
    presentation = Revision.objects.get(judgement__task=task).presentation
    assert (presentation.active_ms, presentation.hidden_ms, presentation.by) == (None, None, None)


def test_a_toast_is_shown_once(signed_in, ana, task, project):
    client = signed_in(ana)
    submit(client, leased(task.queue, ana), **RANKED)
    work = reverse("work", args=[project.uuid])
    assert ["Saved." in words(client.get(work)) for _ in range(2)] == [True, False]


def test_the_screen_of_a_ranking_names_no_author_model_or_row(signed_in, ana, abe, ranking, project):
    abe.name = "planted-author"
    abe.save(update_fields=["name"])
    asked = make_prompt(project, "Which?", author=abe)
    texts = [(asked, "prompt")]
    texts += [(make_text(project, body, parent=asked, meta={"adapter": "planted-model"}), "answer") for body in "xy"]
    build(ranking, type(rank_item(project, ["One.", "Two."]))(texts=texts, selection={"why": "planted-reason"}))
    slot = leased(ranking, ana)
    page = signed_in(ana).get(reverse("slot", args=[slot.uuid])).content.decode()
    planted = ["planted", str(slot.task.uuid), *(str(text.uuid) for text, _ in texts)]
    assert [word for word in planted if word in page] == []


# forms


def test_a_form_of_ranks_becomes_groups_and_a_line(ana, task):
    what = shown(task, ana)
    assert body_of(RANKED, what) == {
        "groups": [["B"], ["A", "C"], ["D"]],
        "acceptable_groups": 2,
        "unplaced": [],
        "ratings": {
            letter: {"helpful": 6 if letter == "A" else None, "truthful": None, "harmless": None} for letter in "ABCD"
        },
    }


def test_a_stored_ranking_becomes_the_form_that_sends_it_again(ana, ranking, task):
    stored = answer(ranking, ana, body_of(RANKED, shown(task, ana))).answer
    again = form_of(stored, shown(task, ana))
    assert body_of(again, shown(task, ana)) == body_of(RANKED, shown(task, ana))


def test_a_stored_decision_becomes_the_form_that_sends_it_again(rex, cleaning, project):
    document = make_document(project, "Some words.")
    Flag.objects.create(text=document, detector="length", version=1, category="short", start=0, end=4, score=1)
    task = ask_to_clean(cleaning, document)
    body = {"decision": "reject", "reasons": ["unsafe"], "evidence": {"1": "wrong"}}
    again = form_of(answer(cleaning, rex, body).answer, shown(task, rex))
    assert body_of(again | {"decision": ["reject"]}, shown(task, rex)) == body


@pytest.mark.parametrize("body", [None, [], {"form": []}, {"form": {"text": "x"}}, {"other": 1}])
def test_a_draft_of_another_shape_is_no_form(body):
    assert kept(body) == {}


# documents


def evidence(number: str, start: int, end: int, *, covered: bool = False) -> dict:
    return {"id": number, "start": start, "end": end, "covered": covered}


def test_a_document_is_cut_where_findings_begin_and_end():
    #       0123456789012345
    text = "One two three.\n\nFour five."
    found = spans.paragraphs(text, [evidence("1", 4, 13), evidence("2", 8, 18)])
    assert [[(piece.text, piece.numbers, piece.starts) for piece in one] for one in found] == [
        [("One ", (), ()), ("two ", ("1",), ("1",)), ("three", ("1", "2"), ("2",)), (".", ("2",), ())],
        [("Fo", ("2",), ()), ("ur five.", (), ())],
    ]


def test_a_finding_about_the_whole_text_marks_nothing():
    assert spans.marked([evidence("1", 0, 10), evidence("2", 0, 4)], "One, two, ") == {"2"}


def test_a_text_without_a_source_or_a_licence_has_its_page_and_its_row(signed_in, rex, project):
    document = make_document(project, "Nobody knows whence.", licence="")
    client = signed_in(rex)
    pages = [client.get(reverse("text", args=[document.uuid])), client.get(reverse("data", args=[project.uuid]))]
    assert [page.status_code for page in pages] == [200, 200]
    assert "licence unknown" in words(pages[0])


def test_markup_in_a_document_stays_text(signed_in, rex, cleaning, project):
    ask_to_clean(cleaning, make_document(project, "<script>alert(1)</script> <b onclick=x>bold</b>"))
    slot = leased(cleaning, rex)
    page = signed_in(rex).get(reverse("slot", args=[slot.uuid])).content.decode()
    assert "<script>alert" not in page
    assert "<b onclick" not in page


# cost


def test_the_list_of_documents_costs_the_same_with_thirty_rows(signed_in, rex, project, source, cleaning):
    def add(number: int) -> None:
        document = make_document(project, f"Document {number}.", source=source)
        Flag.objects.create(text=document, detector="length", version=1, category="short", start=0, end=4, score=1)

    add(0)
    with_one = cost(signed_in(rex), reverse("data", args=[project.uuid]))
    for number in range(1, 30):
        add(number)
    assert cost(signed_in(rex), reverse("data", args=[project.uuid])) == with_one <= 20


def test_my_answers_cost_the_same_with_thirty_rows(signed_in, ana, project, writing):
    def add(number: int) -> None:
        ask_to_write(writing, make_prompt(project, f"What is {number}?"))
        answer(writing, ana, {"text": f"It is {number}."})

    add(0)
    with_one = cost(signed_in(ana), reverse("mine", args=[project.uuid]))
    for number in range(1, 30):
        add(number)
    assert cost(signed_in(ana), reverse("mine", args=[project.uuid])) == with_one <= 20


def test_a_task_screen_costs_at_most_twenty_queries(signed_in, ana, task):
    slot = leased(task.queue, ana)
    assert cost(signed_in(ana), reverse("slot", args=[slot.uuid])) <= 20


def test_a_list_goes_on_by_key(signed_in, rex, project):
    first = make_document(project, "The very first.")
    for number in range(50):
        make_document(project, f"Document {number}.")
    client = signed_in(rex)
    page = client.get(reverse("data", args=[project.uuid]))
    assert (first.body in words(page), page.context["page"].newer) == (False, "")
    older = client.get(reverse("data", args=[project.uuid]) + page.context["page"].older)
    assert [row.body for row in older.context["page"].rows] == [first.body]


@pytest.mark.parametrize(
    ("state", "found"), [("keep", ["Kept."]), ("waits", ["Waits."]), ("undecided", ["Unasked."]), ("reject", [])]
)
def test_documents_are_filtered_by_what_was_decided(state, found, signed_in, rex, project, cleaning):
    ask_to_clean(cleaning, make_document(project, "Kept."))
    answer(cleaning, rex, {"decision": "keep", "reasons": []})
    ask_to_clean(cleaning, make_document(project, "Waits."))
    make_document(project, "Unasked.")
    page = signed_in(rex).get(reverse("data", args=[project.uuid]), {"state": state})
    assert [row.body for row in page.context["page"].rows] == found


# keys


def test_two_meanings_of_a_key_on_one_screen_are_an_error():
    with pytest.raises(ValueError, match="A"):
        names_of([Key.LETTER, Key.ACCEPT])


def words(response) -> str:
    """The text of a page, without markup, ids and what differs by request."""
    text = re.sub(r"<[^>]+>", " ", response.content.decode())
    return re.sub(r"id [0-9a-f]{8}|\s+", " ", text)


def cost(client: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(path).status_code == 200
    return len(queries)
