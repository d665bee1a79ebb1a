"""Monitors: what a run watches of itself, so that it warns, or pauses for a person, before it wastes a night.

Each is a condition on the metrics that the run logs anyway, a pure function of their history; what is remembered is a
few numbers a line, in the checkpoint. The defects that stop a run (`not_finite`, `ratio_gate`, `negative_kl`) are where
they show.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Literal

from trainer.contract.configs import LearningConfig, PpoConfig
from trainer.contract.errors import Paused
from trainer.contract.rundir import Run

Values = Mapping[str, float]
History = Sequence[Values]  # a line each, newest last

REFERENCE = 3  # first rollouts, whose mean is what later ones are held against
IN_A_ROW = 3  # rollouts in which a condition must hold, so that noise pauses no run
BLIND = 10  # rollouts in which the value may explain less than nothing
STALL = 10  # rollouts over which reward must rise where KL grows
WINDOW = 50  # steps whose losses say what is usual
WORSE = 3  # evaluations in a row that are worse than the best before
KEPT = {"rollout": 18, "train": WINDOW + 2, "eval": WORSE + 2}  # newest lines remembered, beside the first and the best

R, KL, LENGTH, LENGTH_CORR = "reward/mean", "objective/kl", "answer/length", "reward/length_corr"
ENTROPY, DISTINCT, REPEATED, ENDED = "objective/entropy", "answer/distinct_2", "answer/repeated", "answer/eos_rate"
OUTSIDE, HEAD_GAP, DEVIATION, EXPLAINED = "reward/outside", "reward/head_gap", "reward/deviation", "val/explained_var"
ROLLOUT_KEYS = (R, KL, LENGTH, LENGTH_CORR, ENTROPY, DISTINCT, REPEATED, ENDED, OUTSIDE, HEAD_GAP, DEVIATION, EXPLAINED)
LOSS = "loss"
HELDOUT_LOSSES = ("eval/next_nats_per_token", "eval/answer_nats_per_token", "heldout/loss")  # pretrain, sft, the others


@dataclass(frozen=True)
class Alarm:
    """A condition that holds. does: warn, or pause."""

    monitor: str
    does: Literal["warn", "pause"]
    sentence: str


@dataclass(frozen=True)
class Rule:
    """One line of the table. holds: on the history up to some line; in_a_row: lines up to the newest where it must.

    sentence: of the history, what a person reads.
    """

    monitor: str
    does: Literal["warn", "pause"]
    holds: Callable[[History], bool]
    sentence: Callable[[History], str]
    in_a_row: int = IN_A_ROW

    def active(self, history: History) -> bool:
        """Whether the condition holds on the newest lines."""
        cuts = range(len(history) - self.in_a_row + 1, len(history) + 1)
        return cuts.start > 0 and all(self.holds(history[:cut]) for cut in cuts)


class Watch:
    """The monitors of one run; what they remember is `run.watched`, which checkpoints carry."""

    def __init__(self, run: Run) -> None:
        self._run = run
        config = run.config
        self._rules: dict[str, list[Rule]] = {}
        if isinstance(config, LearningConfig) and config.monitors:
            of_stage = rollout_rules(config) if isinstance(config, PpoConfig) else LOSS_RULES
            self._rules = {
                kind: [rule for rule in rules if rule.monitor not in config.monitors_off]
                for kind, rules in of_stage.items()
            }

    def see(self, kind: str, step: int, values: Values) -> list[Alarm]:
        """Take a line in, tell warnings as they begin, and return the alarms that ask for a pause.

        A step that was seen before, by an attempt that died after it, counts once.
        """
        rules, kept = self._rules.get(kind, []), _kept(kind, step, values)
        if not rules or len(kept) < 2:
            return []
        known = [line for line in self._run.watched.get(kind, []) if line["step"] < step]
        history = self._run.watched[kind] = _trimmed(kind, [*known, kept])
        for rule in rules:
            if rule.does == "warn" and rule.active(history) and not rule.active(history[:-1]):
                self._run.event("warning", f"{rule.monitor}: {rule.sentence(history)}", step=step, monitor=rule.monitor)
        return [
            Alarm(rule.monitor, rule.does, rule.sentence(history))
            for rule in rules
            if rule.does == "pause" and rule.active(history)
        ]


def paused(alarms: Sequence[Alarm]) -> Paused:
    """What ends an attempt whose monitors ask for a person."""
    names = list(dict.fromkeys(alarm.monitor for alarm in alarms))
    said = " ".join(f"{alarm.monitor}: {alarm.sentence}" for alarm in alarms)
    return Paused(names, f"{said} Look at evaluation.json; name what may be ignored in monitors_off, then resume.")


# --- policies: a line is a rollout


def rollout_rules(config: PpoConfig) -> dict[str, list[Rule]]:
    """The table of PPO, RLOO and GRPO."""
    budget = 5 * config.kl_target
    return {
        "rollout": [
            Rule(
                "kl_budget",
                "pause",
                lambda h: _now(h, KL) > budget,
                lambda h: f"KL is {_now(h, KL):.1f} nats an answer; the budget is {budget:g}.",
            ),
            Rule(
                "length_hacking",
                "warn",
                lambda h: _share(h, LENGTH) > 1.5 and _now(h, LENGTH_CORR) > 0.5,
                lambda h: (
                    f"answers are {_share(h, LENGTH):.1f} times as long as at first, and longer ones score higher."
                ),
            ),
            Rule(
                "length_hacking",
                "pause",
                lambda h: _share(h, LENGTH) > 2 and _rise(h, R, over=3) > 0,
                lambda h: f"answers are {_share(h, LENGTH):.1f} times as long as at first, and reward still rises.",
            ),
            Rule(
                "entropy_collapse",
                "pause",
                lambda h: _share(h, ENTROPY) < 0.2,
                lambda h: f"entropy is {_share(h, ENTROPY):.0%} of what it was at first.",
            ),
            Rule(
                "repetition",
                "pause",
                lambda h: _share(h, DISTINCT) < 0.5 or _now(h, REPEATED) > 0.2,
                lambda h: (
                    f"distinct pairs of tokens are {_share(h, DISTINCT):.0%} of what they were at first; "
                    f"{_now(h, REPEATED):.0%} of answers say one run of four tokens five times."
                ),
            ),
            Rule(
                "no_ending",
                "pause",
                lambda h: _share(h, ENDED) < 0.5,
                lambda h: f"{_now(h, ENDED):.0%} of answers end, {_share(h, ENDED):.0%} of what it was at first.",
            ),
            Rule("outside_reward", "warn", _outside(0.2), _outside_said),
            Rule("outside_reward", "pause", _outside(0.5), _outside_said),
            Rule(
                "head_gap",
                "pause",
                lambda h: _gap_growth(h) > 1 and _rise(h, R, over=3) > 0,
                lambda h: (
                    f"the head that is trained on has left the others by {_gap_growth(h):.1f} deviations of the first "
                    "rewards, while reward rises."
                ),
            ),
            Rule(
                "frontier",
                "warn",
                lambda h: _rise(h, R, over=STALL) <= 0 and _rise(h, KL, over=STALL) > 3,
                lambda h: (
                    f"reward has not risen over {STALL} rollouts, while KL grew by {_rise(h, KL, over=STALL):.1f}."
                ),
            ),
            Rule(
                "value_blind",
                "warn",
                lambda h: _now(h, EXPLAINED) < 0 and h[-1]["step"] > config.warmup_rollouts,
                lambda h: f"the value explains less than nothing of the returns, {BLIND} rollouts in a row.",
                in_a_row=BLIND,
            ),
        ]
    }


def _outside(limit: float) -> Callable[[History], bool]:
    return lambda h: _now(h, OUTSIDE) > limit


def _outside_said(history: History) -> str:
    return f"{_now(history, OUTSIDE):.0%} of raw scores lie outside what the reward model gave in its own training."


def _now(history: History, key: str) -> float:
    """The newest value; not a number where there is none, which fails every comparison."""
    return history[-1].get(key, math.nan)


def _share(history: History, key: str) -> float:
    """The newest value over the reference; not a number before there is one."""
    first = [line.get(key, math.nan) for line in history[:REFERENCE]]
    if len(history) <= REFERENCE or not fmean(first) > 0:
        return math.nan
    return _now(history, key) / fmean(first)


def _rise(history: History, key: str, *, over: int) -> float:
    """How much the mean of the last three lines lies above that of the three which stood `over` lines before."""
    if len(history) < over + 3:
        return math.nan
    now, then = history[-3:], history[-3 - over : len(history) - over]
    return fmean(line.get(key, math.nan) for line in now) - fmean(line.get(key, math.nan) for line in then)


def _gap_growth(history: History) -> float:
    """How much head 0 has left the others since the reference, in the reference's deviations of reward."""
    first = history[:REFERENCE]
    deviation = fmean(line.get(DEVIATION, math.nan) for line in first)
    if len(history) <= REFERENCE or not deviation > 0:
        return math.nan
    return (_now(history, HEAD_GAP) - fmean(line.get(HEAD_GAP, math.nan) for line in first)) / deviation


