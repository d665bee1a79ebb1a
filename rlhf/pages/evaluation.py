"""What an evaluate run measured, for its page: people's line in the charts, a table a mode, and what was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django.db.models import QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from rlhf import readings
from rlhf.beliefs import columns
from rlhf.models import Model, Probe, Run
from rlhf.pages.charts import Point
from rlhf.registry import has_read_corrections
from rlhf.tokenizing import shown as visible

MODES: dict[str, str | Promise] = {
    "missing": gettext_lazy("Missing word"),
    "next": gettext_lazy("Next word"),
    "infill": gettext_lazy("Missing word, by fill in the middle"),
}
NOTABLE: dict[str, str | Promise] = {
    "highest_reward": gettext_lazy("Answers with the highest reward"),
    "widest_spread": gettext_lazy("Answers on which the reward's heads agree least"),
}
MOST_PROBES, MOST_COLUMNS = 20, 8
Json = dict[str, Any]  # Any: a JSON object


class Line(NamedTuple):
    """One model in one mode. figures: as the trainer measured them; low and high of a 95 % interval.

    corrected: it learned from corrections of the game's own sentences, so it is not comparable here.
    """

    label: str
    figures: Json
    corrected: bool


class Part(NamedTuple):
    """One mode: its models in their order, and people's figures where people answered."""

    title: str | Promise
    lines: list[Line]
    people: Json | None


class Believed(NamedTuple):
    """What came out likeliest: a column a probe, a row a model or an earlier state. cells: (token, share) or None."""

    probes: list[Probe]
    rows: list[tuple[str, list[tuple[str, str] | None]]]


def with_people(run: Run, points: Mapping[str, Sequence[Point]]) -> dict[str, Sequence[Point]]:
    """The points with people's share right at each step where a model's was measured, so that a line can be drawn."""
    people = _cloze(run).get("people", {})
    lines = {
        f"people/{mode}": [[step, found["accuracy"], seconds] for step, _value, seconds in points[key]]
        for mode, found in people.items()
        if found and (key := f"eval/cloze/{mode}_accuracy") in points
    }
    return {**points, **lines}


def report(run: Run) -> list[Part]:
    """A table a mode; none where the run was not measured on cloze items. The run's inputs are read once.

    A walk down its lineage for each adapter: whether it has read corrections.
    """
    found = _cloze(run)
    if not found:
        return []
    models = {used.name: used.model for used in run.inputs.select_related("model") if used.model}
    read = {name for name, model in models.items() if model.base_id and has_read_corrections(model)}
    parts = []
    for mode, title in MODES.items():
        lines = [
            Line(_label(one, models), one[mode], one["name"].partition(".")[0] in read)
            for one in found["models"]
            if one.get(mode)
        ]
        if lines:
            parts.append(Part(title, lines, found.get("people", {}).get(mode)))
    return parts


def kept_out(run: Run) -> list[tuple[str, Json]]:
    """(label, figures) of each model that was measured on held-out rows. The run's inputs are read once."""
    found: Json = ((run.result or {}).get("evaluation") or {}).get("heldout") or {}
    if run.stage != Run.Stage.EVALUATE or not found:
        return []
    models = {used.name: used.model for used in run.inputs.select_related("model") if used.model}
    return [(_label(one, models), one) for one in found["models"]]


def believed(run: Run) -> Believed:
    """The likeliest next token of each model that was asked. Five queries, whatever was asked."""
    probes = _probes_of(run)
    found = [columns(probe, probe.runs.all()) for probe in probes]
    labels: dict[str, str] = {}
    for one in found:
        labels |= dict(zip((column.key for column in one), readings.labels(one, named=True), strict=True)) | labels
    likeliest = [{column.key: column.next[0] for column in one if column.next} for one in found]
    rows = [(label, [_said(one.get(key)) for one in likeliest]) for key, label in labels.items()]
    return Believed(probes, [row for row in rows if any(row[1])])


def notable(run: Run) -> list[tuple[str | Promise, list[Json]]]:
    """(title, answers) of each list that a policy's last rollout left for people to look at; also while it pauses."""
    found: Json = (run.result or {}).get("evaluation") or {}
    return [(title, found[name]) for name, title in NOTABLE.items() if found.get(name)]


def _probes_of(run: Run) -> list[Probe]:
    """Of an evaluate run its own; of a run that made a base, the standing questions that this base was asked."""
    if run.stage == Run.Stage.EVALUATE:
        asked: QuerySet[Probe] = run.probes.all()
    elif run.stage == Run.Stage.PRETRAIN:
        stands = run.project.probes.filter(standing=True).values("prompt")
        asked = Probe.objects.filter(runs__inputs__name="base", runs__inputs__model__run=run, prompt__in=stands)
    else:
        return []
    rows = asked.distinct().order_by("pk").prefetch_related("runs__inputs__model")
    by_words = {(one.prompt, one.as_question): one for one in rows[:MOST_PROBES]}
    return list(by_words.values())[:MOST_COLUMNS]


def _said(likeliest: tuple[str, float] | None) -> tuple[str, str] | None:
    return None if likeliest is None else (visible(likeliest[0].encode()), f"{likeliest[1]:.0%}".replace("%", " %"))


def _cloze(run: Run) -> Json:
    found: Json = ((run.result or {}).get("evaluation") or {}).get("cloze") or {}
    return found if run.stage == Run.Stage.EVALUATE else {}


def _label(entry: Json, models: Mapping[str, Model]) -> str:
    name, _dot, milestone = entry["name"].partition(".")
    called = str(models.get(name, name))
    step = entry.get("step")
    if not milestone or step is None:
        return called
    return _("%(name)s, step %(n)s") % {"name": called, "n": f"{step:,}"}
