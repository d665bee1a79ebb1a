"""The picture of what formed a model: a column a run, computed here; the template only writes it down."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.urls import reverse

Json = dict[str, Any]  # Any: a node as `rlhf.registry.lineage` gives it

BOX, GUTTER, HEIGHT, ROW = 166, 44, 52, 84  # px
TOP = 32  # under the columns' names
LANE = 12  # between two lines in one gutter or below the boxes
ROWS = {"snapshot": 1, "run": 2, "model": 3}


@dataclass(frozen=True)
class Box:
    """A node in its place. second: lines of small text follow from its kind in the template."""

    node: Json
    url: str
    x: int
    y: int
    current: bool

    @property
    def middle(self) -> int:
        return self.x + BOX // 2

    @property
    def foot(self) -> int:
        return self.y + HEIGHT

    @property
    def above(self) -> int:
        """The base line of text above it."""
        return self.y - 10


@dataclass(frozen=True)
class Picture:
    """columns: (x, name of the stage, number). people: a snapshot's decisions above it. paths: lines as SVG path data.

    steps: the same as a list, each run with what it read and what it made, newest first.
    """

    width: int
    height: int
    box: int
    boxes: list[Box]
    columns: list[tuple[int, Json]]
    people: list[Box]
    paths: list[str]
    steps: list[Json]


def picture(lineage: Json) -> Picture:
    """A layout in pixels of `registry.lineage`. Runs stand side by side in the order in which they were launched."""
    nodes = {node["id"]: node for node in lineage["nodes"]}
    edges = [(used, made) for used, made in lineage["edges"] if used in nodes and made in nodes]
    runs = sorted((node for node in nodes.values() if node["type"] == "run"), key=lambda node: node["number"])
    column = _columns(runs, nodes, edges)
    boxes = _boxes(nodes, column, current=lineage["nodes"][0]["id"])
    lanes = _Lanes(boxes)
    paths = [lanes.path(used, made) for used, made in _direct(edges, nodes)]
    people = [box for box in boxes.values() if box.node["type"] == "snapshot" and box.node["decisions"]]
    return Picture(
        width=max((box.x for box in boxes.values()), default=0) + BOX + 2,
        height=max((box.foot for box in boxes.values()), default=0) + LANE * (lanes.below + 1),
        box=BOX,
        boxes=list(boxes.values()),
        columns=[(place * (BOX + GUTTER) + 1, run) for place, run in enumerate(runs)],
        people=people,
        paths=paths,
        steps=[_step(run, nodes, edges) for run in reversed(runs)],
    )


def _columns(runs: list[Json], nodes: dict[str, Json], edges: list[tuple[str, str]]) -> dict[str, int]:
    """Node → column: a run has its own, what it made and what it was the first to read stand with it."""
    column = {run["id"]: place for place, run in enumerate(runs)}
    for used, made in edges:
        if nodes[made]["type"] == "model":
            column[made] = column[used]
    for used, made in sorted(edges, key=lambda edge: column.get(edge[1], 0)):
        column.setdefault(used, column.get(made, 0))
    for name in nodes:
        column.setdefault(name, 0)
    return column


def _boxes(nodes: dict[str, Json], column: dict[str, int], *, current: str) -> dict[str, Box]:
    """Snapshots above runs above models; two of one kind in a column stand below each other."""
    most: dict[str, int] = defaultdict(lambda: 1)
    stacked: dict[tuple[int, str], list[Json]] = defaultdict(list)
    for node in sorted(nodes.values(), key=lambda node: (node["type"], node["number"])):
        stacked[column[node["id"]], node["type"]].append(node)
        most[node["type"]] = max(most[node["type"]], len(stacked[column[node["id"]], node["type"]]))
    starts = {"snapshot": 1, "run": 1 + most["snapshot"], "model": 1 + most["snapshot"] + most["run"]}
    found = {}
    for (place, kind), same in stacked.items():
        shift = most[kind] - len(same) if kind == "snapshot" else 0  # close to the run that reads it
        for index, node in enumerate(same):
            x, y = place * (BOX + GUTTER) + 1, TOP + (starts[kind] - 1 + shift + index) * ROW + ROW - HEIGHT
            url = reverse(kind, args=[node["uuid"]])
            found[node["id"]] = Box(node, url, x, y, current=node["id"] == current)
    return found


def _direct(edges: Iterable[tuple[str, str]], nodes: dict[str, Json]) -> list[tuple[str, str]]:
    """The edges worth a line: a run that starts from adapters has their base too, and the list says so."""
    every = sorted(set(edges))
    adapted = {made for used, made in every if nodes[used]["type"] == "model" and nodes[used]["kind"] != "base"}
    return [(used, made) for used, made in every if nodes[used]["kind"] != "base" or made not in adapted]


class _Lanes:
    """Right-angled lines between boxes; each that shares a gutter or the ground gets a lane of its own."""

    def __init__(self, boxes: dict[str, Box]) -> None:
        self.boxes = boxes
        self.below = 0
        self._gutter: dict[int, int] = defaultdict(int)
        self._into: dict[str, int] = defaultdict(int)
        self._ground = max((box.foot for box in boxes.values()), default=0)

    def path(self, used: str, made: str) -> str:
        """From below the one to the top of the other, or from its right side to the left side of the other."""
        start, end = self.boxes[used], self.boxes[made]
        if start.x == end.x:
            return f"M{start.middle} {start.foot}V{end.y}"
        y = end.y + 14 + LANE * min(self._into[made], 2)
        self._into[made] += 1
        turn = end.x - 10 - 8 * self._lane(end.x)
        if end.x - start.x == BOX + GUTTER and end.x > start.x:
            return f"M{start.x + BOX} {start.y + HEIGHT // 2}H{turn}V{y}H{end.x}"
        self.below += 1
        ground = self._ground + LANE * self.below
        out = start.x + BOX + 6 + 6 * (self.below % 3)
        return f"M{start.x + BOX} {start.y + HEIGHT // 2}H{out}V{ground}H{turn}V{y}H{end.x}"

    def _lane(self, x: int) -> int:
        self._gutter[x] += 1
        return min(self._gutter[x] - 1, 3)


def _step(run: Json, nodes: dict[str, Json], edges: list[tuple[str, str]]) -> Json:
    made = [nodes[b] for a, b in edges if a == run["id"]]
    used = [nodes[a] for a, b in edges if b == run["id"]]
    return {"run": run, "made": _linked(made), "used": _linked(used), "url": reverse("run", args=[run["uuid"]])}


def _linked(nodes: list[Json]) -> list[Json]:
    return [node | {"url": reverse(node["type"], args=[node["uuid"]])} for node in nodes]
