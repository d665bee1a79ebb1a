"""The pages of answers given earlier, of what waits for reviewers, and of what is accepted first."""

import re
from html import unescape

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from annotate.actions.change_queue import change_queue
from annotate.actions.pause import pause
from annotate.actions.publish_guideline import publish_guideline
from annotate.actions.skip import skip
from annotate.models import Acceptance, Judgement, QueuePause, Revision, Slot, Task

from .conftest import answer, ask_to_clean, ask_to_write, build, leased, make_document, make_prompt, rank_item
from .test_surplus import late

TIED = {"groups": [["A", "B", "C", "D"]]}
RANKED = {"groups": [["B"], ["A", "C"], ["D"]], "acceptable_groups": 1}
PLACES = {"place-A": "2", "place-B": "1", "place-C": "3", "place-D": "4"}


def as_user(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def read(client: Client, name: str, *args) -> str:
    response = client.get(reverse(name, args=args))
    assert response.status_code == 200
    return response.content.decode()


def sent(client: Client, name: str, *args, **fields: str):
    response = client.post(reverse(name, args=args), fields)
    assert response.status_code == 302, response.content.decode()[:2_000]
    return response


def test_an_answer_is_changed_on_the_screen_that_it_was_given_on(task, project, ana):
    judgement = answer(task.queue, ana, RANKED).judgement
    client = as_user(ana)
    assert '<option value="2" selected>' in read(client, "edit", judgement.uuid)
    sent(client, "edit", judgement.uuid, **PLACES)
    assert list(judgement.revisions.order_by("number").values_list("kind", flat=True)) == ["submit", "edit"]
    assert "Changed." in read(client, "mine", project.uuid)


def test_a_change_that_does_not_fit_comes_back_with_what_was_chosen(task, ana):
    judgement = answer(task.queue, ana, RANKED).judgement
    response = as_user(ana).post(reverse("edit", args=[judgement.uuid]), {"place-A": "3"})
    assert response.status_code == 422
    assert "Every answer needs a place" in response.content.decode()
    assert Revision.objects.count() == 1


def test_the_screen_of_a_change_names_nobody_and_no_text(task, ana, abe, rex):
    found = late(task.queue, ana, abe, (RANKED, TIED))
    for text in (row.text for row in task.task_texts.select_related("text")):
        text.author = rex
        text.save(update_fields=["author"])
    page = read(as_user(ana), "edit", found.uuid)
    assert str(task.uuid) not in page
    assert not any(str(row.text.uuid) in page for row in task.task_texts.select_related("text"))
    assert rex.pseudonym(task.queue.project) not in page


def test_what_a_snapshot_took_says_so_when_it_is_changed(task, project, ana):
    judgement = answer(task.queue, ana, RANKED).judgement
    Judgement.objects.update(frozen_at=now())
    client = as_user(ana)
    sent(client, "edit", judgement.uuid, **PLACES)
    page = read(client, "mine", project.uuid)
    assert "keeps what it froze" in page
    assert "frozen" in page


def test_an_answer_is_withdrawn_and_the_toast_takes_it_back(task, project, ana):
    judgement = answer(task.queue, ana, RANKED).judgement
    client = as_user(ana)
    sent(client, "withdraw", judgement.uuid)
    assert reverse("undo", args=[judgement.uuid]) in read(client, "mine", project.uuid)
    sent(client, "undo", judgement.uuid)
    assert Revision.objects.counted().count() == 1


def test_my_answers_say_in_which_state_they_are(project, writing, reviewing, ana, rex):
    for number, decision in enumerate(("accept", "return")):
        ask_to_write(writing, make_prompt(project, f"Question {number}"))
        answer(writing, ana, {"text": f"Answer {number}."})
        answer(reviewing, rex, {"decision": decision, "comment": "The whole sentence, please."})
    page = read(as_user(ana), "mine", project.uuid)
    assert "returned" in page
    assert "The whole sentence, please." in page
    assert "Write it again" in page


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (RANKED, "1st B · acceptable down to here · 2nd A = C · 3rd D"),
        (RANKED | {"acceptable_groups": None}, "1st B · 2nd A = C · 3rd D"),
        (RANKED | {"acceptable_groups": 0}, "none acceptable · 1st B · 2nd A = C · 3rd D"),
        (RANKED | {"acceptable_groups": 3}, "1st B · 2nd A = C · 3rd D · acceptable down to here"),
        ({"groups": [["C"], ["A"]], "unplaced": ["D", "B"]}, "1st C · 2nd A · without a place B, D"),
    ],
)
def test_my_answers_show_a_ranking_in_its_places(task, project, ana, body, said):
    answer(change_queue(queue=task.queue, partial=True), ana, body)
    page = unescape(re.sub(r"<[^>]*>", "", read(as_user(ana), "mine", project.uuid)))
    assert said in " ".join(page.split())


