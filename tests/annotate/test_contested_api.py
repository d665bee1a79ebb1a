"""Reviewers at the API: tasks that wait for them, surplus answers, pauses; and answers changed later."""

import pytest

from annotate.actions.publish_guideline import publish_guideline
from annotate.actions.skip import skip
from annotate.models import Judgement, QueuePause, Revision, Slot
from tests.annotate.conftest import answer, build, leased, rank_item
from tests.annotate.test_surplus import late
from tests.api import Caller

TIED = {"groups": [["A", "B", "C", "D"]]}
RANKED = {"groups": [["B"], ["A", "C"], ["D"]], "acceptable_groups": 1}


@pytest.fixture
def parked(task, ana, abe, rex):
    for user, reason, note in ((ana, "broken_text", ""), (abe, "broken_text", ""), (rex, "other", "Two prompts.")):
        slot = leased(task.queue, user)
        skip(slot=slot, by=user, token=slot.token, reason=reason, note=note)
    return task


def test_parked_tasks_are_listed_with_the_reasons(parked, project, rex):
    [row] = Caller(rex).get(f"tasks/?project={project.uuid}&which=parked")["results"]
    assert (row["state"], row["about"]) == ("parked", "What does min do?")
    assert row["skips"] == [{"reason": "broken_text", "people": 2}, {"reason": "other", "people": 1}]
    assert row["notes"] == ["Two prompts."]


def test_a_reviewer_unparks_and_parks_a_task(parked, rex):
    assert Caller(rex).post(f"tasks/{parked.uuid}/unpark")["state"] == "admitted"
    assert Caller(rex).post(f"tasks/{parked.uuid}/park")["state"] == "parked"


def test_the_list_of_parked_tasks_costs_as_much_for_thirty_as_for_one(
    project, ranking, rex, django_assert_max_num_queries
):
    build(ranking, *(rank_item(project, ["One.", "Two."], prompt=f"Question {n}") for n in range(30)))
    ranking.tasks.update(state="parked")
    caller = Caller(rex)
    with django_assert_max_num_queries(9):
        assert len(caller.get(f"tasks/?project={project.uuid}&which=parked")["results"]) == 30


def test_a_reviewer_lets_a_surplus_answer_count_and_takes_it_back(task, project, ana, abe, rex):
    found = late(task.queue, ana, abe, (RANKED, TIED))
    listed = Caller(rex).get(f"judgements/?project={project.uuid}&counted=false")["results"]
    assert [row["id"] for row in listed] == [str(found.uuid)]
    assert Caller(rex).post(f"judgements/{found.uuid}/counted")["counted"] is True
    assert Caller(rex).delete(f"judgements/{found.uuid}/counted", expect=200)["counted"] is False


def test_a_reviewer_who_judges_too_never_counts_their_own(task, rex, abe):
    found = late(task.queue, rex, abe, (RANKED, TIED))
    assert Caller(rex).post(f"judgements/{found.uuid}/counted", expect=403)["code"] == "not_allowed"


def test_a_pause_names_a_pseudonym_and_ends(task, project, ana, rex):
    body = {"queue": str(task.queue.uuid), "person": ana.pseudonym(project), "note": "Too fast."}
    made = Caller(rex).post("pauses/", body, expect=201)
    assert made["person"] == ana.pseudonym(project)
    assert Caller(ana).post(f"queues/{task.queue.uuid}/claim")["cause"] == "paused"
    assert len(Caller(rex).get(f"pauses/?project={project.uuid}")["results"]) == 1
    Caller(rex).delete(f"pauses/{made['id']}/")
    assert QueuePause.objects.get().ended_by == rex


def test_a_guideline_is_accepted_at_the_api(task, project, ana, ada):
    Caller(ada).post("guidelines/", {"project": str(project.uuid), "body": "1. Be kind.", "major": True}, expect=201)
    assert Caller(ana).post(f"queues/{task.queue.uuid}/claim")["cause"] == "guideline"
    Caller(ana).post("guidelines/accept", {"project": str(project.uuid), "version": 1})
    assert Caller(ana).post(f"queues/{task.queue.uuid}/claim")["task"]["why"] == "next in order"


def test_an_old_version_is_not_accepted_at_the_api(project, ana, ada):
    publish_guideline(project=project, body="1.", by=ada, major=True)
    publish_guideline(project=project, body="2.", by=ada)
    sent = {"project": str(project.uuid), "version": 1}
    assert Caller(ana).post("guidelines/accept", sent, expect=409)["code"] == "guideline_changed"


def test_an_answer_is_edited_at_the_api_in_letters(task, ana):
    judgement = answer(task.queue, ana, TIED).judgement
    made = Caller(ana).post(f"judgements/{judgement.uuid}/revisions", {"body": RANKED}, expect=201)
    assert (made["number"], made["kind"], made["body"]["groups"]) == (2, "edit", RANKED["groups"])


def test_an_edit_of_what_changed_meanwhile_is_refused(task, ana):
    judgement = answer(task.queue, ana, TIED).judgement
    stale = {"If-Match": '"0"'}
    Caller(ana).post(f"judgements/{judgement.uuid}/revisions", {"body": RANKED}, expect=412, **stale)
    assert Revision.objects.count() == 1


def test_an_admin_withdraws_an_answer_with_a_note(task, ana, ada):
    judgement = answer(task.queue, ana, TIED).judgement
    assert Caller(ada).post(f"judgements/{judgement.uuid}/withdraw", expect=400)["code"] == "no_reason"
    made = Caller(ada).post(f"judgements/{judgement.uuid}/withdraw", {"note": "By a script."}, expect=201)
    assert (made["kind"], made["note"]) == ("withdraw", "By a script.")


def test_a_skip_is_taken_back_at_the_api(task, ana):
    slot = leased(task.queue, ana)
    Caller(ana).post(f"slots/{slot.uuid}/skip", {"token": slot.token, "reason": "later"})
    assert Caller(ana).delete(f"slots/{slot.uuid}/skip", expect=200)["task"]["slot"] == str(slot.uuid)
    assert Slot.objects.get().status == "leased"


def test_a_queue_says_how_far_it_grows_and_what_is_disputed(task, ada):
    shown = Caller(ada).patch(f"queues/{task.queue.uuid}/", {"overlap_max": 3})
    assert (shown["overlap_max"], shown["disputed"]) == (3, 0)


def test_an_answer_says_when_a_snapshot_took_it(task, ana):
    judgement = answer(task.queue, ana, TIED).judgement
    Judgement.objects.update(frozen_at="2026-01-01T00:00:00Z")
    assert Caller(ana).get(f"judgements/{judgement.uuid}/")["frozen_at"].startswith("2026-01-01")
