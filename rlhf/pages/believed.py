"""A probe on its page: what is on the screen of its three tabs, as text and numbers that a template only writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from annotate.models import Project
from annotate.pages.request import Request
from rlhf import readings
from rlhf.access import probe_for
from rlhf.beliefs import Column, Table, columns, runs_of, table
from rlhf.models import Model, Probe
from rlhf.pages.pipeline import share_of
from rlhf.probes import OPEN_SENTENCE, is_open
from rlhf.tokenizing import shown as visible

TABS = ("next", "tokens", "reward")
COLDEST, HOTTEST = 0.1, 2.0
Json = dict[str, Any]  # Any: a JSON object


class Cell(NamedTuple):
    """A probability as it is written, and as the length of its bar."""

    said: str
    percent: float


class Compared(NamedTuple):
    """A log-probability in nats, and the difference to the base's; empty where that is the base, or not asked."""

    said: str
    difference: str


@dataclass(frozen=True)
class Answered:
    """One answer under the models of one base: its tokens, sum and mean, a cell a model."""

    number: int
    text: str
    names: list[str]
    totals: list[tuple[str | Promise, list[Compared]]]
    tokens: list[tuple[str, list[Compared]]]


class Scored(NamedTuple):
    """An answer by its rewards, the highest first. place: people's mean place, where they ranked it."""

    number: int
    text: str
    rewards: list[str]
    place: str


@dataclass(frozen=True)
class Choice:
    """What the address chose to look at."""

    tab: str
    temperature: float
    step: int | None


@dataclass(frozen=True)
class View:
    """A probe as one person sees it: named columns, and those of them that are on the screen."""

    probe: Probe
    choice: Choice
    found: list[tuple[str, Column]]
    steps: list[int]

    @property
    def answering(self) -> list[tuple[str, Column]]:
        return [one for one in self.found if one[1].kind != Model.Kind.REWARD]

    @property
    def on_screen(self) -> list[tuple[str, Column]]:
        return [one for one in self.answering if one[1].step in (None, self.choice.step)]


def view_of(request: Request, project: Project, *, reader: bool) -> tuple[View | None, str]:
    """The probe that the address names, or why it is not shown."""
    try:
        uuid = UUID(request.GET.get("probe", ""))
    except ValueError:
        return None, ""
    probe = probe_for(request.user, uuid)
    if probe.project_id != project.pk:
        return None, ""
    if not reader and is_open(project, [probe.prompt, *probe.answers]):
        return None, str(OPEN_SENTENCE)
    found = [_visible(one) for one in columns(probe, runs_of(probe))]
    names = readings.labels(found, named=reader)
    steps = sorted({one.step for one in found if one.step is not None})
    return View(probe, _choice(request.GET, steps), list(zip(names, found, strict=True)), steps), ""


def _visible(column: Column) -> Column:
    return replace(column, next=tuple((visible(text.encode()), p) for text, p in column.next))


def _choice(data: Mapping[str, str], steps: Sequence[int]) -> Choice:
    tab = data.get("tab", "")
    wanted = data.get("step", "")
    step = int(wanted) if wanted.isdecimal() and int(wanted) in steps else (steps[-1] if steps else None)
    try:
        temperature = round(float(data.get("temperature", "1")), 2)
    except ValueError:
        temperature = 1.0
    fits = COLDEST <= temperature <= HOTTEST
    return Choice(tab if tab in TABS else TABS[0], temperature if fits else 1.0, step)


def seen(view: View) -> Json:
    """All that the part of the page that polls shows."""
    state = readings.progress_of(view.probe)
    shown = [column for _label, column in view.on_screen]
    at = view.steps.index(view.choice.step) if view.choice.step is not None else 0
    return {
        "view": view,
        "state": state,
        "done": share_of(state["progress"]),
        "percent": round(100 * share_of(state["progress"]), 1),
        "ended": state["state"] == "finished",
        "cursor": readings.cursor_of(view.probe, state["note"]),
        "live_url": reverse("api:probe-live", args=[view.probe.uuid]),
        "failures": [(label, one.sentence) for label, one in view.found if one.state == "failed"],
        "addresses": {tab: _address(view, tab=tab) for tab in TABS},
        "earlier": _address(view, step=view.steps[at - 1]) if at else "",
        "later": _address(view, step=view.steps[at + 1]) if at + 1 < len(view.steps) else "",
        "heads": [(label, f"{one.entropy:.2f}" if one.entropy is not None else "") for label, one in view.on_screen],
        **_next(shown, table(shown, view.choice.temperature)),
        "data": _data(view),
        "answered": _answered(view) if view.choice.tab == "tokens" else [],
        **(_scored(view) if view.choice.tab == "reward" else {}),
    }


