"""What models believe of a probe, put together from what its runs left: next tokens, each token, rewards.

Nothing here launches or writes, and nothing is computed by a model: every number is one that an evaluate run measured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import exp, log
from typing import Any, NamedTuple

from django.utils.translation import gettext as _

from rlhf.models import Probe, Run

TOP = 10  # likeliest tokens of each model that the table shows; 20 are stored
MEMORY = ("out_of_memory", "killed")
Json = dict[str, Any]  # Any: a JSON object


class Token(NamedTuple):
    """A token of an answer, with its log-probability in nats after all before it."""

    text: str
    logp: float


@dataclass(frozen=True)
class Weighed:
    """An answer under one model. sum, mean: of the tokens' log-probabilities, in nats."""

    sum: float
    mean: float
    tokens: tuple[Token, ...]


@dataclass(frozen=True)
class Reward:
    """spread: of an ensemble, where the adapter has one."""

    value: float
    spread: float | None


@dataclass(frozen=True)
class Column:
    """One model, or one earlier state of it. state: here, waiting or failed; sentence: why it failed.

    next: the likeliest tokens as (text, p), the likeliest first; other: the mass of all the rest. entropy: in nats.
    answers: as the probe has them; rewards: the same of a reward adapter.
    """

    key: str
    kind: str
    name: str
    base: str
    step: int | None
    state: str = "waiting"
    sentence: str = ""
    entropy: float | None = None
    other: float | None = None
    next: tuple[tuple[str, float], ...] = ()
    answers: tuple[Weighed, ...] = ()
    rewards: tuple[Reward, ...] = ()


@dataclass(frozen=True)
class Row:
    """A token in the union of the tops. cells: its probability by column, None where it is not among the stored."""

    text: str
    cells: list[float | None]


@dataclass(frozen=True)
class Table:
    """others: by column, the mass of what has no row; None at another temperature than 1, where it is not known."""

    rows: list[Row] = field(default_factory=list)
    others: list[float | None] = field(default_factory=list)


def planned(run: Run) -> dict[str, str]:
    """What an evaluate run looks into: the name in its result → the key in `Probe.asked`. inputs must be at hand."""
    models = {used.name: str(used.model.uuid) for used in run.inputs.all() if used.model}
    found = {name or "base": models[name or "base"] for name in run.config.get("adapters", [""])}
    for entry in run.config.get("checkpoints", []):
        name, _dot, milestone = entry.partition(".")
        found[entry] = f"{models[name]}.{milestone}"
    reward = run.config.get("reward_adapter", "")
    return found | ({reward: models[reward]} if reward else {})


def runs_of(probe: Probe) -> list[Run]:
    """The probe's runs with their inputs, the newest last."""
    return list(probe.runs.prefetch_related("inputs__model").order_by("pk"))


def columns(probe: Probe, runs: Iterable[Run] | None = None) -> list[Column]:
    """What is known of each model that was asked, in the order asked. Three queries, none where runs are given."""
    known = found(probe.prompt, probe.answers, runs_of(probe) if runs is None else runs)
    return [Column(**(_asked(one) | known.get(one["key"], {"state": "failed"}))) for one in probe.asked]


def found(prompt: str, answers: Sequence[str], runs: Iterable[Run]) -> dict[str, Json]:
    """By key, the fields of a Column that these runs know. What is here wins over what waits, that over a failure."""
    known: dict[str, Json] = {}
    for run in runs:
        for key, told in _told(prompt, answers, run).items():
            if known.get(key, {}).get("state") != "here" or told["state"] == "here":
                known[key] = told
    return known


def _asked(entry: Json) -> Json:
    return {name: entry[name] for name in ("key", "kind", "name", "base", "step")}


