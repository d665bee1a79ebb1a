"""Evaluation on a toy: models in their order, the next token, rewards and rankings, and what leaves others standing."""

import json
import math
import os
import shutil
import signal
from itertools import pairwise

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.trainer.looks import naive_logprob, report
from tests.trainer.preferences import REWARD, lay, ranking_rows
from tests.trainer.runs import at_call, before, failure, in_child, result, run_of
from trainer import adapters, base, cloze, measure, sampling, tokenizer
from trainer.__main__ import main
from trainer.contract.rows import Message
from trainer.contract.rundir import canonical_lines, folder_sha256
from trainer.data import Ranked, Ranking

near = 1e-4


@pytest.fixture(scope="module")
def states(pretrained):
    """The milestones of a pretraining run, by step; the last is its base."""
    return {int(path.name[5:]): path for path in sorted((pretrained / "milestones").iterdir())}


@pytest.fixture(scope="module")
def rewarded(tmp_path_factory, toy_base, tuned):
    """A reward adapter on the toy."""
    config, parents = {**REWARD, "parent_adapter": "sft", "max_steps": 12}, {"sft": tuned / "adapter"}
    folder = tmp_path_factory.mktemp("reward") / "run"
    path = lay(folder, config, base=toy_base, parents=parents, ranking=ranking_rows())
    assert main(["reward", str(path)]) == 0
    return path


# --- the models and their order


def test_states_of_the_base_come_by_step_and_the_base_last(evaluate_run, pretrained, states):
    some = {f"base.step-{step:08d}": states[step] for step in sorted(states)[:3]}
    path = run_of(evaluate_run(of=pretrained / "model", more=some, checkpoints=sorted(some, reverse=True)))
    models = report(path)["cloze"]["models"]
    assert [(own["name"], own["step"]) for own in models] == [
        *((name, step) for name, step in zip(some, sorted(states), strict=False)),
        ("base", None),
    ]
    assert [own["sha256"] for own in models[:-1]] == [folder_sha256(folder) for folder in some.values()]
    found = canonical_lines(path / "metrics.jsonl")
    assert [line["step"] for line in found] == [*sorted(states)[:3], sorted(states)[2] + 1]
    assert [line["progress"] for line in found] == [0.25, 0.5, 0.75, 1]
    assert all(line["values"]["cloze/missing_accuracy"] is not None for line in found)


def test_a_state_that_is_the_base_tells_its_step_and_is_not_asked_twice(evaluate_run, pretrained, states):
    some = {f"base.step-{step:08d}": states[step] for step in (1, max(states))}
    path = run_of(evaluate_run(of=pretrained / "model", more=some, checkpoints=list(some)))
    assert [(own["name"], own["step"]) for own in report(path)["cloze"]["models"]] == [
        ("base.step-00000001", 1),
        ("base", max(states)),
    ]


def test_each_state_answers_for_itself(evaluate_run, pretrained, states):
    first = {"base.step-00000001": states[1]}
    path = run_of(evaluate_run(of=pretrained / "model", more=first, checkpoints=list(first), prompts=["the cat"]))
    alone = run_of(evaluate_run("alone", of=states[1], prompts=["the cat"]))
    mine, base_itself = report(path)["tokens"]["prompts"][0]["models"]
    (own,) = report(alone)["tokens"]["prompts"][0]["models"]
    assert mine["next"] == own["next"]
    assert base_itself["next"] != own["next"]


def test_adapters_and_their_states_are_asked_on_the_base_one_after_the_other(evaluate_run, tuned):
    more = {name: tuned / "adapter" for name in ("sft", "sft.step-00000002", "policy")}
    path = run_of(
        evaluate_run(more=more, adapters=["", "sft", "policy"], checkpoints=["sft.step-00000002"], prompts=["cat"])
    )
    models = report(path)["cloze"]["models"]
    assert [(own["name"], own["step"]) for own in models] == [("base", None), ("sft", 2), ("policy", None)]
    assert models[1]["missing"] == models[2]["missing"]
    assert models[1]["sha256"] == folder_sha256(tuned / "adapter")
    values = [line["values"] for line in canonical_lines(path / "metrics.jsonl")]
    assert "cloze/missing_accuracy" in values[0]
    assert [set(own) for own in values[1:]] == [{f"{name}/{key}" for key in values[0]} for name in ("sft", "policy")]


