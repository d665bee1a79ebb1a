"""Generation on a toy: what a line says, near-identical answers, and the server's lines in and out."""

import io
import json
import os
import signal
import threading

import pytest
import torch

from tests.trainer.preferences import REWARD, lay, prompt_rows, ranking_rows
from tests.trainer.runs import at_call, before, die, failure, in_child
from trainer import generate, sampling, tokenizer
from trainer.__main__ import main
from trainer.contract.configs import GenerateConfig
from trainer.contract.rundir import Run, folder_sha256
from trainer.contract.seeds import seed_for
from trainer.generate import _Answer

GENERATE = {"stage": "generate", "adapters": ["sft"], "samples_per_prompt": 2, "max_new_tokens": 8, "decode_rows": 16}


@pytest.fixture(scope="module")
def lay_generate(toy_base, tuned):
    """Lays out a small generation run; keywords change its config, rows= its prompts, more= its adapters."""

    def lay_out_generate(path, *, rows=None, more=None, **changed):
        parents = {"sft": tuned / "adapter", **(more or {})}
        return lay(path, {**GENERATE, **changed}, base=toy_base, parents=parents, prompts=rows or prompt_rows(10))

    return lay_out_generate


@pytest.fixture
def generate_run(lay_generate, tmp_path):
    def lay_named(name="run", **changed):
        return lay_generate(tmp_path / name, **changed)

    return lay_named


@pytest.fixture(scope="module")
def generated(lay_generate, tmp_path_factory):
    """A finished run: ten prompts, answers of the adapter and of the base, two temperatures."""
    path = tmp_path_factory.mktemp("generated") / "run"
    return run_of(lay_generate(path, adapters=["sft", ""], temperatures=[1.0, 0.5], near_identical=1.0))


def run_of(path):
    assert main(["generate", str(path)]) == 0
    return path


def lines(path):
    return [json.loads(line) for line in (path / "generations.jsonl").read_text().splitlines()]


def result(path):
    return json.loads((path / "result.json").read_text())


# --- the stage


def test_a9_every_prompt_of_both_splits_gets_its_answers_from_each_adapter(generated):
    found = {(line["prompt_id"], line["adapter"]) for line in lines(generated)}
    assert found == {(f"p{n}", adapter) for n in range(10) for adapter in ("sft", "")}
    assert len(lines(generated)) == 40


def test_a9_a_prompts_sample_indices_are_its_own(generated):
    indices = [line["sample_index"] for line in lines(generated) if line["prompt_id"] == "p3"]
    assert len(set(indices)) == 4


def test_a9_temperatures_go_around(generated):
    assert [line["settings"]["temperature"] for line in lines(generated)[:4]] == [1.0, 0.5, 1.0, 0.5]


def test_a9_a_line_names_what_it_comes_from(generated, tuned, toy_base):
    first, last = lines(generated)[0], lines(generated)[-1]
    assert first["adapter_sha256"] == folder_sha256(tuned / "adapter")
    assert last["adapter_sha256"] == ""
    assert first["base_sha256"] == folder_sha256(toy_base)
    assert first["seed"] == seed_for(7, "sample", first["prompt_id"], first["sample_index"], 0)
    assert first["rewards"] is None


def test_g13_the_text_is_what_the_ids_decode_to(generated, toy_base):
    words = tokenizer.load(toy_base, template="base")
    assert all(words.decode(line["ids"]) == line["text"] for line in lines(generated))


def test_a9_finished_answers_end_with_the_end_token(generated):
    assert all((line["ids"][-1] == 2) == line["finished"] for line in lines(generated))


def test_equal_runs_write_equal_files_at_any_number_of_rows(generate_run, generated):
    again = run_of(generate_run(adapters=["sft", ""], temperatures=[1.0, 0.5], near_identical=1.0, decode_rows=3))
    mine, theirs = lines(again), lines(generated)
    assert [line["ids"] for line in mine] == [line["ids"] for line in theirs]


def test_a_killed_run_that_is_started_again_writes_the_same_file(generate_run, generated):
    path = generate_run(adapters=["sft", ""], temperatures=[1.0, 0.5], near_identical=1.0)
    code = in_child(["generate", str(path)], sabotage=lambda: before(sampling, "draw", die(9)))
    assert code == -signal.SIGKILL
    assert in_child(["generate", str(path)]) == 0
    assert (path / "generations.jsonl").read_bytes() == (generated / "generations.jsonl").read_bytes()


