"""What the newest base says of a blank of the game: probabilities that an evaluate run stored."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from annotate.models import Project
from rlhf import storage
from rlhf.models import Model, Run

Json = dict[str, Any]  # Any: a JSON object


def opinion(*, project: Project, item: int, mode: str) -> Json:
    """{state, with_context: {word: p}, without_context: {word: p}}, each over the four options; empty but in `scored`.

    state: scored; no_model where there is no base; not_scored where the newest was not measured on this blank. Two
    queries; the file is kept in memory by its hash.
    """
    nothing: Json = {"with_context": {}, "without_context": {}}
    base = project.models.filter(kind=Model.Kind.BASE).order_by("-number").first()
    if base is None:
        return nothing | {"state": "no_model"}
    found = _lines(_scored(base)).get(f"{item}-{mode}")
    return found | {"state": "scored"} if found else nothing | {"state": "not_scored"}


def _scored(base: Model) -> str:
    """The hash of the newest file of items that a run measured this base on; empty where none did."""
    runs = Run.objects.filter(stage=Run.Stage.EVALUATE, state=Run.State.FINISHED)
    measured = runs.filter(inputs__name="base", inputs__model=base).filter(inputs__name="cloze").order_by("-pk")
    for outputs, files in measured.values_list("result__outputs", "result__files")[:5]:
        for output in outputs or ():
            if output["kind"] == "cloze":
                stored: str = files[output["name"]][0]["sha256"]
                return stored
    return ""


@lru_cache(maxsize=4)
def _lines(sha256: str) -> dict[str, Json]:
    if not sha256:
        return {}
    try:
        with storage.fetch(sha256).open(encoding="utf-8") as file:
            rows = [json.loads(line) for line in file]
    except storage.MissingFile:
        return {}
    return {row["id"]: {"with_context": row["with"], "without_context": row["without"]} for row in rows}
