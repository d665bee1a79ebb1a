"""Evaluation on a toy: cloze items, the next token, rewards and rankings, and what leaves the others standing."""

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

from tests.trainer.preferences import REWARD, lay, ranking_rows
from tests.trainer.runs import at_call, before, failure, in_child, sentence
from trainer import adapters, base, cloze, measure, sampling, tokenizer
from trainer.__main__ import main
from trainer.contract.rundir import canonical_lines, folder_sha256
from trainer.data import Ranked, Ranking

near = 1e-4
MODES = ("missing", "next")


def cloze_rows(count=6, *, context=2, **changed):
    """Blanks in sentences of known words, each in both modes; options are words of one and of several tokens."""
    rows = []
    for n in range(count):
        words = sentence(n, words=8).split()
        gold = words[3]
        options = [gold, *[word for word in ("house", "rain", "open", "door") if word != gold][:3]]
        rows += [
            {
                "id": f"i{n}-{mode}",
                "split": "heldout",
                "paragraph": f"p{n // 2}",
                "mode": mode,
                "context": [sentence(100 + n + at, words=5) for at in range(context)],
                "sentence": [" ".join(words[:3]) + " ", " " + " ".join(words[4:])],
                "options": options,
                "gold": gold,
                "golds": [gold],
                "people": {},
                "free": {},
                **changed,
            }
            for mode in MODES
        ]
    return rows


@pytest.fixture
def evaluate_run(tmp_path, toy_base):
    """Lays out a small evaluation; keywords change its config, rows= its items, more= its parents."""

    def lay_evaluate(name="run", *, rows=None, more=None, of=toy_base, ranking=None, **changed):
        files = {"cloze": cloze_rows() if rows is None else rows} if rows != [] else {}
        files |= {"ranking": ranking} if ranking else {}
        return lay(tmp_path / name, {"stage": "evaluate", **changed}, base=of, parents=more, **files)

    return lay_evaluate


@pytest.fixture(scope="module")
def states(pretrained):
    """The milestones of a pretraining run, by step; the last is its base."""
    return {int(path.name[5:]): path for path in sorted((pretrained / "milestones").iterdir())}


@pytest.fixture(scope="module")
def rewarded(tmp_path_factory, toy_base, tuned):
    """A reward adapter on the toy."""
    config, parents = {**REWARD, "parent_adapter": "sft", "max_steps": 12}, {"sft": tuned / "adapter"}
    path = lay(
        tmp_path_factory.mktemp("reward") / "run", config, base=toy_base, parents=parents, ranking=ranking_rows()
    )
    assert main(["reward", str(path)]) == 0
    return path


def run_of(path):
    assert main(["evaluate", str(path)]) == 0
    return path


def report(path):
    return json.loads((path / "evaluation.json").read_text())


def result(path):
    return json.loads((path / "result.json").read_text())


def lines(path):
    return {line["id"]: line for line in map(json.loads, (path / "cloze.jsonl").read_text().splitlines())}