def test_a_reviewer_sees_where_an_answer_was_pasted_from(project, writing, reviewing, ana, rex):
    ask_to_write(writing, make_prompt(project))
    answer(writing, ana, {"text": "It returns the least value.", "pasted": "docs.python.org"})
    page = read(as_user(rex), "slot", leased(reviewing, rex).uuid)
    assert "Pasted, its writer says, from:" in page
    assert "docs.python.org" in page


def test_a_review_of_what_was_not_pasted_does_not_speak_of_it(project, writing, reviewing, ana, rex):
    ask_to_write(writing, make_prompt(project))
    answer(writing, ana, {"text": "It returns the least value."})
    assert "Pasted" not in read(as_user(rex), "slot", leased(reviewing, rex).uuid)


def test_my_answers_cost_as_many_queries_for_thirty_as_for_one(project, writing, ana, django_assert_max_num_queries):
    for number in range(30):
        ask_to_write(writing, make_prompt(project, f"Question {number}"))
        answer(writing, ana, {"text": f"Answer {number}."})
    client = as_user(ana)
    with django_assert_max_num_queries(17):
        read(client, "mine", project.uuid)


def test_a_skip_is_taken_back_from_its_toast(task, project, ana):
    slot = leased(task.queue, ana)
    client = as_user(ana)
    sent(client, "slot-skip", slot.uuid, token=slot.token, reason="later")
    undo = reverse("slot-unskip", args=[slot.uuid])
    assert undo in read(client, "work", project.uuid)
    assert client.post(undo)["Location"] == reverse("slot", args=[slot.uuid])


def test_a_skip_for_another_reason_without_words_comes_back_with_its_reason(task, ana):
    slot = leased(task.queue, ana)
    fields = {"token": slot.token, "reason": "other", "note": ""}
    response = as_user(ana).post(reverse("slot-skip", args=[slot.uuid]), fields)
    page = response.content.decode()
    assert (response.status_code, "Say in a note" in page) == (422, True)
    assert Slot.objects.get().status == "leased"


def test_a_reviewer_sees_a_surplus_answer_and_counts_it(task, project, ana, abe, rex):
    found = late(task.queue, ana, abe, (RANKED, TIED))
    client = as_user(rex)
    page = read(client, "disputes", project.uuid)
    assert ana.pseudonym(project) in page
    assert ">ana<" not in page
    sent(client, "counted", found.uuid, counted="1")
    assert Judgement.objects.get(pk=found.pk).counted
    assert "The answer counts from now on." in read(client, "disputes", project.uuid)


def test_ones_own_surplus_answer_has_no_button(task, project, rex, abe):
    found = late(task.queue, rex, abe, (RANKED, TIED))
    page = read(as_user(rex), "disputes", project.uuid)
    assert "yours: another decides" in page
    assert reverse("counted", args=[found.uuid]) not in page


def test_an_answer_of_a_task_that_still_asks_is_shown_to_nobody(project, cleaning, ana, abe, rex):
    ask_to_clean(cleaning, make_document(project, "A document."))
    late(cleaning, ana, abe, ({"decision": "reject", "reasons": ["broken"]}, {"decision": "keep"}))
    assert "rejected" in read(as_user(rex), "disputes", project.uuid)
    Task.objects.update(state="admitted")
    assert "rejected" not in read(as_user(rex), "disputes", project.uuid)


