"""Models: take one in from a run, and walk from a model down to every decision that formed it, and back up."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Q

from annotate.models import Project, Text
from rlhf import milestones, storage
from rlhf.models import Model, Run, RunInput, Snapshot, next_number
from trainer.contract.configs import PpoConfig, parse, sha256
from trainer.contract.rundir import Output, folder_sha256

PLANNED: dict[str, set[str]] = {
    "pretrain": {Model.Kind.BASE},
    "sft": {Model.Kind.SFT},
    "reward": {Model.Kind.REWARD},
    "ppo": {Model.Kind.POLICY, Model.Kind.VALUE},
    "dpo": {Model.Kind.POLICY},
    "generate": {"generations"},
    "evaluate": {"evaluation"},
    "map": {"map"},
}
Json = dict[str, Any]  # Any: a JSON object


class NotAsPlanned(Exception):
    """What a run left is not what it was asked for: nothing of it is registered."""


def register(run: Run, folder: Path) -> list[Model]:
    """The models that a finished run left in its directory, stored and recorded. Raises NotAsPlanned.

    Checks that the result answers this run's config and parents, and that each output is what the result says.
    """
    result = _read(folder / "result.json")
    _check(run, folder, result)
    stored = {output["name"]: storage.put_folder(folder / output["path"]) for output in result["outputs"]}
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=run.project_id)
        made = [
            _record(run, output, files=stored[output["name"]], metrics=result["final"])
            for output in result["outputs"]
            if output["kind"] in Model.Kind.values
        ]
        files = {one["name"]: stored[one["name"]] for one in result["outputs"] if one["kind"] not in Model.Kind.values}
        Run.objects.filter(pk=run.pk).update(result=result | {"files": files, "evaluation": evaluation_of(folder)})
    return made


def record_base(*, project: Project, name: str, licence: str, folder: Path) -> Model:
    """A base that an operator brought, stored and recorded; the one that is there where it is the same folder."""
    sha256 = folder_sha256(folder)
    files = storage.put_folder(folder)
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)
        same = project.models.filter(kind=Model.Kind.BASE, sha256=sha256).first()
        return same or Model.objects.create(
            project=project,
            number=next_number(project.models.all()),
            kind=Model.Kind.BASE,
            name=name[:80],
            sha256=sha256,
            files=files,
            size_bytes=sum(file["bytes"] for file in files),
            licence=licence[:200],
        )


def _check(run: Run, folder: Path, result: Json) -> None:
    if result["config_sha256"] != run.config_sha256 or result["config_sha256"] != sha256(parse(run.config)):
        raise NotAsPlanned("The result belongs to another config than the run's.")
    planned = dict(run.inputs.filter(model__isnull=False).values_list("name", "model__sha256"))
    planned |= {entry: milestone.sha256 for entry, milestone in milestones.read_by(run).items()}
    if result["parents"] != planned:
        raise NotAsPlanned("The result names other parents than the run's.")
    kinds = [output["kind"] for output in result["outputs"]]
    models = {kind for kind in kinds if kind in Model.Kind.values}
    wanted = _planned(run)
    if not wanted <= set(kinds) or not models <= wanted or any(kinds.count(kind) > 1 for kind in wanted):
        raise NotAsPlanned(f"The result holds {', '.join(kinds)}; planned were {', '.join(sorted(wanted))}.")
    for output in result["outputs"]:
        _check_output(folder, output)


def _planned(run: Run) -> set[str]:
    """The kinds that a run was asked for; a policy that learns from groups of answers has no value beside it."""
    config = parse(run.config)
    if isinstance(config, PpoConfig) and not config.learns_value:
        return {Model.Kind.POLICY}
    return PLANNED[run.stage]


def _check_output(folder: Path, output: Output) -> None:
    place = folder / output["path"]
    if not place.resolve().is_relative_to(folder.resolve()) or not place.exists():
        raise NotAsPlanned(f"The output {output['name']} is missing.")
    if folder_sha256(place) != output["sha256"]:
        raise NotAsPlanned(f"The output {output['name']} is not what the result says.")


def _record(run: Run, output: Output, *, files: list[storage.Stored], metrics: Json) -> Model:
    kind = output["kind"]
    number = next_number(run.project.models.all())
    base = None if kind == Model.Kind.BASE else run.inputs.get(name="base").model
    return Model.objects.create(
        project=run.project,
        number=number,
        kind=kind,
        name=f"{kind}-{number}",
        sha256=output["sha256"],
        files=files,
        size_bytes=sum(file["bytes"] for file in files),
        run=run,
        base=base,
        licence=base.licence if base else "",
        metrics=metrics,
    )


def evaluation_of(folder: Path) -> Json | None:
    """What a run wrote into evaluation.json, where that is there and of a size to keep."""
    path = folder / "evaluation.json"
    if not path.is_file() or path.stat().st_size > 1_000_000:
        return None
    return _read(path)


def _read(path: Path) -> Json:
    """A JSON file as a database takes it: numbers that are not finite become null."""
    found: Json = json.loads(path.read_bytes(), parse_constant=lambda name: None)
    return found


# Lineage: models come from runs, runs read snapshots and models, rankings judge what runs generated


def lineage(model: Model) -> Json:
    """What formed a model: {nodes, edges}, the model first, each further step one depth more.

    Nodes: {id, type: model|run|snapshot, kind, number, name, uuid, depth}; a snapshot's also has {rows, decisions,
    people}, its counts. Edges: [id of what was used, id of what was made]. A few queries a depth.
    """
    nodes, edges = _walk([model], _sources_of)
    return {"nodes": nodes, "edges": edges}


def decisions(model: Model) -> list[Json]:
    """The decisions that reached a model, by the kind of snapshot that holds them: [{kind, rows, decisions, people}].

    people: how many different ones, by pseudonym; scripted: how many decisions were a script's.
    """
    nodes, _ = _walk([model], _sources_of)
    snapshots = Snapshot.objects.filter(uuid__in=[node["uuid"] for node in nodes if node["type"] == "snapshot"])
    found: dict[str, list[Snapshot]] = {}
    for snapshot in snapshots.order_by("pk"):
        found.setdefault(snapshot.kind, []).append(snapshot)
    return [
        {
            "kind": kind,
            "rows": sum(one.counts["train"] + one.counts["heldout"] for one in same),
            "decisions": sum(one.card["decisions"] for one in same),
            "scripted": sum(one.card["scripted"] for one in same),
            "people": len({name for one in same for name in one.card["people"]}),
        }
        for kind, same in found.items()
    ]


def corrections_read(model: Model) -> int:
    """How many corrections of the learning game stand in the snapshots that formed a model."""
    nodes, _ = _walk([model], _sources_of)
    snapshots = Snapshot.objects.filter(uuid__in=[node["uuid"] for node in nodes if node["type"] == "snapshot"])
    return sum(one.card.get("sources", {}).get("game", 0) for one in snapshots if one.kind == Snapshot.Kind.SFT)


def has_read_corrections(model: Model) -> bool:
    """Whether a benchmark on the game's paragraphs says less of this model: it has read sentences of them."""
    return corrections_read(model) > 0


