"""Asking a model, through Redis and a generator whose child only pretends."""

import sys
import threading

import pytest

from rlhf import generator
from rlhf.errors import LaunchError
from rlhf.playground import ALIVE, ask
from tests.rlhf.conftest import make_model


@pytest.fixture
def base(transactional_db, project, tmp_path):
    return make_model(project, tmp_path)


@pytest.fixture
def generating(base, redis_client, monkeypatch):
    """A generator that runs while the test does."""
    stop = threading.Event()
    monkeypatch.setattr(generator, "POLL_MS", 20)
    monkeypatch.setattr(generator, "command", lambda folder: [sys.executable, "-m", "tests.rlhf.pretend_server"])
    thread = threading.Thread(target=generator.serve, args=(stop.is_set,))
    thread.start()
    while not redis_client.exists(ALIVE):
        assert thread.is_alive()
    yield
    stop.set()
    thread.join()


def said(model, text: str, **kwargs) -> list[dict]:
    messages = [{"role": "user", "content": text}]
    return list(ask(model=model, messages=messages, settings={}, **{"stop": lambda: False} | kwargs))


def test_an_answer_comes_in_pieces_and_ends(base, generating):
    *pieces, end = said(base, "hello there")
    assert [piece["text"] for piece in pieces] == ["base ", "hello ", "there "]
    assert (end["done"], end["reason"], end["tokens"]) == (True, "stop", 3)


def test_an_adapter_answers_by_its_hash(base, generating, project, tmp_path):
    sft = make_model(project, tmp_path, kind="sft", base=base)
    assert said(sft, "hello")[0]["text"] == f"{sft.sha256} "


def test_another_base_takes_the_place_of_the_first(base, generating, project, tmp_path):
    other = make_model(project, tmp_path, content='{"other": 1}')
    said(base, "hello")
    assert said(other, "hello")[-1]["done"] is True


def test_whoever_leaves_ends_the_answer(base, generating):
    assert said(base, "for ever", stop=lambda: True)[-1]["reason"] == "cancelled"
    assert said(base, "hello")[-1]["reason"] == "stop"


def test_a_dead_child_is_told_and_the_next_question_starts_another(base, generating):
    assert said(base, "die")[-1]["error"]["code"] == "lost"
    assert said(base, "hello")[-1]["done"] is True


def test_without_a_generator_the_refusal_says_so(base, broker):
    with pytest.raises(LaunchError) as refusal:
        said(base, "hello")
    assert refusal.value.code == "no_generator"


def test_without_redis_the_refusal_says_so(base, broker_at, tmp_path):
    broker_at(f"redis+socket://{tmp_path}/nobody")
    with pytest.raises(LaunchError) as refusal:
        said(base, "hello")
    assert refusal.value.code == "no_broker"


def test_a_reward_model_writes_nothing(base, broker, project, tmp_path):
    with pytest.raises(LaunchError) as refusal:
        said(make_model(project, tmp_path, kind="reward", base=base), "hello")
    assert refusal.value.code == "not_answering"


def test_an_unknown_setting_is_refused(base, broker):
    with pytest.raises(LaunchError) as refusal:
        ask(model=base, messages=[], settings={"trust_remote_code": True}, stop=lambda: False)
    assert refusal.value.code == "bad_settings"