# --- E5: tokens


PROMPTS = ["the cat saw", "this old house"]


@pytest.fixture(scope="module")
def told(tmp_path_factory, toy_base, tuned):
    """A finished look at what follows two texts, by the base and by an adapter."""
    config = {"stage": "evaluate", "adapters": ["", "sft"], "prompts": PROMPTS}
    parents = {"sft": tuned / "adapter"}
    return run_of(lay(tmp_path_factory.mktemp("told") / "run", config, base=toy_base, parents=parents))


def test_e5_the_likeliest_tokens_and_the_rest_sum_to_one(told):
    columns = [own for prompt in report(told)["tokens"]["prompts"] for own in prompt["models"]]
    assert len(columns) == 4
    for column in columns:
        assert sum(token["p"] for token in column["next"]) + column["other"] == pytest.approx(1, abs=1e-6)
        assert len(column["next"]) == 20
        assert all(a["p"] >= b["p"] for a, b in pairwise(column["next"]))
        assert column["error"] is None
        assert "answers" not in column


def test_e5_probabilities_and_entropy_are_those_of_plain_transformers(told, toy_base):
    words = AutoTokenizer.from_pretrained(toy_base)
    model = AutoModelForCausalLM.from_pretrained(toy_base, dtype=torch.float64)
    for prompt in report(told)["tokens"]["prompts"]:
        ids = [1, *words.encode(prompt["prompt"], add_special_tokens=False)]
        with torch.no_grad():
            row = model(torch.tensor([ids])).logits[0, -1].tolist()
        total = sum(math.exp(z) for z in row)
        p = [math.exp(z) / total for z in row]
        column = prompt["models"][0]
        assert column["entropy"] == pytest.approx(-sum(q * math.log(q) for q in p), abs=near)
        assert [token["p"] for token in column["next"]] == pytest.approx(sorted(p, reverse=True)[:20], abs=1e-6)
        assert [token["text"] for token in column["next"]] == [words.decode([one["id"]]) for one in column["next"]]


def test_e5_an_adapter_says_other_than_its_base(told):
    for prompt in report(told)["tokens"]["prompts"]:
        of_base, of_adapter = prompt["models"]
        assert of_base["next"] != of_adapter["next"]


ANSWERS = ["the dog ran home.", "rain fell"]


@pytest.mark.parametrize("as_question", [True, False])
def test_e5_an_answers_tokens_sum_to_the_trainers_own_score(evaluate_run, toy_base, as_question):
    path = run_of(evaluate_run(rows=[], prompts=["what of the cat "], answers=ANSWERS, as_question=as_question))
    (column,) = report(path)["tokens"]["prompts"][0]["models"]
    words = tokenizer.load(toy_base, template="base")
    model = base.load(toy_base, dtype=torch.float32, device=torch.device("cpu"))
    for text, found in zip(ANSWERS, column["answers"], strict=True):
        if as_question:
            asked = Message(role="user", content="what of the cat ")
            start = words.render([asked], open=True).ids
            whole = words.render([asked, Message(role="assistant", content=text)], open=False).ids
        else:
            start = [1, *words.encode(["what of the cat"])[0]]  # the space is of the answer's first token
            whole = [1, *words.encode(["what of the cat " + text])[0]]
        own = torch.tensor(whole[len(start) :])
        logp, _ = sampling.answer_logprobs(model, [torch.tensor(start)], [own], temperature=1.0, chunk=64)
        assert [token["id"] for token in found["tokens"]] == own.tolist()
        assert found["sum"] == pytest.approx(float(logp.sum()), abs=near)
        assert found["sum"] == pytest.approx(naive_logprob(toy_base, whole, len(start)), abs=near)
        assert found["mean"] == pytest.approx(found["sum"] / len(own))


def planted(folder, to, change):
    """A base whose weights are changed by a function."""
    shutil.copytree(folder, to)
    weights = load_file(to / "model.safetensors")
    change(weights)
    save_file(weights, to / "model.safetensors", metadata={"format": "pt"})
    return to


