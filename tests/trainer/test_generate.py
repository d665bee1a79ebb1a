"""Generation on a toy: what a line says, near-identical answers, stop strings, and how a killed run ends."""

import json
import os
import signal

import pytest

from tests.trainer.preferences import REWARD, lay, prompt_rows, ranking_rows
from tests.trainer.runs import at_call, before, die, failure, in_child, result, run_of
from trainer import generate, sampling, tokenizer
from trainer.__main__ import main
from trainer.contract.rundir import folder_sha256
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


def lines(path):
    return [json.loads(line) for line in (path / "generations.jsonl").read_text().splitlines()]


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


def test_a6_an_answer_ends_where_its_stop_string_does(generate_run, toy_base):
    plain = lines(run_of(generate_run()))
    letter = next(line["text"] for line in plain if len(line["text"]) > 3)[2]
    words = tokenizer.load(toy_base, template="base")
    cut = lines(run_of(generate_run("cut", stop_strings=[letter])))
    stopped = [line for line in cut if letter in words.decode(line["ids"])]
    assert stopped
    assert all(line["finished"] and letter not in words.decode(line["ids"][:-1]) for line in stopped)


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