def test_c5_a_stop_leaves_no_result(generate_run):
    path = generate_run(decode_rows=4)
    ask = at_call(5, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert in_child(["generate", str(path)], sabotage=lambda: before(sampling, "draw", ask)) == 7
    assert not (path / "result.json").exists()
    assert not (path / "generations.jsonl").exists()


def test_a9_rewards_are_normalised_scores_of_the_reward_adapter(generate_run, toy_base, tuned, tmp_path):
    config = {**REWARD, "parent_adapter": "sft"}
    reward = lay(
        tmp_path / "reward", config, base=toy_base, parents={"sft": tuned / "adapter"}, ranking=ranking_rows(20)
    )
    assert main(["reward", str(reward)]) == 0
    path = run_of(generate_run(more={"reward": reward / "adapter"}, reward_adapter="reward"))
    assert all(len(line["rewards"]) == 5 for line in lines(path))  # R12: one a head
    assert len({line["rewards"][0] for line in lines(path)}) > 1


def test_a6_a_stop_string_is_cut_from_the_text_and_not_from_the_ids(generate_run, toy_base):
    plain = lines(run_of(generate_run()))
    letter = next(line["text"] for line in plain if len(line["text"]) > 3)[2]
    cut = lines(run_of(generate_run("cut", stop_strings=[letter], near_identical=1.0)))
    assert not any(letter in line["text"] for line in cut)
    words = tokenizer.load(toy_base, template="base")
    assert any(letter in words.decode(line["ids"]) for line in cut)


def test_a9_what_stays_alike_after_three_draws_is_kept_and_marked(generate_run):
    path = run_of(generate_run(temperatures=[0.0]))  # greedy: always the same
    assert [line.get("near_identical", False) for line in lines(path)] == [False, True] * 10
    assert [line["sample_index"] for line in lines(path)[:2]] == [0, 4]  # 1, then 2, 3 and 4
    assert result(path)["final"]["redrawn"] == 30


def answers_of(*texts, prompt=0):
    return [_Answer(prompt=prompt, adapter="", temperature=1.0, sample_index=n, text=t) for n, t in enumerate(texts)]


def test_a9_likeness_is_that_of_three_word_runs_without_case_and_punctuation():
    # abc bcd cde · abc bcd cdf: 2 of 4 runs
    a, b = generate.three_grams("A b, c d e."), generate.three_grams("a b c D f")
    assert generate.jaccard(a, b) == 0.5


@pytest.mark.parametrize(("threshold", "found"), [(0.5, ["a b c D f"]), (0.51, [])])
def test_a9_the_later_of_two_alike_is_found_from_the_threshold_on(threshold, found):
    assert [one.text for one in generate.too_alike_of(answers_of("A b, c d e.", "a b c D f"), threshold)] == found


def test_a9_answers_of_other_prompts_may_be_the_same():
    assert generate.too_alike_of(answers_of("same words here") + answers_of("same words here", prompt=1), 0.9) == []


def test_a_prompt_without_room_for_an_answer_is_dropped_and_counted(generate_run):
    rows = [*prompt_rows(3), {**prompt_rows(1)[0], "id": "long"}]
    rows[-1]["messages"] = [{"role": "user", "content": "cat " * 200}]
    path = run_of(generate_run(rows=rows))
    assert json.loads((path / "data_report.json").read_text())["dropped"]["overlong"]["ids"] == ["long"]


def test_an_unknown_adapter_is_refused(generate_run):
    path = generate_run(adapters=["absent"])
    assert main(["generate", str(path)]) == 2
    assert failure(path)["code"] == "bad_config"


# --- the server


class Asker:
    """Standard input and output of a server: a line may wait until an answer has begun."""

    WAIT = object()

    def __init__(self, *lines):
        self.lines, self.said, self.begun = lines, io.StringIO(), threading.Event()

    def __iter__(self):
        for line in self.lines:
            if line is self.WAIT:
                assert self.begun.wait(timeout=30)
            else:
                yield (line if isinstance(line, str) else json.dumps(line)) + "\n"

    def write(self, text):
        self.said.write(text)
        self.begun.set()

    def flush(self):
        pass


@pytest.fixture(scope="module")
def serving(lay_generate, tmp_path_factory):
    return lay_generate(tmp_path_factory.mktemp("serving") / "run")


def served(path, *lines):
    """What the server answers to the lines, in order."""
    run, asker = Run(path), Asker(*lines)
    assert isinstance(run.config, GenerateConfig)
    generate.serve(run.config, run, asker, asker)  # type: ignore[arg-type]  # what a stream must do, it does
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


def test_a10_requests_are_answered_in_turn(serving):
    ends = [line["id"] for line in served(serving, ask("a"), ask("b")) if line.get("done")]
    assert ends == ["a", "b"]


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
    monkeypatch.setattr(generate, "RESIDENT", 2)
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
    said, pieces = generate._Said(words.decode, []), []
    for token in ids:
        said.hear(token)
        pieces.append(said.ready().get("text", ""))
    assert "".join(pieces) == "naïve ☂ 😀"
    assert not any("�" in piece for piece in pieces)
    assert len(ids) > len([piece for piece in pieces if piece])


def test_a10_what_might_become_a_stop_string_is_held_back(words):
    said, shown = generate._Said(words.decode, ["END"]), ""
    for token in words.encode(["an END of all"])[0]:
        said.hear(token)
        shown += said.ready().get("text", "")
        assert "E" not in shown
    assert said.stopped
    assert shown + said.rest().get("text", "") == "an "


def test_torch_keeps_no_graph_while_serving(serving):
    served(serving, ask())
    assert torch.is_grad_enabled()
