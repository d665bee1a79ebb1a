"""Monitors: each condition on histories worked out by hand, and what a pause leaves."""

import json

import pytest

from tests.trainer.preferences import PPO
from tests.trainer.runs import lay_out
from trainer import checkpoint, monitors
from trainer.checkpoint import State
from trainer.contract.rundir import Run
from trainer.contract.stages import LOSS_MONITORS, POLICY_MONITORS

HONEST = {
    "reward/mean": 0.0,
    "reward/deviation": 1.0,
    "reward/length_corr": 0.1,
    "reward/outside": 0.01,
    "reward/head_gap": 0.0,
    "objective/kl": 1.0,
    "objective/entropy": 4.0,
    "answer/length": 20.0,
    "answer/distinct_2": 0.8,
    "answer/repeated": 0.0,
    "answer/eos_rate": 0.9,
    "val/explained_var": 0.5,
}


@pytest.fixture
def watched(tmp_path):
    """A run directory with monitors on; keywords change its config."""

    def lay(stage="ppo", **changed):
        config = {**(PPO if stage == "ppo" else {"stage": stage}), "base_sha256": "0" * 64, **changed}
        run = Run(lay_out(tmp_path / f"run{len(list(tmp_path.iterdir()))}", config))
        run.begin()
        return run

    return lay


def alarms_at(run, lines, kind="rollout"):
    """[(line, monitor, "warn" or "pause")] as they are told; lines count from 1."""
    watch, found = monitors.Watch(run), []
    for step, line in enumerate(lines, 1):
        pausing = watch.see(kind, step, line)
        found += [(step, alarm.monitor, alarm.does) for alarm in pausing]
    return [(event["step"], event["monitor"], "warn") for event in warnings(run)] + found


def warnings(run):
    path = run.out / "events.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [event for line in lines if (event := json.loads(line))["kind"] == "warning"]


def after_three(count=3, **bad):
    """Three honest rollouts, then so many with other values."""
    return [HONEST] * 3 + [HONEST | {key.replace("__", "/"): value for key, value in bad.items()}] * count


def rising(lines, key, by):
    """The lines with a value that rises by so much each time."""
    return [line | {key: line[key] + number * by} for number, line in enumerate(lines)]


# Each case holds from rollout 4 on, so that the third in a row is rollout 6; the edge case beside it never does.
TABLE = {
    "KL above five targets of 6": (after_three(objective__kl=30.1), (6, "kl_budget", "pause")),
    "half as long again, and rewarded for it": (
        after_three(answer__length=30.1, reward__length_corr=0.51),
        (6, "length_hacking", "warn"),
    ),
    "a fifth of the entropy": (after_three(objective__entropy=0.79), (6, "entropy_collapse", "pause")),
    "half of the distinct pairs": (after_three(answer__distinct_2=0.39), (6, "repetition", "pause")),
    "a fifth of answers repeat": (after_three(answer__repeated=0.21), (6, "repetition", "pause")),
    "half of the endings": (after_three(answer__eos_rate=0.44), (6, "no_ending", "pause")),
    "a fifth outside": (after_three(reward__outside=0.21), (6, "outside_reward", "warn")),
}
EDGES = {
    "KL of five targets": after_three(objective__kl=30.0),
    "half as long again, not rewarded": after_three(answer__length=30.1),
    "not quite half as long again": after_three(answer__length=30.0, reward__length_corr=1.0),
    "a fifth of the entropy": after_three(objective__entropy=0.81),
    "half of the distinct pairs": after_three(answer__distinct_2=0.41),
    "a fifth of answers repeat": after_three(answer__repeated=0.2),
    "half of the endings": after_three(answer__eos_rate=0.46),
    "a fifth outside": after_three(reward__outside=0.2),
    "two bad rollouts only": after_three(count=2, objective__kl=99.0),
    "what is not measured": [{"objective/kl": 1.0}] * 6,
    "what is not finite": after_three(objective__entropy=float("nan")),
}


@pytest.mark.parametrize("case", TABLE)
def test_a_condition_that_holds_three_rollouts_in_a_row_is_told(watched, case):
    lines, alarm = TABLE[case]
    assert alarms_at(watched(), lines) == [alarm]


@pytest.mark.parametrize("case", EDGES)
def test_what_does_not_quite_hold_is_not_told(watched, case):
    assert alarms_at(watched(), EDGES[case]) == []


def test_most_outside_warns_and_pauses(watched):
    found = alarms_at(watched(), after_three(reward__outside=0.51))
    assert found == [(6, "outside_reward", "warn"), (6, "outside_reward", "pause")]