def affected_by(text: Text) -> Json:
    """What a text reached: {snapshots, models}, nodes as in `lineage`, in order of age.

    Exact: the frozen files are searched for the text's id, and those of its edits.
    """
    wanted = {text.pk, *text.edits.values_list("pk", flat=True)}
    frozen = Snapshot.objects.filter(project=text.project).frozen().order_by("pk")
    holding = [snapshot for snapshot in frozen if _holds(snapshot, wanted)]
    nodes, _ = _walk(holding, _uses_of)
    return {
        "snapshots": [node for node in nodes if node["type"] == "snapshot"],
        "models": [node for node in nodes if node["type"] == "model"],
    }


Row = Model | Run | Snapshot
Neighbours = Callable[[Sequence[Row]], list[tuple[Row, Row]]]


def _walk(start: Sequence[Row], neighbours: Neighbours) -> tuple[list[Json], list[list[str]]]:
    """Breadth first from the start: nodes in order of depth, and the edges between them."""
    nodes: dict[str, Json] = {_id(row): _node(row, depth=0) for row in start}
    edges: set[tuple[str, str]] = set()
    frontier, depth = list(start), 0
    while frontier:
        depth += 1
        reached: dict[str, Row] = {}
        for used, made in neighbours(frontier):
            edges.add((_id(used), _id(made)))
            reached |= {_id(row): row for row in (used, made) if _id(row) not in nodes}
        nodes |= {name: _node(row, depth=depth) for name, row in reached.items()}
        frontier = list(reached.values())
    return list(nodes.values()), [list(edge) for edge in sorted(edges)]


