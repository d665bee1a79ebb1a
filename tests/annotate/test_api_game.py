"""The game at the API: what a browser gets to play with, and what it sends back."""

from __future__ import annotations

import gzip

import pytest

from annotate.actions.play import record_consent
from annotate.models import GameDoubt, GameRound, GameStart
from annotate.tinynet import start as starts
from tests.annotate.test_game import played
from tests.api import ROOT, Caller

pytestmark = pytest.mark.django_db


@pytest.fixture
def willing(project, ana):
    record_consent(project=project, by=ana, scopes=["annotation"])
    return Caller(ana)


def test_a_paragraph_comes_with_its_network_and_leaves_no_row(project, ana):
    dealt = Caller(ana).get(f"projects/{project.uuid}/game/paragraph?mode=next&seed=5")
    assert (dealt["round"], dealt["mode"], dealt["seed"], len(dealt["items"])) == (None, "next", 5, 8)
    assert not GameRound.objects.exists()


def test_the_same_seed_deals_the_same(project, ana):
    address = f"projects/{project.uuid}/game/paragraph?seed=5"
    assert Caller(ana).get(address) == Caller(ana).get(address)


def test_the_network_is_the_file_that_its_address_names(project, ana):
    caller = Caller(ana)
    dealt = caller.get(f"projects/{project.uuid}/game/paragraph")
    answer = caller.client.get(dealt["start"]["lmt"])
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "immutable" in answer.headers["Cache-Control"]
    assert starts.version(gzip.decompress(answer.content)) == dealt["start"]["version"]


def test_a_newborn_begins_with_bold_steps(project, ana):
    dealt = Caller(ana).get(f"projects/{project.uuid}/game/paragraph?start=newborn")
    assert (dealt["start"]["kind"], dealt["start"]["newborn"], dealt["start"]["eta"]) == ("newborn", 1, 0.1)


@pytest.mark.parametrize("query", ["mode=both", "start=old", "seed=-1", "colour=red"])
def test_what_is_not_known_is_refused_by_name(project, ana, query):
    problem = Caller(ana).get(f"projects/{project.uuid}/game/paragraph?{query}", expect=400)
    assert query.split("=")[0] in problem["fields"]


def test_a_round_needs_consent(project, ana):
    problem = Caller(ana).post(f"projects/{project.uuid}/game/rounds", {}, expect=409)
    assert problem["code"] == "no_consent"


def test_a_round_goes_from_its_first_row_to_its_replay(project, willing):
    dealt = willing.post(f"projects/{project.uuid}/game/rounds", {"mode": "correction"})
    rows, digest = played(GameRound.objects.get(uuid=dealt["round"]), 8)
    assert willing.post(dealt["attempts"].removeprefix(ROOT), {"rows": rows}) == {"stored": 8}
    done = willing.post(dealt["finish"].removeprefix(ROOT), {"digest": digest})
    assert done["replay"] == "same"
    assert done["largest"] < 1e-9


def test_a_fix_can_be_suggested_of_what_was_answered(project, willing):
    dealt = willing.post(f"projects/{project.uuid}/game/rounds", {})
    rows, _ = played(GameRound.objects.get(uuid=dealt["round"]), 2)
    willing.post(dealt["attempts"].removeprefix(ROOT), {"rows": rows})
    address = dealt["doubts"].removeprefix(ROOT)
    assert willing.post(address, {"item": 1, "note": " No verb. "}, expect=201) == {"item": 1, "note": "No verb."}
    assert willing.post(address, {"item": 2}, expect=422)["code"] == "bad_row"
    willing.delete(f"{address}/1")
    assert not GameDoubt.objects.standing().exists()


def test_a_round_of_another_person_is_not_found(project, willing, rex):
    dealt = willing.post(f"projects/{project.uuid}/game/rounds", {})
    Caller(rex).post(dealt["attempts"].removeprefix(ROOT), {"rows": []}, expect=404)


def test_ones_record_is_counted_and_can_be_erased(project, willing):
    dealt = willing.post(f"projects/{project.uuid}/game/rounds", {})
    rows, _ = played(GameRound.objects.get(uuid=dealt["round"]), 2)
    willing.post(dealt["attempts"].removeprefix(ROOT), {"rows": rows})
    address = f"projects/{project.uuid}/game/mine"
    assert willing.get(address) == {"rounds": 1, "votes": 0, "answers": 2, "right": 2}
    assert willing.ask("DELETE", address).status_code == 204
    assert willing.get(address) == {"rounds": 0, "votes": 0, "answers": 0, "right": 0}


def test_the_table_of_the_start_is_open_to_members(project, ana):
    found = Caller(ana).get(f"projects/{project.uuid}/game/table")
    assert found["start"] == GameStart.objects.get().version
    assert found["held_out"]["modes"]["missing"]["n"] > 100


def test_consent_is_a_row_for_each_time_it_was_given(project, ana):
    caller = Caller(ana)
    for scopes in (["annotation", "training"], []):
        caller.post("consents/", {"project": str(project.uuid), "scopes": scopes}, expect=201)
    rows = caller.get(f"consents/?project={project.uuid}")
    assert [row["scopes"] for row in rows] == [[], ["annotation", "training"]]
