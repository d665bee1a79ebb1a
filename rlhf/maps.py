"""What a map run left: points, labels, true neighbours, read from its stored files. Nothing here changes a map.

A map of words is for everybody in the project; one of documents shows their beginnings, and is for readers of runs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple
from uuid import UUID

import numpy as np
import numpy.typing as npt
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404
from django.utils.translation import gettext as _

from annotate.models import Project, Role, User
from rlhf import storage
from rlhf.access import run_for
from rlhf.errors import LaunchError
from rlhf.models import Run

READERS = {Role.REVIEWER, Role.ADMIN}
WORDS, DOCUMENTS = "words", "documents"
STORED = 20  # true neighbours of a point
LISTED = 10  # of them on the page, as many as a picture is asked about
KEPT = 4  # maps in memory: the largest has 20,000 labels
Layout = Literal["pca", "tsne"]
LAYOUTS: tuple[Layout, ...] = ("pca", "tsne")
Json = dict[str, Any]  # Any: a JSON object


@dataclass(frozen=True, slots=True)
class Label:
    """A point. count: how often a word stands in the corpus; how many tokens a document has."""

    text: str
    count: int
    source: str
    language: str


class Neighbour(NamedTuple):
    """place: of the point among the map's."""

    place: int
    label: Label
    cosine: float


@dataclass(frozen=True)
class Stage:
    """One state of the base on the map. kept: the share of true neighbours by picture. gap: see `Map`."""

    step: int
    points: int
    kept: dict[str, float]
    gap: float


@dataclass(frozen=True)
class Map:
    """A finished map. stages: in order of step, the base itself last.

    A stage's gap is the mean cosine of 200 pairs that are neighbours in the last state, less that of 200 random ones;
    pairs of words share no token.
    """

    sha256: str
    kind: str
    labels: list[Label]
    stages: list[Stage]

    @property
    def last(self) -> Stage:
        return self.stages[-1]

    @cached_property
    def places(self) -> dict[str, int]:
        """Each label's text without its case → its place."""
        return {label.text.casefold(): place for place, label in enumerate(self.labels)}

    def found(self, text: str, *, most: int) -> list[int]:
        """Places of the labels that are a text, then that begin with it, then that hold it; greatest count first."""
        wanted = text.casefold().strip()
        if not wanted:
            return []
        written = [label.text.casefold() for label in self.labels]
        holding = [place for place, one in enumerate(written) if wanted in one]
        return sorted(holding, key=lambda at: (written[at] != wanted, not written[at].startswith(wanted)))[:most]


@dataclass(frozen=True)
class Near:
    """All true neighbours of a map [N, 20] with their cosines, nearest first."""

    true: npt.NDArray[np.uint32]
    cosine: npt.NDArray[np.float32]

    def holds(self, one: int, other: int) -> bool:
        return bool((self.true[one] == other).any())

    def cosine_of(self, one: int, other: int) -> tuple[float, bool]:
        """The cosine of two points, and True; where neither lists the other the most it may be, and False."""
        for here, there in ((one, other), (other, one)):
            found = np.flatnonzero(self.true[here] == there)
            if len(found):
                return float(self.cosine[here, found[0]]), True
        return float(min(self.cosine[one, -1], self.cosine[other, -1])), False


def maps_of(project: Project, roles: set[str]) -> QuerySet[Run]:
    """The finished map runs that these roles may look at, the newest first."""
    return _open_to(project, roles).filter(state=Run.State.FINISHED)


def attempts_of(project: Project, roles: set[str]) -> QuerySet[Run]:
    """The map runs that did not end as maps, or did not end yet, the newest first."""
    return _open_to(project, roles).exclude(state=Run.State.FINISHED)


def _open_to(project: Project, roles: set[str]) -> QuerySet[Run]:
    runs = Run.objects.filter(project=project, stage=Run.Stage.MAP).order_by("-number")
    return runs if roles & READERS else runs.filter(config__kind=WORDS)


def map_run_for(user: User, uuid: UUID) -> Run:
    """The finished map run, if user may look at it; else Http404 or PermissionDenied. Three queries."""
    run = run_for(user, uuid)
    roles = user.roles(run.project)
    if not roles or (run.config.get("kind") != WORDS and not roles & READERS):
        raise PermissionDenied
    if run.stage != Run.Stage.MAP or run.state != Run.State.FINISHED:
        raise Http404
    return run


def loaded(run: Run) -> Map:
    """A finished run's map. Raises LaunchError with code map_missing."""
    return _read(_hash_of(run, "labels.json"))


def labels(run: Run) -> bytes:
    """The same as the run wrote it: JSON. Raises LaunchError with code map_missing."""
    return _file(_hash_of(run, "labels.json")).read_bytes()


def points(run: Run, step: int, layout: Layout) -> bytes:
    """A picture: float32, little-endian, two a point, in [-1, 1]. Raises LaunchError with no_picture, map_missing."""
    return _file(_hash_of(run, f"{layout}-{step}.f32")).read_bytes()


def neighbours(run: Run, place: int, *, most: int = STORED) -> list[Neighbour]:
    """The true neighbours of a point, nearest first. Raises Http404 where there is no such point; map_missing."""
    found = loaded(run)
    if not 0 <= place < len(found.labels):
        raise Http404
    places = _row(run, "true.u32", "<u4", place)[:most]
    cosines = _row(run, "cosine.f32", "<f4", place)[:most]
    return [Neighbour(int(one), found.labels[one], float(cosine)) for one, cosine in zip(places, cosines, strict=True)]


def near(run: Run) -> Near:
    """The lists of all points. Raises LaunchError with code map_missing."""
    return _lists(_hash_of(run, "true.u32"), _hash_of(run, "cosine.f32"))


@lru_cache(maxsize=KEPT)
def _lists(true: str, cosine: str) -> Near:
    places = np.fromfile(_file(true), dtype="<u4").reshape(-1, STORED)
    return Near(places, np.fromfile(_file(cosine), dtype="<f4").reshape(-1, STORED))


def _row(run: Run, name: str, kind: str, place: int) -> Sequence[Any]:  # Any: int or float
    file = _file(_hash_of(run, name))
    found: list[Any] = np.fromfile(file, dtype=kind, count=STORED, offset=place * STORED * 4).tolist()
    return found


def _hash_of(run: Run, path: str) -> str:
    """The stored file of a map by its name. Raises LaunchError with code no_picture."""
    files: list[storage.Stored] = (run.result or {}).get("files", {}).get("map", [])
    for file in files:
        if file["path"] == path:
            return file["sha256"]
    raise LaunchError("no_picture", _("This map has no such picture; its labels name the steps it has."), status=404)


def _file(sha256: str) -> Path:
    try:
        return storage.fetch(sha256)
    except storage.MissingFile:
        sentence = _("A stored file of this map is missing or damaged; run the map again.")
        raise LaunchError("map_missing", sentence, status=409) from None


@lru_cache(maxsize=KEPT)
def _read(sha256: str) -> Map:
    facts: Json = json.loads(_file(sha256).read_bytes())
    gaps = {one["step"]: one["gap"] for one in facts["curve"]}
    stages = [_stage(step, facts["kept"][str(step)], gaps[step]) for step in facts["steps"]]
    labels = [Label(one["text"], one["count"], one["source"], one["language"]) for one in facts["labels"]]
    return Map(sha256=sha256, kind=facts["kind"], labels=labels, stages=stages)


def _stage(step: int, kept: Json, gap: float) -> Stage:
    return Stage(step, kept["n"], {name: kept[name] for name in ("pca", "tsne", "random")}, gap)