def test_twice_as_long_pauses_only_while_reward_rises(watched):
    # from rollout 4 on the mean of three rewards lies above that of the three before; it must do so at 6, 7 and 8
    twice = after_three(count=5, answer__length=40.1)
    assert alarms_at(watched(), twice) == []
    assert alarms_at(watched(), rising(twice, "reward/mean", 0.1))[0] == (8, "length_hacking", "pause")


def test_a_head_that_leaves_the_others_pauses_while_reward_rises(watched):
    left = rising(after_three(count=5, reward__head_gap=1.01), "reward/mean", 0.1)
    assert alarms_at(watched(), left) == [(8, "head_gap", "pause")]


def test_kl_that_buys_no_reward_warns(watched):
    # 0.31 nats a rollout are 3.1 in ten; the first three means of ten rollouts apart are those of 13, 14 and 15
    lines = rising([HONEST] * 15, "objective/kl", 0.31)
    assert alarms_at(watched(), lines) == [(15, "frontier", "warn")]


def test_kl_that_buys_reward_does_not(watched):
    assert alarms_at(watched(), rising(rising([HONEST] * 16, "objective/kl", 0.31), "reward/mean", 0.01)) == []


def test_a_value_that_is_blind_for_ten_rollouts_after_the_warm_up_warns(watched):
    blind = [HONEST | {"val/explained_var": -0.1}] * 12
    assert alarms_at(watched(value_warmup_rollouts=2), blind) == [(12, "value_blind", "warn")]


def test_a_warning_is_told_once_while_it_lasts(watched):
    assert len(alarms_at(watched(), after_three(count=9, reward__outside=0.3))) == 1


def test_a_pause_is_asked_for_as_long_as_it_holds(watched):
    assert [step for step, *_ in alarms_at(watched(), after_three(count=5, objective__kl=31.0))] == [6, 7, 8]


@pytest.mark.parametrize("off", [{"monitors": False}, {"monitors_off": ["kl_budget"]}])
def test_a_monitor_that_is_off_says_nothing(watched, off):
    assert alarms_at(watched(**off), after_three(objective__kl=99.0)) == []


def test_the_table_holds_every_monitor_that_may_be_turned_off(watched):
    rules = monitors.rollout_rules(watched().config)["rollout"]
    assert {rule.monitor for rule in rules} == set(POLICY_MONITORS)
    assert {rule.monitor for rules in monitors.LOSS_RULES.values() for rule in rules} == set(LOSS_MONITORS)


def test_a_loss_far_above_the_last_fifty_warns(watched):
    # 25 at 1.0 and 25 at 1.2: median 1.1, median deviation 0.1, so that 1.9 is the limit
    usual = [{"loss": 1.0}, {"loss": 1.2}] * 25
    assert alarms_at(watched("sft"), [*usual, {"loss": 1.95}], "train") == [(51, "loss_spike", "warn")]
    assert alarms_at(watched("sft"), [*usual, {"loss": 1.85}], "train") == []


@pytest.mark.parametrize("key", monitors.HELDOUT_LOSSES)
def test_a_held_out_loss_that_is_worse_in_three_evaluations_warns(watched, key):
    losses = [2.0, 1.5, 1.6, 1.55, 1.51, 1.7]
    assert alarms_at(watched("sft"), [{key: loss} for loss in losses], "eval") == [(5, "loss_spike", "warn")]


def test_a_held_out_loss_that_gets_better_again_does_not(watched):
    lines = [{"heldout/loss": loss} for loss in (2.0, 1.5, 1.6, 1.55, 1.4, 1.41, 1.42)]
    assert alarms_at(watched("sft"), lines, "eval") == []


def test_what_is_remembered_does_not_grow_and_keeps_the_reference(watched):
    run = watched()
    alarms_at(run, [HONEST | {"answer/eos_rate": 1.0}] * 3 + [HONEST | {"answer/eos_rate": 0.6}] * 97)
    assert len(run.watched["rollout"]) == monitors.REFERENCE + monitors.KEPT["rollout"]
    assert [line["step"] for line in run.watched["rollout"]][:4] == [1, 2, 3, 83]


def test_a_rollout_that_is_done_again_counts_once(watched):
    run, lines = watched(), after_three(count=2, objective__kl=31.0)
    alarms_at(run, lines)
    assert monitors.Watch(run).see("rollout", 5, lines[4]) == []
    assert [alarm.monitor for alarm in monitors.Watch(run).see("rollout", 6, lines[4])] == ["kl_budget"]


def test_c3_a_checkpoint_carries_what_monitors_remember(watched):
    run, lines = watched(), after_three(count=2, objective__kl=31.0)
    alarms_at(run, lines)
    checkpoint.save(run, State(step=5))
    later = Run(run.path)
    checkpoint.resume(later)
    assert [alarm.monitor for alarm in monitors.Watch(later).see("rollout", 6, lines[4])] == ["kl_budget"]