def test_a_reviewer_unparks_a_task_with_the_reasons_in_sight(task, project, ana, abe, rex):
    for user in (ana, abe, rex):
        slot = leased(task.queue, user)
        skip(slot=slot, by=user, token=slot.token, reason="other", note=f"Note of {user.pk}.")
    client = as_user(rex)
    page = read(client, "disputes", project.uuid)
    assert "3 × something else" in page
    assert f"Note of {abe.pk}." in page
    sent(client, "task-parked", task.uuid, parked="0")
    assert Task.objects.get().state == "admitted"


def test_a_disputed_task_is_listed_with_its_answers(project, cleaning, ana, abe, rex):
    queue = change_queue(queue=cleaning, overlap=1, overlap_max=2)
    ask_to_clean(queue, make_document(project, "A document."))
    answer(queue, ana, {"decision": "keep"})
    Slot.objects.filter(pk=Slot.objects.get().pk).update(status="done")
    Task.objects.update(disputed=True)
    page = read(as_user(rex), "disputes", project.uuid)
    assert "A document." in page
    assert "kept" in page


def test_a_reviewer_pauses_a_person_and_takes_it_back(task, project, ana, rex):
    answer(task.queue, ana, TIED)
    client = as_user(rex)
    person = ana.pseudonym(project)
    sent(client, "pause-new", project.uuid, queue=str(task.queue.uuid), person=person, note="Too fast.")
    assert "Too fast." in read(client, "disputes", project.uuid)
    sent(client, "pause-end", QueuePause.objects.get().uuid)
    assert QueuePause.objects.get().ended_at is not None


def test_a_pause_of_nobody_says_so_in_place(task, project, rex):
    fields = {"queue": str(task.queue.uuid), "person": "person-00000000"}
    response = as_user(rex).post(reverse("pause-new", args=[project.uuid]), fields)
    assert (response.status_code, "Nobody in this project" in response.content.decode()) == (422, True)


def test_a_paused_person_reads_so_instead_of_a_start(task, project, ana, rex):
    pause(queue=task.queue, person=ana.pseudonym(project), by=rex, note="")
    page = read(as_user(ana), "work", project.uuid)
    assert "a reviewer has paused you here" in page
    assert reverse("start", args=[task.queue.uuid]) not in page


def test_a_guideline_is_read_and_accepted_before_the_next_task(task, project, ana, ada):
    publish_guideline(project=project, body="1. Be kind.", by=ada, major=True)
    client = as_user(ana)
    assert "Read and accept it" in read(client, "work", project.uuid)
    assert "Accept version 1" in read(client, "guideline", project.uuid)
    sent(client, "guideline-accept", project.uuid, version="1")
    assert Acceptance.objects.get().user == ana
    assert "you accepted version 1" in read(client, "guideline", project.uuid)
    assert sent(client, "start", task.queue.uuid)["Location"].startswith("/slots/")


def test_an_admin_publishes_a_major_version(project, ada):
    sent(as_user(ada), "guideline", project.uuid, body="1. Be kind.", major="on")
    assert project.guidelines.get().major


def test_a_task_says_why_it_came_in_words(project, cleaning, ana, abe, rex):
    queue = change_queue(queue=cleaning, overlap=1, overlap_max=2)
    ask_to_clean(queue, make_document(project, "A document."))
    slot = leased(queue, rex)
    Slot.objects.update(extra=True)
    assert "extra opinion: the answers so far differ" in read(as_user(rex), "slot", slot.uuid)


def test_disputes_cost_as_many_queries_for_thirty_as_for_one(project, ranking, rex, django_assert_max_num_queries):
    build(ranking, *(rank_item(project, ["One.", "Two."], prompt=f"Question {n}") for n in range(30)))
    ranking.tasks.update(state="parked", disputed=True)
    client = as_user(rex)
    with django_assert_max_num_queries(20):
        read(client, "disputes", project.uuid)


def test_an_admin_withdraws_from_the_list_of_disputes_with_a_reason(project, task, ana, ada):
    judgement = answer(task.queue, ana, TIED).judgement
    Task.objects.update(disputed=True)
    client = as_user(ada)
    assert reverse("withdraw", args=[judgement.uuid]) in read(client, "disputes", project.uuid)
    sent(client, "withdraw", judgement.uuid, note="Sent by a script.")
    assert not Revision.objects.current().exists()