def naive_logprob(folder, ids, start):
    """Σ log p of ids[start:], each given all before it, by plain transformers in float64, one row alone."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64)
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    total = 0.0
    for place in range(start, len(ids)):
        row = logits[place - 1].tolist()
        peak = max(row)
        total += row[ids[place]] - peak - math.log(sum(math.exp(z - peak) for z in row))
    return total


def naive_scores(folder, row, *, with_context, context=128):
    """Each option's log-probability, from whole strings; what all options' tokens share with the left text is given."""
    words = AutoTokenizer.from_pretrained(folder)
    left = " ".join([*(row["context"] if with_context else []), row["sentence"][0]])
    given = words.encode(left, add_special_tokens=False)
    after = row["sentence"][1] if row["mode"] == "missing" else ""
    wholes = [words.encode(left + option + after, add_special_tokens=False) for option in row["options"]]
    starts = []
    for whole in wholes:
        starts.append(next((at for at, (a, b) in enumerate(zip(given, whole, strict=False)) if a != b), len(given)))
    start, surplus = min(starts), max(0, 1 + max(map(len, wholes)) - context)
    rows = [[1, *whole[surplus:]] for whole in wholes]
    return [naive_logprob(folder, own, 1 + start - surplus) for own in rows]


# --- E2: cloze items


@pytest.fixture(scope="module")
def scored(tmp_path_factory, pretrained):
    """A finished evaluation of a trained toy, its items, and its folder."""
    folder, rows = pretrained / "model", cloze_rows()
    path = lay(tmp_path_factory.mktemp("scored") / "run", {"stage": "evaluate"}, base=folder, cloze=rows)
    return run_of(path), rows, folder


@pytest.mark.parametrize("way", ["with", "without"])
def test_e2_an_option_is_worth_what_whole_strings_give_in_float64(scored, way):
    path, rows, folder = scored
    for row in rows:
        found = [lines(path)[row["id"]]["log"][way][option] for option in row["options"]]
        assert found == pytest.approx(naive_scores(folder, row, with_context=way == "with"), abs=near)


def test_e2_an_items_options_share_one_whole(scored):
    path, rows, _ = scored
    for line in lines(path).values():
        for way in ("with", "without"):
            assert sum(line[way].values()) == pytest.approx(1)
            ordered = sorted(line[way], key=line[way].get)
            assert ordered == sorted(line["log"][way], key=line["log"][way].get)
    assert set(lines(path)) == {row["id"] for row in rows}


@pytest.mark.parametrize("mode", MODES)
def test_e2_accuracy_is_the_share_of_items_whose_gold_is_likeliest(scored, mode):
    path, rows, folder = scored
    own = [row for row in rows if row["mode"] == mode]
    for key, with_context in (("accuracy", True), ("accuracy_without", False)):
        best = [naive_scores(folder, row, with_context=with_context) for row in own]
        right = sum(scores.index(max(scores)) == 0 for scores in best)
        assert report(path)["cloze"]["models"][0][mode][key] == pytest.approx(right / len(own))


def test_e2_what_is_too_long_is_cut_from_the_left_for_all_options_alike(evaluate_run, toy_base):
    rows = cloze_rows(2, context=30)
    path = run_of(evaluate_run(rows=rows))
    for row in rows:
        words = AutoTokenizer.from_pretrained(toy_base)
        assert len(words.encode(" ".join(row["context"]), add_special_tokens=False)) > 128
        found = [lines(path)[row["id"]]["log"]["with"][option] for option in row["options"]]
        assert found == pytest.approx(naive_scores(toy_base, row, with_context=True), abs=near)


def test_e2_an_item_that_the_context_cannot_hold_is_left_out_and_told(evaluate_run):
    rows = cloze_rows(2)
    rows[0]["sentence"][1] = " and" * 200 + "."
    path = run_of(evaluate_run(rows=rows))
    assert report(path)["cloze"]["items"] == {"missing": 1, "next": 2}
    assert "1 cloze items are longer" in (path / "events.jsonl").read_text()


@pytest.mark.parametrize("budget", [64, 100_000])
def test_g3_figures_do_not_depend_on_the_micro_batch(evaluate_run, toy_base, budget):
    small, usual = (
        run_of(evaluate_run(name, microbatch_tokens=tokens)) for name, tokens in (("a", budget), ("b", 4_096))
    )
    for id_, line in lines(usual).items():
        for option, log in line["log"]["with"].items():
            assert lines(small)[id_]["log"]["with"][option] == pytest.approx(log, abs=1e-5)


def test_e2_branches_do_not_see_each_other(pretrained):
    model = base.load(pretrained / "model", dtype=torch.float32, device=torch.device("cpu"))
    alone, crowded = (
        cloze.Fork([1, 40, 41], [[42, 43, 44]]),
        cloze.Fork([1, 40, 41], [[50, 51], [42, 43, 44], [60] * 9]),
    )
    longer = cloze.Fork([1, *range(40, 60)], [[42], [43]])
    own, beside, _ = cloze.weigh(model, [alone, crowded, longer], budget=1_000, stop=lambda: None)
    assert beside[1].tolist() == pytest.approx(own[0].tolist(), abs=1e-5)


def row_of(options, **changed):
    (row, _) = cloze_rows(1, options=options, gold=options[0], golds=[options[0]], **changed)
    return row


@pytest.mark.parametrize(("scores", "right"), [([-1, -2, -3, -4], 1), ([-2, -1, -3, -4], 0), ([-1, -1, -1, -1], 0.25)])
def test_e2_equally_likely_options_share_the_item(scores, right):
    assert cloze._right(row_of(["a", "b", "c", "d"]), scores) == right


def test_e2_a_second_gold_is_right_too():
    assert cloze._right({**row_of(["a", "b", "c", "d"]), "golds": ["a", "b"]}, [-2, -1, -3, -4]) == 1


def test_e2_wilsons_interval():
    # 7 of 10: (0.7 + 0.192073 ± 1.959964·√(0.021 + 0.0096036)) / 1.384146 = (0.892073 ± 0.342870) / 1.384146
    assert cloze.wilson(7, 10) == pytest.approx((0.396778, 0.892209), abs=1e-5)
    # all of 4: both ends are 1/(1 + z²/4) and 1
    assert cloze.wilson(4, 4) == pytest.approx((0.510109, 1), abs=1e-5)
    assert cloze.wilson(0, 4) == pytest.approx((0, 0.489891), abs=1e-5)


def test_e2_items_of_equal_tokens_and_those_that_people_met_are_counted_apart():
    options = ["a", "b", "c", "d"]
    rows = [{**row_of(options), "id": str(n), "people": {"a": 1} if n else {}} for n in range(3)]
    scores = {"0": [-1.0, -2, -3, -4], "1": [-1.0, -2, -3, -4], "2": [-2.0, -1, -3, -4]}  # right, right, wrong
    bare = {id_: [-2.0, -1, -3, -4] for id_ in scores}
    sizes = {"0": [1, 1, 1, 1], "1": [1, 1, 2, 3], "2": [2, 2, 2, 2]}
    found = cloze.figures(rows, sizes, {True: scores, False: bare})
    assert found is not None
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert (found["accuracy_without"], found["gap"]) == (0, pytest.approx(2 / 3))
    assert found["one_token"] == pytest.approx(6 / 12)
    assert found["even"] is not None
    assert (found["even"]["accuracy"], found["even"]["items"]) == (0.5, 2)
    assert found["on_people"] == 0.5


def test_e2_an_options_tokens_are_counted_as_the_whole_text_has_them(words):
    row = row_of(["cat", "door", "cat dog"])
    asked = cloze.ask([row], words, context=128)
    encoded = [words.encode([row["sentence"][0] + option])[0] for option in row["options"]]
    left = words.encode([row["sentence"][0].rstrip()])[0]
    assert asked.sizes[row["id"]] == [len(own) - len(left) for own in encoded]


def test_e2_people_are_right_where_they_chose_or_typed_a_gold():
    first = {**row_of(["a", "b", "c", "d"]), "people": {"a": 3, "b": 1}, "free": {"a": 1, "z": 1}}  # 4 of 6
    second = {**first, "paragraph": "q", "people": {"c": 2}, "free": {}}  # 0 of 2
    third = {**first, "paragraph": "r", "people": {}, "free": {}}
    found = cloze.people([first, second, third], seed=7)
    assert found is not None
    assert (found["accuracy"], found["items"], found["answers"]) == (0.5, 2, 8)
    # two paragraphs: both draws one with chance ¼ each, so the interval spans their own shares
    assert (found["low"], found["high"]) == (0, pytest.approx(4 / 6))
    assert cloze.people([third], seed=7) is None


def test_e2_people_stand_in_the_report_and_in_the_result(evaluate_run):
    rows = cloze_rows(4)
    rows[0]["people"] = {rows[0]["gold"]: 3, rows[0]["options"][1]: 1}
    path = run_of(evaluate_run(rows=rows))
    people = report(path)["cloze"]["people"]
    assert (people["missing"]["accuracy"], people["missing"]["answers"], people["next"]) == (0.75, 4, None)
    assert result(path)["final"]["people_missing_accuracy"] == 0.75
    assert report(path)["cloze"]["models"][0]["missing"]["on_people"] in (0, 1)
    assert report(path)["cloze"]["models"][0]["next"]["on_people"] is None


def test_e2_the_result_has_the_base_itself(scored):
    path, _, _ = scored
    own, final = report(path)["cloze"]["models"][-1], result(path)["final"]
    for mode in MODES:
        for name, key in (("accuracy", "accuracy"), ("accuracy_low", "low"), ("accuracy_high", "high"), ("gap", "gap")):
            assert final[f"cloze_{mode}_{name}"] == own[mode][key]
    assert [(one["name"], one["kind"]) for one in result(path)["outputs"]] == [
        ("evaluation", "evaluation"),
        ("cloze", "cloze"),
    ]


def test_d1_items_that_cannot_be_asked_are_counted_by_reason(evaluate_run):
    rows = cloze_rows(3)
    rows[0]["gold"] = "nowhere"
    rows[1]["options"] = ["a", "a", "b"]
    rows[2]["options"] = ["", "b"]
    rows.append(rows[4])
    path = run_of(evaluate_run(rows=rows))
    found = json.loads((path / "cloze_report.json").read_text())
    assert found["kept"] == 3
    assert {reason: one["ids"] for reason, one in found["dropped"].items()} == {
        "contradictory": ["i0-missing", "i0-next"],
        "empty": ["i1-missing"],
        "repeated": ["i2-missing"],
    }


# --- filling the gap


def planted(folder, to, change):
    """A base whose weights are changed by a function."""
    shutil.copytree(folder, to)
    weights = load_file(to / "model.safetensors")
    change(weights)
    save_file(weights, to / "model.safetensors", metadata={"format": "pt"})
    return to


def test_o2_an_untrained_base_is_not_asked_to_fill_gaps(evaluate_run):
    assert report(run_of(evaluate_run()))["cloze"]["models"][0]["infill"] is None


def test_o2_only_a_base_that_expects_a_middle_was_trained_to_fill_gaps():
    due, absent = ([torch.tensor([math.log(p), -1.0])] for p in (0.03, 1e-6))
    assert cloze.fills([due, absent], vocabulary=512)
    assert not cloze.fills([absent], vocabulary=512)
    assert not cloze.fills([], vocabulary=512)


def test_o2_a_gap_is_weighed_as_pretraining_lays_it_out(pretrained):
    folder, row = pretrained / "model", cloze_rows(1)[0]
    words = tokenizer.load(folder, template="base")
    fork = cloze.ask([row], words, context=128).infill[True][row["id"]]
    model = base.load(folder, dtype=torch.float32, device=torch.device("cpu"))
    (weighed,) = cloze.weigh(model, [fork], budget=1_000, stop=lambda: None)
    a = words.encode([" ".join([*row["context"], row["sentence"][0]])])[0]
    c = words.encode([row["sentence"][1]])[0]
    for option, found in zip(row["options"], weighed, strict=True):
        ids = [6, *a, 7, *c, 8, *words.encode([option])[0], 2]
        assert float(found.sum()) == pytest.approx(naive_logprob(folder, ids, len(a) + len(c) + 2), abs=near)


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


def test_an_adapter_and_its_states_are_asked_on_the_base(evaluate_run, tuned):
    more = {"sft": tuned / "adapter", "sft.step-00000002": tuned / "adapter"}
    path = run_of(evaluate_run(more=more, adapters=["", "sft"], checkpoints=["sft.step-00000002"]))
    assert [(own["name"], own["step"]) for own in report(path)["cloze"]["models"]] == [("base", None), ("sft", 2)]
    values = [line["values"] for line in canonical_lines(path / "metrics.jsonl")]
    assert "cloze/missing_accuracy" in values[0]
    assert set(values[1]) == {f"sft/{key}" for key in values[0]}


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
            asked = [{"role": "user", "content": "what of the cat "}]
            start = words.render(asked, open=True).ids
            whole = words.render([*asked, {"role": "assistant", "content": text}], open=False).ids
        else:
            start = [1, *words.encode(["what of the cat"])[0]]  # the space is of the answer's first token
            whole = [1, *words.encode(["what of the cat " + text])[0]]
        own = torch.tensor(whole[len(start) :])
        logp, _ = sampling.answer_logprobs(model, [torch.tensor(start)], [own], temperature=1.0, chunk=64)
        assert [token["id"] for token in found["tokens"]] == own.tolist()
        assert found["sum"] == pytest.approx(float(logp.sum()), abs=near)
        assert found["sum"] == pytest.approx(naive_logprob(toy_base, whole, len(start)), abs=near)
        assert found["mean"] == pytest.approx(found["sum"] / len(own))


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


def test_e5_rewards_are_those_that_were_planted(evaluate_run, toy_base, rewarded, tmp_path):
    answers, planted = ["so it was.", "the cat saw a dog.", "rain"], [3.0, 1.0, 2.0]
    adapter = shutil.copytree(rewarded / "adapter", tmp_path / "adapter")
    weights = load_file(adapter / "adapter_model.safetensors")
    states = last_states(toy_base, adapter, "Whose?", answers)  # [3, D]
    weights["base_model.model.score.weight"] = torch.linalg.lstsq(states, torch.tensor(planted)[:, None]).solution.T
    save_file({name: own.contiguous() for name, own in weights.items()}, adapter / "adapter_model.safetensors")
    facts = json.loads((adapter / "manifest.json").read_text())
    (adapter / "manifest.json").write_text(json.dumps({**facts, "gain": 2.0, "bias": -1.0}))
    asked = {"prompts": ["Whose?"], "answers": answers}
    path = run_of(evaluate_run(rows=[], more={"reward": adapter}, reward_adapter="reward", **asked))
    (found,) = report(path)["tokens"]["rewards"]
    assert (found["name"], found["sha256"], found["error"]) == ("reward", folder_sha256(adapter), None)
    assert [own["reward"] for own in found["answers"]] == pytest.approx([5, 1, 3], abs=1e-3)  # 2·s − 1
    assert [own["spread"] for own in found["answers"]] == [None] * 3  # one head


def last_states(folder, adapter, prompt, answers):
    """The states [K, D] on which a score is read: of the end token of each answer, with the adapter in use."""
    words = tokenizer.load(folder, template="base")
    model = base.load(folder, dtype=torch.float32, device=torch.device("cpu"))
    adapters.load_adapter(model, adapter, "r")
    asked = [{"role": "user", "content": prompt}]
    rows = [words.render([*asked, {"role": "assistant", "content": text}], open=False).ids for text in answers]
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
