"""The server's lines in and out, in this process and through the real command."""

import io
import json
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest
import torch

from tests.trainer.preferences import lay, prompt_rows
from trainer import serve
from trainer.contract.configs import GenerateConfig
from trainer.contract.rundir import Run


class Asker:
    """Standard input and output of a server: lines after WAIT come when an answer has begun, before it goes on."""

    WAIT = object()

    def __init__(self, *lines):
        self.lines, self.said = lines, io.StringIO()
        self.begun, self.asked = threading.Event(), threading.Event()

    def __iter__(self):
        for line in self.lines:
            if line is self.WAIT:
                assert self.begun.wait(timeout=60)
            else:
                yield (line if isinstance(line, str) else json.dumps(line)) + "\n"
        self.asked.set()

    def write(self, text):
        self.said.write(text)
        self.begun.set()
        assert self.asked.wait(timeout=60)

    def flush(self):
        pass


@pytest.fixture(scope="module")
def serving(toy_base, tuned, tmp_path_factory):
    """A run directory that serves the toy and one adapter."""
    config = {"stage": "generate", "adapters": ["sft"], "decode_rows": 16}
    path = tmp_path_factory.mktemp("serving") / "run"
    return lay(path, config, base=toy_base, parents={"sft": tuned / "adapter"}, prompts=prompt_rows(1))


def served(path, *lines):
    """What the server answers to the lines, in order."""
    run, asker = Run(path), Asker(*lines)
    assert isinstance(run.config, GenerateConfig)
    serve.serve(run.config, run, asker, asker)  # type: ignore[arg-type]  # what a stream must do, it does
    return [json.loads(line) for line in asker.said.getvalue().splitlines()]


def ask(id="q", **changed):
    return {
        "id": id,
        "messages": [{"role": "user", "content": "What of the cat 0?"}],
        "adapter": "sft",
        "max_new_tokens": 12,
        "temperature": 1.0,
        "seed": 5,
        **changed,
    }


def text_of(answers):
    return "".join(line.get("text", "") for line in answers)


def test_a10_an_answer_streams_and_ends(serving):
    *pieces, end = served(serving, ask())
    assert all(line["id"] == "q" for line in pieces)
    assert len(pieces) > 1
    assert (end["done"], end["reason"], end["tokens"]) == (True, "length", 12)
    assert sum(len(line["token_ids"]) for line in pieces) == 12


def test_a10_the_same_seed_gives_the_same_answer_streamed_or_not(serving):
    streamed, whole = served(serving, ask()), served(serving, ask(stream=False))
    assert len(whole) == 2
    assert text_of(whole) == text_of(streamed)
    assert text_of(served(serving, ask(seed=6))) != text_of(streamed)


def test_a10_the_base_alone_answers_where_no_adapter_is_named(serving):
    assert text_of(served(serving, ask(adapter=None))) != text_of(served(serving, ask()))


def by_id(answers):
    ids = {line["id"]: None for line in answers}
    return {id: text_of(line for line in answers if line["id"] == id) for id in ids}


def test_a10_a_request_joins_those_that_run(serving):
    said = served(serving, ask("long", max_new_tokens=100), Asker.WAIT, ask("short", max_new_tokens=2))
    assert [line["id"] for line in said if line.get("done")] == ["short", "long"]


def test_a10_an_answer_is_the_same_among_others_as_alone(serving):
    several = served(serving, ask("a", seed=1), ask("b", seed=2), ask("c", adapter=None, temperature=0.5, top_p=0.9))
    alone = [
        text_of(served(serving, ask(seed=1))),
        text_of(served(serving, ask(seed=2))),
        text_of(served(serving, ask(adapter=None, temperature=0.5, top_p=0.9))),
    ]
    assert [by_id(several)[id] for id in "abc"] == alone


def test_a10_who_finds_no_place_waits_for_one(serving, monkeypatch):
    monkeypatch.setattr(serve, "ROWS", 1)
    said = served(serving, ask("a"), ask("b", seed=6))
    assert [line["id"] for line in said if line.get("done")] == ["a", "b"]
    assert by_id(said)["b"] == text_of(served(serving, ask(seed=6)))


