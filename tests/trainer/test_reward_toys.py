"""What a reward model must learn, and what it must not."""

import hashlib

import pytest

from tests.trainer.preferences import Row, answer, ranking_row, ranking_rows
from tests.trainer.runs import WORDS, result, run_of
from trainer.contract.seeds import seed_for

FRESH: Row = {
    "parent_adapter": "",
    "rank": 8,
    "alpha": 16,
    "batch_prompts": 8,
    "lr": 1e-2,
    "head_lr": 1e-2,
    "microbatch_tokens": 4_096,
    "eval_steps": 1_000,
}


def test_the_reward_model_finds_a_hidden_rule_and_the_line(reward_run):
    path = run_of(reward_run(rows=ranking_rows(400), **FRESH, line_weight=1.0))
    final = result(path)["final"]
    assert final["accuracy"] > 0.95
    assert final["line_accuracy"] > 0.9


@pytest.mark.full
def test_the_reward_model_finds_a_rule_behind_20_percent_of_wrong_rankings(reward_run):
    path = run_of(reward_run(rows=ranking_rows(400, reversed_share=0.2), **FRESH))
    assert result(path)["final"]["accuracy"] > 0.85


@pytest.mark.full
def test_shuffled_labels_teach_nothing(reward_run):
    # 400 held-out pairs, each turned by a coin: 50 ± 7.5 % is three standard errors
    coin = [seed_for(1, "coin", n) % 2 for n in range(800)]
    rows = [
        ranking_row(n, [answer(f"{n}/{i}", liked=i == 0) for i in range(2)], [[c], [1 - c]], split=side)
        for n, c in enumerate(coin)
        for side in [("heldout", "train")[n % 2]]
    ]
    path = run_of(reward_run(rows=rows, **FRESH))
    assert result(path)["final"]["heldout_prompts"] == 400
    assert result(path)["final"]["accuracy"] == pytest.approx(0.5, abs=0.08)


@pytest.mark.full
def test_a_world_in_which_only_length_counts_is_matched_by_the_length_only_baseline(reward_run):
    rows = [
        ranking_row(n, [" ".join([WORDS[(n + i) % len(WORDS)]] * (2 + 3 * i)) + "." for i in range(3)], [[2], [1], [0]])
        for n in range(400)
    ]
    final = result(run_of(reward_run(rows=rows, **FRESH)))["final"]
    assert final["length_accuracy"] == 1.0
    assert final["accuracy"] > 0.95
    assert final["gain_over_length"] == pytest.approx(0, abs=0.05)


@pytest.mark.full
def test_ties_drawn_together_lie_nearer_than_ties_left_out(reward_run):
    # "dog" stands in ties with "cat" only: whoever leaves ties out never learns that it is liked as much
    width = {}
    for ties in ("drop", "half"):
        path = run_of(reward_run(ties, rows=[beside_a_tie(n) for n in range(200)], ties=ties, **FRESH | SLOWER))
        final = result(path)["final"]
        assert final["accuracy"] > 0.95
        width[ties] = final["tied_gap"] / final["untied_gap"]
    assert width["half"] < 0.5 * width["drop"]


SLOWER: Row = {"lr": 5e-3, "head_lr": 5e-3, "heads": 1}


def beside_a_tie(n):
    """By turns a cat that is better than none, and a cat and a dog that are equal."""
    plain = [word for word in WORDS if word not in ("cat", "dog")]
    draws = hashlib.sha256(str(n).encode()).digest()
    fill = [" ".join(plain[byte % len(plain)] for byte in draws[5 * i : 5 * i + 4]) for i in range(2)]
    if n // 5 % 2:
        return ranking_row(n, [f"cat {fill[0]}.", f"{fill[1]}."], [[0], [1]])
    return ranking_row(n, [f"cat {fill[0]}.", f"dog {fill[1]}."], [[0, 1]])


@pytest.mark.full
def test_rankings_teach_no_less_than_one_random_pair_of_each(reward_run):
    # the same 100 judgements; of each either all pairs of its four answers, or one of them
    found: dict[str, list[float]] = {"all": [], "one": []}
    rows = [{**row, "split": ("heldout", "train")[n % 2]} for n, row in enumerate(ranking_rows(200))]
    for seed in range(5):
        single = [_one_pair(row, seed) if row["split"] == "train" else row for row in rows]
        for name, own in (("all", rows), ("one", single)):
            path = run_of(reward_run(f"{name} {seed}", rows=own, **FRESH | SLOWER | {"seed": seed}))
            found[name].append(result(path)["final"]["accuracy"])
    assert sum(found["all"]) >= sum(found["one"])


def _one_pair(row, seed):
    draw = seed_for(seed, "pair", row["id"])
    (better, worse) = row["groups"]
    a, b = better[draw % 2], worse[draw // 2 % 2]
    return {**row, "answers": [row["answers"][a], row["answers"][b]], "groups": [[0], [1]]}
