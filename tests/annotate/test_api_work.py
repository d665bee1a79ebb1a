"""The task loop at the API: claim, heartbeat, draft, submit, skip, undo."""

import pytest

from annotate.api.at_work import TaskOut
from annotate.models import Draft, Judgement, LeaseEvent, Slot
from tests.annotate.conftest import ask_to_write, build, make_prompt, rank_item
from tests.api import Caller

RANKED = {
    "groups": [["B"], ["A", "C"], ["D"]],
    "acceptable_groups": 2,
    "unplaced": [],
    "ratings": {"A": {"helpful": 6}},
}
TIMES = {"active_ms": 4_000, "hidden_ms": 0, "by": "keyboard"}


@pytest.fixture
def caller(ana):
    return Caller(ana)


@pytest.fixture
def claimed(caller, task):
    """A comparison that ana holds."""
    return caller.post(f"queues/{task.queue.uuid}/claim")["task"]


def answer(caller, task, body, *, key="key-1", expect=200):
    sent = {"token": task["token"], "body": body, "times": TIMES}
    return caller.post(f"slots/{task['slot']}/submit", sent, expect=expect, **{"Idempotency-Key": key})


def test_a_claim_shows_the_task_in_letters_only(claimed):
    assert [one["letter"] for one in claimed["answers"]] == ["A", "B", "C", "D"]
    assert {key for one in claimed["answers"] for key in one} == {"letter", "text", "blocks"}


def test_a_payload_has_exactly_the_keys_that_the_schema_names(claimed):
    assert set(claimed) == set(TaskOut().fields)


def test_a_second_claim_gives_the_same_slot(caller, claimed, task):
    again = caller.post(f"queues/{task.queue.uuid}/claim")
    assert again["task"]["slot"] == claimed["slot"]


def test_a_claim_of_nothing_names_its_cause(caller, ranking):
    assert caller.post(f"queues/{ranking.uuid}/claim") == {"task": None, "cause": "finished", "until": None}


def test_a_claim_takes_no_body(caller, task):
    assert caller.post(f"queues/{task.queue.uuid}/claim", {"user": "rex"}, expect=400)["code"] == "unknown_field"
    assert not Slot.objects.filter(status="leased").exists()


def test_a_submit_is_counted_and_carries_the_next_claim(caller, claimed):
    reply = answer(caller, claimed, RANKED)
    assert reply["outcome"] == "counted"
    assert reply["next"] == {"task": None, "cause": "finished", "until": None}


def test_the_same_submit_again_gets_the_same_reply(caller, claimed):
    first, second = answer(caller, claimed, RANKED), answer(caller, claimed, RANKED)
    assert first["judgement"] == second["judgement"]
    assert Judgement.objects.count() == 1


def test_the_same_key_with_another_body_is_refused(caller, claimed):
    answer(caller, claimed, RANKED)
    other = RANKED | {"acceptable_groups": None}
    assert answer(caller, claimed, other, expect=422)["code"] == "key_reused"


def test_a_submit_without_a_key_is_refused(caller, claimed):
    assert answer(caller, claimed, RANKED, key="", expect=400)["code"] == "no_key"
    assert not Judgement.objects.exists()


def test_a_ranking_with_a_missing_letter_is_refused_by_field(caller, claimed):
    problem = answer(caller, claimed, RANKED | {"groups": [["A"], ["B"]]}, expect=400)
    assert (problem["code"], problem["field"]) == ("wrong_letters", "groups")


@pytest.mark.parametrize("extra", ["user", "counted", "text_id"])
def test_an_unknown_name_beside_an_answer_is_refused(caller, claimed, extra):
    sent = {"token": claimed["token"], "body": RANKED, "times": TIMES, extra: 1}
    problem = caller.post(f"slots/{claimed['slot']}/submit", sent, expect=400, **{"Idempotency-Key": "k"})
    assert problem["code"] == "unknown_field"


def test_my_answer_comes_back_in_the_letters_i_saw(caller, claimed):
    reply = answer(caller, claimed, RANKED)
    body = caller.get(f"judgements/{reply['judgement']}/")["current"]["body"]
    assert body["groups"] == [["B"], ["A", "C"], ["D"]]
    assert body["ratings"]["A"] == {"helpful": 6, "truthful": None, "harmless": None}


def test_others_answers_come_under_a_pseudonym(caller, claimed, rex, project, ana):
    answer(caller, claimed, RANKED)
    (row,) = Caller(rex).get(f"judgements/?project={project.uuid}")["results"]
    assert row["by"] == ana.pseudonym(project)


def test_an_assessor_lists_own_answers_only(caller, claimed, abe, project):
    answer(caller, claimed, RANKED)
    assert Caller(abe).get(f"judgements/?project={project.uuid}")["results"] == []


def test_a_list_of_answers_costs_as_many_queries_with_30_rows_as_with_1(
    caller, writing, project, django_assert_max_num_queries
):
    def write(number):
        ask_to_write(writing, make_prompt(project, f"What is {number}?"))
        task = caller.post(f"queues/{writing.uuid}/claim")["task"]
        answer(caller, task, {"text": f"It is {number}."}, key=f"key-{number}")

    write(0)
    with django_assert_max_num_queries(50) as one:
        caller.get(f"judgements/?project={project.uuid}")
        cost = len(one)
    for number in range(1, 30):
        write(number)
    with django_assert_max_num_queries(cost):
        assert len(caller.get(f"judgements/?project={project.uuid}")["results"]) == 30