def test_one_model_that_fails_leaves_the_others(evaluate_run, toy_base, tmp_path):
    bare = planted(toy_base, tmp_path / "bare", lambda weights: None)
    for name in ("chat_template.jinja", "tokenizer_config.json"):
        path = bare / name
        if path.suffix == ".json":
            facts = json.loads(path.read_text())
            path.write_text(json.dumps({key: value for key, value in facts.items() if key != "chat_template"}))
        else:
            path.unlink(missing_ok=True)
    broken = planted(toy_base, tmp_path / "broken", lambda weights: weights["model.norm.weight"].fill_(math.nan))
    more = {"base.step-00000001": bare, "base.step-00000002": broken}
    path = run_of(evaluate_run(more=more, checkpoints=list(more), prompts=["who?"], as_question=True))
    found = report(path)["tokens"]["prompts"][0]["models"]
    assert [own["error"] and own["error"]["code"] for own in found] == ["no_template", "not_finite", None]
    assert [len(own["next"]) for own in found] == [0, 0, 20]
    assert [own["name"] for own in report(path)["cloze"]["models"]] == ["base.step-00000001", "base"]


def test_a_run_whose_every_model_fails_has_no_result(evaluate_run):
    path = evaluate_run(rows=[], prompts=["cat " * 200])
    assert main(["evaluate", str(path)]) == 2
    assert failure(path)["code"] == "context_too_long"
    assert not (path / "result.json").exists()


# --- rewards and rankings


def test_e5_r12_rewards_and_their_spread_are_those_that_were_planted(evaluate_run, toy_base, rewarded, tmp_path):
    answers, planted = ["so it was.", "the cat saw a dog.", "rain"], [[3.0, 1.0, 2.0], [2.0, 1.0, 6.0]]
    adapter = shutil.copytree(rewarded / "adapter", tmp_path / "adapter")
    states = last_states(toy_base, adapter, "Whose?", answers)  # [3, D]
    heads = torch.linalg.lstsq(states, torch.tensor(planted).T).solution.T.contiguous()
    weights = load_file(adapter / "adapter_model.safetensors")
    weights["base_model.model.score.weight"] = heads[:1].clone()
    save_file({name: own.contiguous() for name, own in weights.items()}, adapter / "adapter_model.safetensors")
    save_file({"heads": heads}, adapter / "reward_head.safetensors")
    facts = json.loads((adapter / "manifest.json").read_text())
    facts |= {"heads": 2, "gain": 2.0, "bias": -1.0, "gains": [2.0, 1.0], "biases": [-1.0, 0.0]}
    (adapter / "manifest.json").write_text(json.dumps(facts))
    asked = {"prompts": ["Whose?"], "answers": answers}
    path = run_of(evaluate_run(rows=[], more={"reward": adapter}, reward_adapter="reward", **asked))
    (found,) = report(path)["tokens"]["rewards"]
    assert (found["name"], found["sha256"], found["error"]) == ("reward", folder_sha256(adapter), None)
    assert [own["reward"] for own in found["answers"]] == pytest.approx([5, 1, 3], abs=1e-3)  # 2·s − 1
    # 5 and 2 are 3 apart: their deviation is 3/√2; 1 and 1 agree; so do not 3 and 6
    assert [own["spread"] for own in found["answers"]] == pytest.approx([2.12132, 0, 2.12132], abs=1e-3)


def last_states(folder, adapter, prompt, answers):
    """The states [K, D] on which a score is read: of the end token of each answer, with the adapter in use."""
    words = tokenizer.load(folder, template="base")
    model = base.load(folder, dtype=torch.float32, device=torch.device("cpu"))
    adapters.load_adapter(model, adapter, "r")
    asked = Message(role="user", content=prompt)
    rows = [words.render([asked, Message(role="assistant", content=text)], open=False).ids for text in answers]
    with torch.no_grad(), adapters.using(model, "r"):
        found = [model.get_decoder()(torch.tensor([row])).last_hidden_state[0, -1] for row in rows]
    return torch.stack(found)