def test_a10_a_waiting_request_is_cancelled(serving, monkeypatch):
    monkeypatch.setattr(serve, "ROWS", 1)
    said = served(serving, ask("a", max_new_tokens=100), Asker.WAIT, ask("b"), {"cancel": "b"})
    ends = {line["id"]: (line["reason"], line["tokens"]) for line in said if line.get("done")}
    assert ends["b"] == ("cancelled", 0)
    assert ends["a"] == ("length", 100)


def test_a10_the_others_go_on_when_one_is_cancelled(serving):
    first = ask("a", max_new_tokens=100)
    said = served(serving, first, Asker.WAIT, ask("b", max_new_tokens=60, seed=6), {"cancel": "a"})
    assert by_id(said)["b"] == text_of(served(serving, ask(max_new_tokens=60, seed=6)))


def test_a10_an_id_that_is_being_answered_is_refused(serving):
    said = served(serving, ask(max_new_tokens=100), Asker.WAIT, ask())
    assert [line["error"]["code"] for line in said if "error" in line] == ["bad_request"]
    assert said[-1]["reason"] == "length"


def test_a10_an_adapter_is_not_replaced_while_it_answers(serving, tuned):
    load = {"load": {"name": "sft", "path": str(tuned / "adapter")}}
    said = served(serving, ask(max_new_tokens=100), Asker.WAIT, load)
    assert [line["error"]["code"] for line in said if "error" in line] == ["bad_request"]
    assert said[-1]["reason"] == "length"


def test_a10_a_running_answer_is_cancelled(serving):
    *_, end = served(serving, ask(max_new_tokens=100), Asker.WAIT, {"cancel": "q"})
    assert end["reason"] == "cancelled"
    assert end["tokens"] < 100


def test_a10_quit_ends_the_running_answer_and_the_server(serving):
    *_, end = served(serving, ask(max_new_tokens=100), Asker.WAIT, {"quit": True}, ask("never"))
    assert (end["id"], end["reason"]) == ("q", "cancelled")


def test_a10_a_stop_string_ends_the_answer_and_is_not_shown(serving):
    text = text_of(served(serving, ask()))
    *pieces, end = served(serving, ask(stop=[text[3:6]]))
    assert text_of(pieces) == text[: text.find(text[3:6])]
    assert end["reason"] == "stop"


def test_a10_an_adapter_is_loaded_by_name_and_path(serving, tuned):
    load = {"load": {"name": "late", "path": str(tuned / "adapter")}}
    assert text_of(served(serving, load, ask(adapter="late"))) == text_of(served(serving, ask()))


def test_a10_the_least_recently_used_adapter_leaves(serving, tuned, monkeypatch):
    monkeypatch.setattr(serve, "RESIDENT", 2)
    loads = [{"load": {"name": name, "path": str(tuned / "adapter")}} for name in ("a", "b", "c")]
    *_, refusal = served(serving, *loads, ask(adapter="a"))
    assert refusal["error"]["code"] == "bad_adapter"


def test_a10_a_dialogue_without_room_is_refused_and_the_server_goes_on(serving):
    long = ask("long", messages=[{"role": "user", "content": "cat " * 300}])
    refusal, *rest = served(serving, long, ask())
    assert refusal["error"]["code"] == "context_too_long"
    assert rest[-1]["done"]


MALFORMED = {
    "no id": {"messages": []},
    "no messages": ask(messages=[]),
    "an unknown role": ask(messages=[{"role": "wizard", "content": "?"}]),
    "an assistant's last word": ask(messages=[{"role": "assistant", "content": "so"}]),
    "a temperature in words": ask(temperature="hot"),
    "too many tokens": ask(max_new_tokens=10**9),
    "no JSON": "{",
    "no object": "[1]",
    "a load without a path": {"load": {"name": "a"}},
    "a name that is a path": {"load": {"name": "../a", "path": "x"}},
}