def _sources_of(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """(used, made) for what these rows were made of."""
    runs = Run.objects.in_bulk({row.run_id for row in rows if isinstance(row, Model) and row.run_id})
    found: list[tuple[Row, Row]] = [(runs[row.run_id], row) for row in rows if isinstance(row, Model) and row.run_id]
    made = {row.pk: row for row in rows if isinstance(row, Run)}
    for used in RunInput.objects.filter(run__in=made).select_related("snapshot", "model").order_by("pk"):
        found.append((used.used, made[used.run_id]))
    for row in rows:
        if isinstance(row, Snapshot) and row.card.get("runs"):
            ranked = Run.objects.filter(project=row.project_id, number__in=row.card["runs"])
            found += [(run, row) for run in ranked.order_by("pk")]
    return found


def _uses_of(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """(used, made) for what was made of these rows."""
    runs = {row.pk: row for row in rows if isinstance(row, Run)}
    found: list[tuple[Row, Row]] = [
        (runs[model.run_id], model) for model in Model.objects.filter(run__in=runs).order_by("pk") if model.run_id
    ]
    snapshots = [row for row in rows if isinstance(row, Snapshot)]
    models = [row for row in rows if isinstance(row, Model)]
    inputs = RunInput.objects.filter(Q(snapshot__in=snapshots) | Q(model__in=models)).order_by("pk")
    found += [(used.used, used.run) for used in inputs.select_related("run", "snapshot", "model")]
    for run in runs.values():
        if run.stage == Run.Stage.GENERATE:
            rankings = Snapshot.objects.frozen().filter(project=run.project_id, kind=Snapshot.Kind.RANKING)
            found += [(run, one) for one in rankings.order_by("pk") if run.number in one.card.get("runs", ())]
    return found


def _holds(snapshot: Snapshot, wanted: set[int]) -> bool:
    """Whether a frozen row names one of these texts: as itself, as its prompt or as an answer."""
    for file in snapshot.files:
        if file["type"]:
            with storage.fetch(file["sha256"]).open(encoding="utf-8") as lines:
                if any(_names(json.loads(line), snapshot.kind, wanted) for line in lines):
                    return True
    return False


def _names(row: Json, kind: str, wanted: set[int]) -> bool:
    """document: of a blank or a correction of the learning game, whose own ids name no text."""
    ids = [row.get("prompt_id"), row.get("document"), *(answer["id"] for answer in row.get("answers", ()))]
    if kind != Snapshot.Kind.RANKING:
        ids.append(row["id"])
    return any(int(one) in wanted for one in ids if one is not None and one.isdecimal())


def _id(row: Row) -> str:
    return f"{type(row).__name__.lower()}-{row.uuid}"


def _node(row: Row, *, depth: int) -> Json:
    node = {
        "id": _id(row),
        "type": type(row).__name__.lower(),
        "kind": row.stage if isinstance(row, Run) else row.kind,
        "number": row.number,
        "name": str(row),
        "uuid": str(row.uuid),
        "depth": depth,
    }
    if isinstance(row, Snapshot):
        node["rows"] = row.counts.get("train", 0) + row.counts.get("heldout", 0)
        node["decisions"] = row.card.get("decisions", 0)
        node["people"] = len(row.card.get("people", ()))
    return node