def test_a_reward_adapter_that_fails_leaves_the_models(evaluate_run, tuned):
    asked = {"prompts": ["Who?"], "answers": ANSWERS, "reward_adapter": "reward"}
    path = run_of(evaluate_run(rows=[], more={"reward": tuned / "adapter"}, **asked))  # it has no head
    (found,) = report(path)["tokens"]["rewards"]
    assert (found["error"]["code"], found["answers"]) == ("bad_adapter", [])
    assert report(path)["tokens"]["prompts"][0]["models"][0]["error"] is None


def test_e3_rankings_are_reported_as_the_reward_stage_reports_them(evaluate_run, rewarded):
    path = run_of(
        evaluate_run(rows=[], more={"reward": rewarded / "adapter"}, reward_adapter="reward", ranking=ranking_rows())
    )
    theirs = json.loads((rewarded / "evaluation.json").read_text())
    mine = report(path)["ranking"]["reward"]
    assert set(mine) == set(theirs) - {"what"}
    assert mine["heldout_prompts"] == theirs["heldout_prompts"]
    for key in ("accuracy", "length_accuracy", "untied_gap"):
        assert mine[key] == pytest.approx(theirs[key], abs=1e-4)
    assert result(path)["final"]["ranking_accuracy"] == mine["accuracy"]
    assert "cloze" not in report(path)
    assert "tokens" not in report(path)


def test_a_prompts_judged_answers_keep_their_lengths():
    ranked = Ranked("p", [], [1, 4], ["a", "b"], [[40, 2], [41, 42, 2]], [Ranking("j", [[0], [1]], [], 1.0)])
    judged = measure.judged(ranked, torch.tensor([1.5, 0.5]))
    assert (judged.scores, judged.lengths) == ([1.5, 0.5], [2, 3])
    assert [row.tolist() for row in ranked.rows()] == [[1, 4, 40, 2], [1, 4, 41, 42, 2]]


# --- refusals, stops, and what is not touched


@pytest.mark.parametrize("changed", [{}, {"reward_adapter": "reward"}], ids=str)
def test_a_run_that_asks_nothing_is_refused(evaluate_run, changed):
    path = evaluate_run(rows=[], **changed)
    assert main(["evaluate", str(path)]) == 2
    assert failure(path)["code"] == "bad_config"
    assert "Nothing is asked" in failure(path)["sentence"]


@pytest.mark.parametrize(
    "changed",
    [
        {"checkpoints": ["base.step-00000009"]},
        {"checkpoints": ["base"]},
        {"adapters": ["absent"]},
        {"prompts": ["cat"], "answers": ["7" * 17_000]},  # digits are tokens one by one
    ],
    ids=["absent state", "no state", "absent adapter", "too much to tell"],
)
def test_c7_what_cannot_be_looked_into_is_refused(evaluate_run, changed):
    path = evaluate_run(**changed)
    assert main(["evaluate", str(path)]) == 2
    assert failure(path)["code"] == "bad_config"
    assert not (path / "evaluation.json").exists()


def test_c5_a_stop_leaves_no_result(evaluate_run):
    path = evaluate_run(microbatch_tokens=64)
    ask = at_call(3, lambda: os.kill(os.getpid(), signal.SIGTERM))
    assert in_child(["evaluate", str(path)], sabotage=lambda: before(cloze, "_weigh", ask)) == 7
    assert not (path / "result.json").exists()
    assert not (path / "evaluation.json").exists()


def test_e6_nothing_that_is_looked_into_changes(evaluate_run, tuned, toy_base):
    folders = [toy_base, tuned / "adapter"]
    hashes = [folder_sha256(folder) for folder in folders]
    run_of(evaluate_run(more={"sft": tuned / "adapter"}, adapters=["", "sft"], prompts=["cat"]))
    assert [folder_sha256(folder) for folder in folders] == hashes


def test_equal_runs_write_equal_reports(evaluate_run):
    first, second = (run_of(evaluate_run(name, prompts=["the cat"])) for name in ("a", "b"))
    for name in ("evaluation.json", "cloze.jsonl"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
