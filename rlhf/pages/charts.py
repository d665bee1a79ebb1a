"""Which charts a run's page draws, by stage and metric key, and the one number by which a stage is known.

A key is "kind/name" of a metric line (`rlhf.metrics`). A key that no chart names stands under Other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Point = Sequence[Any]  # Any: [step, value or None, seconds], as JSON holds them
Words = str | Promise


@dataclass(frozen=True)
class Series:
    label: Words
    key: str


@dataclass(frozen=True)
class Chart:
    """slug: names it in an address. unit: of its vertical axis."""

    slug: str
    title: Words
    unit: Words
    series: tuple[Series, ...]


@dataclass(frozen=True)
class KeyMetric:
    """name: of the metric, as the template words it. low and high: its 95 % interval, where the run measured one."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None

    @property
    def half_width(self) -> float | None:
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


@dataclass(frozen=True)
class Summary:
    """What a series says in a caption. least_at, greatest_at: steps. gaps: points that were not finite."""

    last: float
    least: float
    least_at: int
    greatest: float
    greatest_at: int
    gaps: int


def _one(slug: str, title: Words, unit: Words, key: str) -> Chart:
    return Chart(slug, title, unit, (Series(title, key),))


def _cloze(mode: str, title: Words) -> Chart:
    """A model's share right with and without the sentences before, beside people's (`evaluation.with_people`)."""
    series = (
        Series(_("with context"), f"eval/cloze/{mode}_accuracy"),
        Series(_("without"), f"eval/cloze/{mode}_accuracy_without"),
        Series(_("people"), f"people/{mode}"),
    )
    return Chart(mode, title, _("share"), series)


_NATS = _("nats a token")
_RATE = _one("lr", _("Learning rate"), _("per step"), "train/lr")

CHARTS: dict[str, tuple[Chart, ...]] = {
    "pretrain": (
        _one("loss", _("Loss"), _NATS, "train/loss"),
        _one("perplexity", _("Held-out perplexity"), "", "eval/eval/next_perplexity"),
        Chart(
            "heldout",
            _("Held-out loss"),
            _NATS,
            (
                Series(_("next token"), "eval/eval/next_nats_per_token"),
                Series(_("fill in the middle"), "eval/eval/fim_nats_per_token"),
            ),
        ),
        _RATE,
    ),
    "sft": (
        _one("loss", _("Loss"), _NATS, "train/loss"),
        _one("heldout", _("Held-out answer loss"), _NATS, "eval/eval/answer_nats_per_token"),
        _one("norm", _("Gradient norm"), "", "train/grad_norm"),
        _RATE,
    ),
    "reward": (
        _one("loss", _("Loss"), _("nats a pair"), "train/loss"),
        Chart(
            "accuracy",
            _("Pairwise accuracy"),
            _("share of pairs"),
            (Series(_("held out"), "eval/heldout/accuracy"), Series(_("of the step"), "train/accuracy")),
        ),
        _one("heldout", _("Held-out loss"), _("nats a pair"), "eval/heldout/loss"),
        Chart(
            "lr",
            _("Learning rate"),
            _("per step"),
            (Series(_("adapter"), "train/lr/reward"), Series(_("heads"), "train/lr/head")),
        ),
    ),
    "dpo": (
        _one("loss", _("Loss"), _("nats a pair"), "train/loss"),
        Chart(
            "accuracy",
            _("Pairwise accuracy"),
            _("share of pairs"),
            (Series(_("held out"), "eval/heldout/accuracy"), Series(_("of the step"), "train/rewards/accuracies")),
        ),
        Chart(
            "rewards",
            _("Implicit reward"),
            _NATS,
            (Series(_("chosen"), "train/rewards/chosen"), Series(_("rejected"), "train/rewards/rejected")),
        ),
        Chart(
            "chosen",
            _("Log-probability of chosen answers"),
            _NATS,
            (Series(_("policy"), "train/logps/chosen"), Series(_("reference"), "train/logps/chosen_start")),
        ),
        _one("heldout", _("Held-out loss"), _("nats a pair"), "eval/heldout/loss"),
        _RATE,
    ),
    "ppo": (
        Chart(
            "reward",
            _("Reward"),
            _("sd"),
            (
                Series(_("reward"), "rollout/objective/scores"),
                Series(_("reward − β·KL"), "rollout/objective/rlhf_reward"),
            ),
        ),
        _one("kl", _("KL to reference"), _("nats an answer"), "rollout/objective/kl"),
        _one("entropy", _("Entropy"), _NATS, "rollout/objective/entropy"),
        _one("length", _("Answer length"), _("tokens"), "rollout/answer/length"),
        _one("clip", _("Clip fraction"), _("share"), "rollout/policy/clipfrac_avg"),
        _one("ended", _("Answers that end"), _("share"), "rollout/answer/eos_rate"),
    ),
    "generate": (
        _one("length", _("Answer length"), _("tokens"), "rollout/answer/length"),
        _one("ended", _("Answers that end"), _("share"), "rollout/answer/eos_rate"),
    ),
    "evaluate": (
        _cloze("missing", _("Missing word: right cloze items")),
        _cloze("next", _("Next word: right cloze items")),
    ),
    "map": (
        _one("kept", _("True neighbours kept"), _("share"), "eval/map/kept_tsne"),
        _one("meaning", _("Neighbours nearer than others"), _("cosine"), "eval/map/gap"),
    ),
}

