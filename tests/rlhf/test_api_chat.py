"""The playground's stream at the API."""

import json

import pytest
from django.core.signals import request_finished
from django.db import close_old_connections

from annotate.models import Membership
from rlhf.api import chat
from rlhf.errors import LaunchError
from tests.api import Caller
from tests.rlhf.conftest import make_model

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def model(project, tmp_path):
    return make_model(project, tmp_path)


@pytest.fixture
def line(monkeypatch):
    """The line of a process with room for one stream."""
    found = chat.Line(1)
    monkeypatch.setattr(chat, "line", lambda: found)
    return found


@pytest.fixture
def answers(monkeypatch):
    """Makes the generator say these pieces; what it was asked."""
    asked = []

    def says(*pieces):
        def ask(*, model, messages, settings, stop):
            asked.append({"model": model, "messages": messages, "settings": settings, "stop": stop})
            return iter(pieces)

        monkeypatch.setattr(chat, "ask", ask)
        return asked

    return says


def ask(user, *models, **more):
    body = {"models": [str(model.uuid) for model in models], "messages": HELLO} | more
    return Caller(user).ask("POST", "playground/chat", body)


def lines(response):
    return [json.loads(one) for one in b"".join(response.streaming_content).splitlines()]


def test_an_answer_comes_in_pieces_and_ends_with_its_blocks(rex, model, line, answers):
    answers({"text": "Hel"}, {"text": "lo"}, {"done": True, "reason": "eos", "tokens": 2, "seconds": 0.1})
    response = ask(rex, model)
    assert response["Content-Type"] == "application/x-ndjson"
    *pieces, last = lines(response)
    assert pieces == [{"side": "a", "text": "Hel"}, {"side": "a", "text": "lo"}]
    assert (last["done"], last["stop"], last["blocks"][0]["spans"][0]["text"]) == (True, "eos", "Hello")


def test_two_sides_share_one_response(rex, model, project, tmp_path, line, answers):
    asked = answers({"done": True, "reason": "eos"})
    other = make_model(project, tmp_path)
    assert [one["side"] for one in lines(ask(rex, model, other))] == ["a", "b"]
    assert [one["model"] for one in asked] == [model, other]


def test_settings_reach_the_generator(rex, model, line, answers):
    asked = answers({"done": True, "reason": "eos"})
    lines(ask(rex, model, settings={"temperature": 0.5, "max_new_tokens": 8}))
    assert asked[0]["settings"] == {"temperature": 0.5, "max_new_tokens": 8}


def test_a_setting_that_does_not_exist_is_refused(rex, model, line, answers):
    asked = answers()
    assert ask(rex, model, settings={"tools": []}).json()["code"] == "unknown_field"
    assert asked == []


def test_one_too_many_is_told_their_place(rex, ada, model, line, answers):
    answers({"done": True, "reason": "eos"})
    streaming = ask(rex, model)
    refused = ask(ada, model)
    assert (refused.status_code, refused.json()["place"]) == (503, 1)
    assert int(refused["Retry-After"]) > 0
    lines(streaming)
    assert ask(ada, model).status_code == 200


def test_who_waited_longer_goes_first():
    line = chat.Line(1)
    assert [line.enter(person) for person in (1, 2, 3)] == [0, 1, 2]
    line.leave()
    assert [line.enter(person) for person in (3, 2, 3)] == [1, 0, 1]


def test_who_does_not_ask_again_leaves_the_line(monkeypatch):
    at = [0.0]
    monkeypatch.setattr(chat, "monotonic", lambda: at[0])
    line = chat.Line(1)
    assert [line.enter(person) for person in (1, 2)] == [0, 1]
    line.leave()
    at[0] = chat.LEAVES_S + 1
    assert line.enter(3) == 0


def test_a_refusal_of_the_generator_frees_the_place(rex, model, line, monkeypatch):
    def ask_nobody(**asked):
        raise LaunchError("no_generator", "The generator is not running.", status=503)

    monkeypatch.setattr(chat, "ask", ask_nobody)
    refused = ask(rex, model)
    assert (refused.status_code, refused.json()["code"]) == (503, "no_generator")
    assert line.enter(99) == 0


def test_a_stream_that_is_closed_early_frees_its_place_and_stops_the_answer(rex, model, line, monkeypatch):
    ended = []

    def endless():
        try:
            while True:
                yield {"text": "and "}
        finally:
            ended.append(True)

    monkeypatch.setattr(chat, "ask", lambda **asked: endless())
    response = ask(rex, model)
    next(response.streaming_content)
    request_finished.disconnect(close_old_connections)  # as Django's own client does: the test goes on with them
    response.close()
    request_finished.connect(close_old_connections)
    assert ended == [True]
    assert line.enter(99) == 0


def test_CVE_2026_44553_a_stream_ends_when_its_reader_loses_the_role(rex, model, line, answers, monkeypatch):
    at = [0.0]
    monkeypatch.setattr(chat, "monotonic", lambda: at[0])
    asked = answers({"done": True, "reason": "eos"})
    ask(rex, model)
    Membership.objects.filter(user=rex).delete()
    stop = asked[0]["stop"]
    before, at[0] = stop(), chat.ROLE_READ_S + 1
    assert (before, stop()) == (False, True)


def test_an_assessor_asks_no_model(ana, model, line, answers):
    asked = answers()
    assert ask(ana, model).json()["code"] == "not_allowed"
    assert asked == []