def test_a_heartbeat_tells_the_end_of_the_lease(caller, claimed):
    beat = caller.post(f"slots/{claimed['slot']}/heartbeat", {"token": claimed["token"], "active": True})
    assert beat["lease_until"] >= claimed["lease_until"]


def test_a_heartbeat_with_a_wrong_token_has_lost_the_lease(caller, claimed):
    problem = caller.post(f"slots/{claimed['slot']}/heartbeat", {"token": "x", "active": True}, expect=409)
    assert problem["code"] == "lease_lost"


def test_a_release_opens_the_slot_again(caller, claimed):
    caller.post(f"slots/{claimed['slot']}/release", {"token": claimed["token"]}, expect=204)
    assert Slot.objects.get(uuid=claimed["slot"]).status == "open"


def test_a_slot_that_another_took_shows_nothing_of_theirs(caller, claimed, ana, abe):
    Slot.objects.filter(uuid=claimed["slot"]).update(user=abe, token="theirs")
    held = Slot.objects.get(uuid=claimed["slot"])
    assert held.leased_at is not None
    LeaseEvent.objects.create(
        slot=held, user=ana, token_sha256="", started_at=held.leased_at, ended_at=held.leased_at,
        ending="taken",
    )  # fmt: skip
    assert caller.get(f"slots/{claimed['slot']}/", expect=409)["code"] == "lease_lost"


def test_a_skip_carries_the_next_task(caller, claimed, ranking):
    build(ranking, rank_item(ranking.project, ["One.", "Two."], prompt="Another?"))
    sent = {"token": claimed["token"], "reason": "unclear_prompt"}
    assert caller.post(f"slots/{claimed['slot']}/skip", sent)["next"]["task"]["slot"] != claimed["slot"]


def test_an_unknown_skip_reason_is_refused(caller, claimed):
    sent = {"token": claimed["token"], "reason": "boring"}
    assert "reason" in caller.post(f"slots/{claimed['slot']}/skip", sent, expect=400)["fields"]


def test_a_draft_comes_back_with_its_version(caller, claimed):
    caller.put(f"slots/{claimed['slot']}/draft", {"body": {"groups": [["A"]]}})
    draft = caller.get(f"slots/{claimed['slot']}/draft")
    assert (draft["body"], draft["version"]) == ({"groups": [["A"]]}, 1)


def test_a_draft_saved_elsewhere_meanwhile_is_a_conflict_that_shows_both(caller, claimed):
    caller.put(f"slots/{claimed['slot']}/draft", {"body": {"text": "first"}})
    caller.put(f"slots/{claimed['slot']}/draft", {"body": {"text": "second"}}, **{"If-Match": '"1"'})
    problem = caller.put(
        f"slots/{claimed['slot']}/draft", {"body": {"text": "third"}}, expect=412, **{"If-Match": '"1"'}
    )
    assert (problem["code"], problem["version"], problem["body"]) == ("draft_conflict", 2, {"text": "second"})


def test_a_forgotten_draft_is_gone(caller, claimed):
    caller.put(f"slots/{claimed['slot']}/draft", {"body": {}})
    caller.delete(f"slots/{claimed['slot']}/draft")
    assert not Draft.objects.exists()


def test_undo_brings_the_task_back_under_its_lease(caller, claimed):
    reply = answer(caller, claimed, RANKED)
    back = caller.post(f"judgements/{reply['judgement']}/undo")["task"]
    assert (back["slot"], back["token"]) == (claimed["slot"], claimed["token"])
    assert caller.get(f"judgements/{reply['judgement']}/")["current"] is None


def test_all_versions_of_an_answer_can_be_read(caller, claimed):
    reply = answer(caller, claimed, RANKED)
    caller.post(f"judgements/{reply['judgement']}/undo")
    kinds = [row["kind"] for row in caller.get(f"judgements/{reply['judgement']}/revisions")]
    assert kinds == ["submit", "undo"]


def test_claims_beyond_the_rate_wait(caller, task, settings):
    settings.RATE_CLAIMS = 2
    for _ in range(2):
        caller.post(f"queues/{task.queue.uuid}/claim")
    response = caller.ask("POST", f"queues/{task.queue.uuid}/claim", {})
    assert (response.status_code, response.json()["code"]) == (429, "too_many")
    assert 0 < int(response["Retry-After"]) <= 60


def test_submits_beyond_the_rate_wait(caller, claimed, settings):
    settings.RATE_SUBMITS = 1
    answer(caller, claimed, {}, expect=400)
    assert answer(caller, claimed, RANKED, expect=429)["code"] == "too_many"
    assert not Judgement.objects.exists()


def test_a_queue_changes_under_its_version_only(ada, ranking):
    caller = Caller(ada)
    path = f"queues/{ranking.uuid}/"
    caller.patch(path, {"overlap": 2}, expect=200, **{"If-Match": '"1"'})
    problem = caller.patch(path, {"overlap": 3}, expect=412, **{"If-Match": '"1"'})
    assert problem["code"] == "changed"
    assert caller.get(path)["overlap"] == 2


def test_a_queue_tells_how_many_tasks_wait(caller, task):
    row = caller.get(f"queues/?project={task.queue.project.uuid}&kind=rank")["results"][0]
    assert (row["waiting"], row["complete"]) == (1, 0)