# stage → name in the template's words, and the keys of `final`: value, low, high
KEY_METRICS = {
    "pretrain": ("perplexity", "heldout_perplexity", "", ""),
    "sft": ("answer_loss", "heldout_nll", "", ""),
    "reward": ("accuracy", "accuracy", "accuracy_low", "accuracy_high"),
    "ppo": ("gain", "reward_gain", "reward_gain_low", "reward_gain_high"),
    "dpo": ("accuracy", "accuracy", "accuracy_low", "accuracy_high"),
    "generate": ("answers", "answers", "", ""),
    "evaluate": ("cloze", "cloze_missing_accuracy", "cloze_missing_accuracy_low", "cloze_missing_accuracy_high"),
    "map": ("kept", "kept_tsne", "", ""),
}


def key_metric(stage: str, final: Mapping[str, float | None]) -> KeyMetric | None:
    """The number by which a stage's result is known; None before there is one."""
    name, value, low, high = KEY_METRICS[stage]
    found = final.get(value)
    return None if found is None else KeyMetric(name, found, final.get(low), final.get(high))


@dataclass(frozen=True)
class Drawn:
    """A chart with the points of one run.

    legend: a series' label with what its caption says, or None before it has points. spark: lines for a page without
    a script, as SVG points in 100 x 100. points: by series.
    """

    chart: Chart
    legend: tuple[tuple[Words, Summary | None], ...]
    spark: tuple[str, ...]
    points: tuple[Sequence[Point], ...]

    @property
    def declared(self) -> str:
        """The keys in their order: JSON for the island that draws them."""
        return json.dumps([series.key for series in self.chart.series])

    @property
    def rows(self) -> list[tuple[int, list[float | None]]]:
        """The same points as a table: (step, a value a series)."""
        columns = [{point[0]: point[1] for point in points} for points in self.points]
        steps = sorted({step for column in columns for step in column})
        return [(step, [column.get(step) for column in columns]) for step in steps]


def drawn(stage: str, points: Mapping[str, Sequence[Point]]) -> list[Drawn]:
    """The stage's charts, in their order, also where there are no points yet."""
    return [_drawn(chart, points) for chart in CHARTS[stage]]


def others(stage: str, points: Mapping[str, Sequence[Point]]) -> list[Drawn]:
    """One chart for each key that no declared chart names, in alphabetical order."""
    named = {series.key for chart in CHARTS[stage] for series in chart.series}
    return [_drawn(_one(key, key, "", key), points) for key in sorted(points.keys() - named)]


def _drawn(chart: Chart, points: Mapping[str, Sequence[Point]]) -> Drawn:
    found = tuple(points.get(series.key, ()) for series in chart.series)
    legend = tuple((series.label, summary(values)) for series, values in zip(chart.series, found, strict=True))
    return Drawn(chart=chart, legend=legend, spark=_sparks(found), points=found)


def summary(points: Sequence[Point]) -> Summary | None:
    """Last, least and greatest of the finite points; None where there are none."""
    finite = [point for point in points if _is_finite(point[1])]
    if not finite:
        return None
    least, greatest = min(finite, key=lambda p: p[1]), max(finite, key=lambda p: p[1])
    return Summary(
        last=finite[-1][1],
        least=least[1],
        least_at=least[0],
        greatest=greatest[1],
        greatest_at=greatest[0],
        gaps=len(points) - len(finite),
    )


def _sparks(series: Sequence[Sequence[Point]]) -> tuple[str, ...]:
    """Lines of one scale; a series of one point is drawn as a short flat line."""
    finite = [[(point[0], point[1]) for point in points if _is_finite(point[1])] for points in series]
    every = [point for points in finite for point in points]
    if not every:
        return ()
    left, right = min(x for x, _ in every), max(x for x, _ in every)
    low, high = min(y for _, y in every), max(y for _, y in every)
    width, height = (right - left) or 1, (high - low) or 1
    return tuple(
        " ".join(f"{100 * (x - left) / width:.1f},{100 - 100 * (y - low) / height:.1f}" for x, y in points)
        for points in finite
    )


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and isfinite(value)