@pytest.mark.parametrize("case", MALFORMED)
def test_a10_a_malformed_line_gets_a_reason_and_the_server_goes_on(serving, case):
    refusal, *rest = served(serving, MALFORMED[case], ask())
    assert refusal["error"]["code"] == "bad_request"
    assert rest[-1]["done"]


def test_a10_an_unreadable_adapter_is_refused(serving, tmp_path):
    (refusal,) = served(serving, {"load": {"name": "a", "path": str(tmp_path)}})
    assert refusal["error"]["code"] == "bad_adapter"


def test_a10_only_whole_characters_are_shown(words):
    ids = words.encode(["naïve ☂ 😀"])[0]
    said, pieces = serve._Said(words.decode, []), []
    for token in ids:
        said.hear(token)
        pieces.append(said.ready().get("text", ""))
    assert "".join(pieces) == "naïve ☂ 😀"
    assert not any("�" in piece for piece in pieces)
    assert len(ids) > len([piece for piece in pieces if piece])


def test_a10_what_might_become_a_stop_string_is_held_back(words):
    said, shown = serve._Said(words.decode, ["END"]), ""
    for token in words.encode(["an END of all"])[0]:
        said.hear(token)
        shown += said.ready().get("text", "")
        assert "E" not in shown
    assert said.stopped
    assert shown + said.rest().get("text", "") == "an "


def test_torch_keeps_no_graph_while_serving(serving):
    served(serving, ask())
    assert torch.is_grad_enabled()


# --- through the real command


class Server:
    """`python -m trainer generate --serve` as the generator runs it."""

    def __init__(self, path):
        command = [sys.executable, "-m", "trainer", "generate", "--serve", str(path)]
        self.process: Any = subprocess.Popen(  # Any: its pipes are there
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def write(self, *lines):
        self.process.stdin.write("".join(json.dumps(line) + "\n" for line in lines))
        self.process.stdin.flush()

    def read_until(self, id):
        """The lines up to and with the end of the request."""
        found = []
        for text in self.process.stdout:
            found.append(json.loads(text))
            if found[-1]["id"] == id and ("done" in found[-1] or "error" in found[-1]):
                return found
        raise AssertionError(f"the server ended after {found}")


@pytest.fixture(scope="module")
def real(serving):
    server = Server(serving)
    yield server
    server.process.kill()
    server.process.wait()


def test_a10_in_the_real_process_a_request_joins_those_that_run(real):
    real.write(ask("long", max_new_tokens=110), ask("short", max_new_tokens=3))
    assert not any(line.get("done") for line in real.read_until("short")[:-1])
    *_, end = real.read_until("long")
    assert (end["reason"], end["tokens"]) == ("length", 110)


def test_a10_in_the_real_process_a_running_answer_is_cancelled(real):
    real.write(ask("gone", max_new_tokens=110), {"cancel": "gone"})
    *_, end = real.read_until("gone")
    assert end["reason"] == "cancelled"


def test_a10_in_the_real_process_an_adapter_is_loaded(real, serving, tuned):
    real.write({"load": {"name": "late", "path": str(tuned / "adapter")}}, ask("late", adapter="late"))
    assert text_of(real.read_until("late")) == text_of(served(serving, ask()))


def test_c5_a_signal_cancels_what_the_real_process_writes_and_ends_it(real):
    real.write(*(ask(f"last {n}", max_new_tokens=110, seed=n) for n in range(16)))
    first = json.loads(real.process.stdout.readline())
    real.process.send_signal(signal.SIGTERM)
    rest, _ = real.process.communicate(timeout=60)
    lines = [first, *map(json.loads, rest.splitlines())]
    assert sum(line.get("done", False) for line in lines) == len({line["id"] for line in lines})
    assert real.process.returncode == 0


@pytest.mark.full
def test_a10_the_real_process_ends_on_quit_and_says_only_answers(serving):
    server = Server(serving)
    server.write(ask("last", max_new_tokens=110), {"quit": True})
    rest, _ = server.process.communicate(timeout=60)
    assert {json.loads(text)["id"] for text in rest.splitlines()} == {"last"}
    assert server.process.returncode == 0
