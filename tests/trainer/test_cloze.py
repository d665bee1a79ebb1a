"""Cloze items on a toy: what an option is worth, what is cut, what is counted, and which base fills gaps."""

import json
import math
from typing import Any

import pytest
import torch
from transformers import AutoTokenizer

from tests.trainer.looks import MODES, cloze_rows, lines, naive_logprob, naive_scores, report
from tests.trainer.preferences import lay
from tests.trainer.runs import result, run_of
from trainer import base, cloze, tokenizer

near = 1e-4


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


def row_of(options, **changed) -> Any:  # a ClozeRow, which a test may spoil
    (row, _) = cloze_rows(1, **{"options": options, "gold": options[0], "golds": [options[0]], **changed})
    return row


@pytest.mark.parametrize(("scores", "right"), [([-1, -2, -3, -4], 1), ([-2, -1, -3, -4], 0), ([-1, -1, -1, -1], 0.25)])
def test_e2_equally_likely_options_share_the_item(scores, right):
    assert cloze._right(row_of(["a", "b", "c", "d"]), scores) == right


def test_e2_a_second_gold_is_right_too():
    assert cloze._right(row_of(["a", "b", "c", "d"], golds=["a", "b"]), [-2, -1, -3, -4]) == 1


def test_e2_wilsons_interval():
    # 7 of 10: (0.7 + 0.192073 ± 1.959964·√(0.021 + 0.0096036)) / 1.384146 = (0.892073 ± 0.342870) / 1.384146
    assert cloze.wilson(7, 10) == pytest.approx((0.396778, 0.892209), abs=1e-5)
    # all of 4: both ends are 1/(1 + z²/4) and 1
    assert cloze.wilson(4, 4) == pytest.approx((0.510109, 1), abs=1e-5)
    assert cloze.wilson(0, 4) == pytest.approx((0, 0.489891), abs=1e-5)


def test_e2_items_of_equal_tokens_and_those_that_people_met_are_counted_apart():
    options = ["a", "b", "c", "d"]
    rows = [row_of(options, id=str(n), people={"a": 1} if n else {}) for n in range(3)]
    scores = {"0": [-1.0, -2, -3, -4], "1": [-1.0, -2, -3, -4], "2": [-2.0, -1, -3, -4]}  # right, right, wrong
    bare = {id_: [-2.0, -1, -3, -4] for id_ in scores}
    sizes = {"0": [1, 1, 1, 1], "1": [1, 1, 2, 3], "2": [2, 2, 2, 2]}
    found = cloze.figures(rows, sizes, {True: scores, False: bare})
    assert found is not None
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert [found["accuracy_without"], found["gap"]] == pytest.approx([0, 2 / 3])
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
    options = ["a", "b", "c", "d"]
    first = row_of(options, paragraph="p", people={"a": 3, "b": 1}, free={"a": 1, "z": 1})  # 4 of 6
    second = row_of(options, paragraph="q", people={"c": 2})  # 0 of 2
    third = row_of(options, paragraph="r")
    found = cloze.people([first, second, third], seed=7)
    assert found is not None
    assert (found["accuracy"], found["items"], found["answers"]) == (0.5, 2, 8)
    # two paragraphs: both draws one with chance ¼ each, so the interval spans their own shares
    assert [found["low"], found["high"]] == pytest.approx([0, 4 / 6])
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