# --- losses: a line is a step, or an evaluation


def _spikes(history: History) -> bool:
    before = [line[LOSS] for line in history[:-1]][-WINDOW:]
    if len(before) < WINDOW:
        return False
    usual = median(before)
    return history[-1][LOSS] > usual + 8 * median(abs(loss - usual) for loss in before)


def _overfits(history: History) -> bool:
    best = min((line[LOSS] for line in history[:-WORSE]), default=-math.inf)
    return len(history) > WORSE and all(line[LOSS] > best for line in history[-WORSE:])


LOSS_RULES = {
    "train": [
        Rule(
            "loss_spike",
            "warn",
            _spikes,
            lambda h: f"the loss is {h[-1][LOSS]:.3f}; the median before is {median(x[LOSS] for x in h[:-1]):.3f}.",
            in_a_row=1,
        )
    ],
    "eval": [
        Rule(
            "loss_spike",
            "warn",
            _overfits,
            lambda h: f"the held-out loss was worse in {WORSE} evaluations than before; it is {h[-1][LOSS]:.3f}.",
            in_a_row=1,
        )
    ],
}


# --- what is remembered


def _kept(kind: str, step: int, values: Values) -> dict[str, float]:
    """What of a line the monitors need; what is not finite is left out."""
    if kind == "rollout":
        found = {key: values[key] for key in ROLLOUT_KEYS if key in values}
    else:
        names = (LOSS,) if kind == "train" else HELDOUT_LOSSES
        found = {LOSS: next((values[name] for name in names if name in values), math.nan)}
    return {"step": float(step), **{key: value for key, value in found.items() if math.isfinite(value)}}


def _trimmed(kind: str, history: list[dict[str, float]]) -> list[dict[str, float]]:
    """The newest lines; of rollouts the reference too, of evaluations the best before them."""
    old, new = history[: -KEPT[kind]], history[-KEPT[kind] :]
    if kind == "rollout":
        return [*old[:REFERENCE], *new]
    if kind == "eval" and old:
        return [min(old, key=lambda line: line[LOSS]), *new]
    return new