def _told(prompt: str, answers: Sequence[str], run: Run) -> dict[str, Json]:
    """What one run says of each key that it looks into."""
    names = planned(run)
    if run.state in Run.ACTIVE:
        return {key: {"state": "waiting"} for key in names.values()}
    if run.state != Run.State.FINISHED:
        return {key: {"state": "failed", "sentence": why_failed(run)} for key in names.values()}
    tokens = ((run.result or {}).get("evaluation") or {}).get("tokens") or {}
    too_large = _("The run kept no result: it was too large. Ask fewer models, or give shorter answers.")
    told: dict[str, Json] = {key: {"state": "failed", "sentence": too_large} for key in names.values()}
    same = next((one for one in tokens.get("prompts", ()) if one["prompt"] == prompt), {"models": ()})
    told |= {names[one["name"]]: _next(one) for one in same["models"] if one["name"] in names}
    told |= {names[one["name"]]: _rewards(one) for one in tokens.get("rewards", ()) if one["name"] in names}
    return told


def why_failed(run: Run) -> str:
    """Why a run has no answer, and what one can do."""
    failure = run.failure or {}
    if failure.get("code") in MEMORY:
        return _("The memory was not enough for these models at once. Ask fewer of them.")
    if run.state == Run.State.CANCELLED:
        return _("The run was cancelled.")
    return str(failure.get("sentence") or _("The run failed."))


def _next(entry: Json) -> Json:
    if entry.get("error"):
        code, sentence = entry["error"].get("code"), entry["error"].get("sentence", "")
        if code in MEMORY:
            sentence = _("The memory was not enough for this model. Ask it alone.")
        return {"state": "failed", "sentence": sentence}
    return {
        "state": "here",
        "entropy": entry["entropy"],
        "other": entry["other"],
        "next": tuple((one["text"], one["p"]) for one in entry["next"]),
        "answers": tuple(_weighed(one) for one in entry.get("answers") or ()),
    }


def _weighed(answer: Json) -> Weighed:
    tokens = tuple(Token(one["text"], one["logp"]) for one in answer["tokens"])
    return Weighed(answer["sum"], answer["mean"], tokens)


def _rewards(entry: Json) -> Json:
    if entry.get("error"):
        return {"state": "failed", "sentence": entry["error"].get("sentence", "")}
    return {"state": "here", "rewards": tuple(Reward(one["reward"], one.get("spread")) for one in entry["answers"])}


# The table of next words


def reweighted(top: Sequence[tuple[str, float]], temperature: float) -> list[float]:
    """The probabilities of the stored tokens. At 1 those stored; else p^(1/T), shared out among these tokens alone.

    A softmax at temperature T is proportional to exp(z / T), and so to p^(1/T): among the stored tokens that is exact,
    and what the others would get cannot be known from here.
    """
    if temperature == 1.0:
        return [p for _text, p in top]
    logs = [log(max(p, 1e-300)) / temperature for _text, p in top]
    most = max(logs, default=0.0)
    masses = [exp(one - most) for one in logs]
    return [mass / sum(masses) for mass in masses]


def table(shown: Sequence[Column], temperature: float = 1.0) -> Table:
    """The union of each column's TOP likeliest tokens, and what is left of each; `rows` in belief-view.js is the same.

    Tokens that read the same count together. The rows come by the sum of their probabilities, the greatest first.
    """
    columns = [_masses(column, temperature) for column in shown]
    union = {text for column in shown for text, _p in column.next[:TOP]}
    rows = [Row(text, [masses.get(text) for masses in columns]) for text in sorted(union)]
    rows.sort(key=lambda row: -sum(cell or 0.0 for cell in row.cells))
    return Table(
        rows, [_other(column, masses, union, temperature) for column, masses in zip(shown, columns, strict=True)]
    )


def _masses(column: Column, temperature: float) -> Mapping[str, float]:
    found: dict[str, float] = defaultdict(float)
    for (text, _p), p in zip(column.next, reweighted(column.next, temperature), strict=True):
        found[text] += p
    return dict(found)


def _other(column: Column, masses: Mapping[str, float], union: set[str], temperature: float) -> float | None:
    if column.other is None or temperature != 1.0:
        return None
    return column.other + sum(p for text, p in masses.items() if text not in union)