def _address(view: View, **changed: object) -> str:
    here = {"probe": view.probe.uuid, "tab": view.choice.tab}
    here |= {"step": view.choice.step} if view.choice.step is not None else {}
    here |= {"temperature": view.choice.temperature} if view.choice.temperature != 1.0 else {}
    return f"?{urlencode(here | changed)}"


def _next(shown: Sequence[Column], found: Table) -> Json:
    return {
        "rows": [(row.text, [_cell(p) for p in row.cells]) for row in found.rows],
        "others": [_cell(p) for p in found.others],
    }


def _cell(p: float | None) -> Cell:
    """As `percent` in beliefs.js."""
    if p is None:
        return Cell("–", 0.0)
    return Cell("< 0.1 %" if 0 < p < 0.0005 else f"{100 * p:.1f} %", round(100 * p, 2))


def _data(view: View) -> Json:
    """What the script draws from."""
    given = [
        {"label": label, "step": one.step, "entropy": one.entropy, "other": one.other, "next": one.next}
        for label, one in view.answering
    ]
    return {"columns": given, "steps": view.steps, "step": view.choice.step, "temperature": view.choice.temperature}


def _answered(view: View) -> list[Answered]:
    """Each answer, under the models of each base by itself: other bases cut it into other tokens."""
    here = [(label, one) for label, one in view.on_screen if one.answers]
    bases = list(dict.fromkeys(one.base for _label, one in here))
    return [
        _weighed(number, text, [pair for pair in here if pair[1].base == base])
        for number, text in enumerate(view.probe.answers)
        for base in bases
    ]


def _weighed(number: int, text: str, pairs: Sequence[tuple[str, Column]]) -> Answered:
    weighed = [one.answers[number] for _label, one in pairs]
    own = next((one.answers[number] for _label, one in pairs if one.key == one.base), None)
    length = min(len(one.tokens) for one in weighed)

    def compared(values: Sequence[float], reference: float | None) -> list[Compared]:
        return [
            Compared(_nats(value), "" if reference is None or one is own else _nats(value - reference, sign=True))
            for value, one in zip(values, weighed, strict=True)
        ]

    return Answered(
        number=number + 1,
        text=text,
        names=[label for label, _one in pairs],
        totals=[
            (_("Sum"), compared([one.sum for one in weighed], own.sum if own else None)),
            (_("Mean"), compared([one.mean for one in weighed], own.mean if own else None)),
        ],
        tokens=[
            (
                visible(weighed[0].tokens[at].text.encode()),
                compared([one.tokens[at].logp for one in weighed], own.tokens[at].logp if own else None),
            )
            for at in range(length)
        ],
    )


def _nats(value: float, *, sign: bool = False) -> str:
    return (f"{value:+.2f}" if sign else f"{value:.2f}").replace("-", "−")


def _scored(view: View) -> Json:
    """The answers by what the first reward model gives, the highest first."""
    scoring = [(label, one) for label, one in view.found if one.kind == Model.Kind.REWARD and one.rewards]
    ranking = readings.ranking_of(view.probe)
    order = list(range(len(view.probe.answers)))
    if scoring:
        order.sort(key=lambda at: -scoring[0][1].rewards[at].value)
    rows = [
        Scored(
            at + 1,
            view.probe.answers[at],
            [_reward(one, at) for _label, one in scoring],
            f"{ranking['places'][at]:.1f}" if ranking else "",
        )
        for at in order
    ]
    return {"scoring": [label for label, _one in scoring], "scored": rows if scoring else [], "ranking": ranking}


def _reward(column: Column, at: int) -> str:
    reward = column.rewards[at]
    spread = "" if reward.spread is None else f" ± {reward.spread:.2f}"
    return _nats(reward.value, sign=True) + spread
