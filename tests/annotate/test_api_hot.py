"""The two hot operations answer an ordinary request and any other alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotate import queue as claims
from annotate import rows
from annotate.api.inputs import SubmitIn, ordinary_submit
from annotate.models import Judgement, Membership, Slot
from tests.annotate.conftest import build, rank_item
from tests.api import Caller, program

RANKED = {"groups": [["B"], ["A", "C"], ["D"]], "acceptable_groups": 2}
TIMES = {"active_ms": 4_000, "hidden_ms": 0, "by": "keyboard"}
OFTEN = st.sampled_from(
    ["token", "body", "times", "active_ms", "hidden_ms", "by", "api", "keyboard", "x", "", " x", "5"]
)
LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 10**12), st.floats(allow_nan=False), OFTEN, st.text(max_size=3)
)
TIMES_SENT = st.fixed_dictionaries({"active_ms": LEAF, "hidden_ms": LEAF, "by": LEAF}, optional={"more": LEAF})
SENT = st.one_of(
    LEAF,
    st.dictionaries(OFTEN, LEAF, max_size=3),
    st.fixed_dictionaries({"token": LEAF, "body": LEAF, "times": st.one_of(TIMES_SENT, LEAF)}, optional={"more": LEAF}),
)


@given(SENT)
def test_a_body_that_passes_the_serializer_by_is_what_it_would_have_given(data):
    found = ordinary_submit(data)
    if found is not None:
        serializer = SubmitIn(data=data)
        assert serializer.is_valid()
        assert serializer.validated_data == found


def claim(caller: Caller, task, **headers: str):
    return caller.ask("POST", f"queues/{task.queue.uuid}/claim", {}, **headers)


def submit(caller: Caller, held, *, path: str = "", key: str = "key-1", body: object = RANKED):
    sent = {"token": held["token"], "body": body, "times": TIMES}
    address = f"slots/{path or held['slot']}/submit"
    return caller.ask("POST", address, sent, **{"Idempotency-Key": key})


def as_every_operation(caller: Caller) -> Caller:
    """The same caller, whose requests DRF's machinery answers."""
    caller.headers["Accept"] = "application/json; q=0.9"
    return caller


@pytest.fixture
def held(ana, task):
    return claim(Caller(ana), task).json()["task"]


def alike(one, other) -> None:
    assert one.status_code == other.status_code
    assert one.json() == other.json()
    assert dict(one.items()) == dict(other.items())


def test_a_claim_answers_alike_on_both_ways(ana, task):
    first = claim(Caller(ana), task)
    again = claim(as_every_operation(Caller(ana)), task)
    assert first.json()["task"]["slot"] == again.json()["task"]["slot"]
    assert dict(first.items()).keys() == dict(again.items()).keys()
    assert first["Content-Type"] == again["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("body", "key"),
    [({"groups": []}, "key-1"), (RANKED, ""), ({"groups": [["A"]], "unknown": 1}, "k")],
    ids=["letters", "no key", "unknown"],
)
def test_a_refused_answer_reads_alike_on_both_ways(ana, held, body, key):
    plain = submit(Caller(ana), held, body=body, key=key)
    other = submit(as_every_operation(Caller(ana)), held, body=body, key=key)
    alike(plain, other)
    assert plain.status_code == 400
    assert not Judgement.objects.exists()


def test_who_has_no_role_is_refused_alike_on_both_ways(ada, ana, task):
    alike(claim(Caller(ada), task), claim(as_every_operation(Caller(ada)), task))
    assert claim(Caller(ada), task).status_code == 403


def test_a_stranger_finds_nothing_on_both_ways(eve, other_project, held):
    plain = submit(Caller(eve), held)
    alike(plain, submit(as_every_operation(Caller(eve)), held))
    assert plain.status_code == 404


def test_a_member_who_left_cannot_answer_any_more(ana, held):
    Membership.objects.filter(user=ana).delete()
    assert submit(Caller(ana), held).status_code == 404
    assert not Judgement.objects.exists()


def test_a_token_without_the_scope_is_refused(ana, task):
    response = claim(program(ana, "read"), task)
    assert (response.status_code, response.json()["code"]) == (403, "scope_missing")


def test_an_unknown_token_is_refused(task):
    response = claim(Caller(key="ts_unknown"), task)
    assert (response.status_code, response.json()["code"]) == (401, "bad_token")


def test_a_signed_in_person_needs_a_csrf_token(ana, task):
    assert claim(Caller(ana, csrf=True), task).status_code == 403
    assert not Slot.objects.filter(status="leased").exists()


def test_a_signed_in_person_with_a_csrf_token_passes(ana, task):
    caller = Caller(ana, csrf=True)
    caller.client.get("/")
    token = caller.client.cookies["csrf"].value
    assert claim(caller, task, **{"X-CSRFToken": token}).status_code == 200


def test_a_name_that_stands_twice_is_refused(ana, task):
    response = Caller(ana).ask("POST", f"queues/{task.queue.uuid}/claim", b'{"a": 1, "a": 1}')
    assert (response.status_code, response.json()["code"]) == (400, "bad_json")


def test_a_query_is_refused(ana, task):
    response = Caller(ana).ask("POST", f"queues/{task.queue.uuid}/claim?force=1", {})
    assert (response.status_code, response.json()["code"]) == (400, "unknown_field")


def test_an_answer_and_the_next_claim_cost_eighteen_statements(ana, ranking, held, django_assert_max_num_queries):
    build(ranking, rank_item(ranking.project, ["One.", "Two."], prompt="Another?"))
    claims.admit(ranking)
    caller = program(ana)
    caller.get("me/")  # notes the use of the token, once a minute
    with django_assert_max_num_queries(18):
        assert submit(caller, held).json()["next"]["task"]["why"] == "next in order"


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_on_postgresql_an_answer_and_the_next_claim_cost_eight_statements(
    database, ana, ranking, held, monkeypatch, django_assert_num_queries
):
    build(ranking, rank_item(ranking.project, ["One.", "Two."], prompt="Another?"))
    claims.admit(ranking)
    caller, asked, execute = program(ana), [], rows._executed
    caller.get("me/")  # notes the use of the token, once a minute

    def noted(here, sql, values):
        asked.append(sql)
        return execute(here, sql, values)

    monkeypatch.setattr(rows, "_executed", noted)
    with django_assert_num_queries(2):  # the ORM begins and commits
        assert submit(caller, held).json()["next"]["task"]["why"] == "next in order"
    assert len(asked) == 8
