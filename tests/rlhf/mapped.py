"""Finished map runs without a trainer: made-up points in groups and their neighbours, as the stage writes them."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from annotate.models import Project, User
from rlhf import storage
from rlhf.models import Model, Run, RunInput

STEPS = [14, 98, 99]
KEPT = {14: (0.12, 0.05, 0.02), 98: (0.31, 0.08, 0.02), 99: (0.442, 0.066, 0.007)}
SYLLABLES = ["ba", "de", "ki", "lo", "mu", "na", "re", "si", "to", "vu"]
SOURCES = ["manual", "forum", "library"]


def words(count: int) -> list[str]:
    """As many different words, of one or more syllables."""
    found, grown = list(SYLLABLES), list(SYLLABLES)
    while len(found) < count:
        grown = [one + more for one in grown for more in SYLLABLES]
        found += grown
    return found[:count]


def make_map(
    project: Project,
    by: User,
    *,
    kind: str = "words",
    count: int = 60,
    base: Model | None = None,
    state: str = "finished",
    texts: list[str] | None = None,
) -> Run:
    """A map run of the project. texts: what its points are called, the most frequent first."""
    number = project.runs.count() + 1
    made = Run.objects.create(
        project=project,
        number=number,
        stage="map",
        state=state,
        config={"seed": 1, "stage": "map", "kind": kind, "points": count},
        config_sha256=f"{number:064d}",
        seed=1,
        code_version="0123456789ab",
        attempt=int(state != "queued"),
        created_by=by,
    )
    if base is not None:
        RunInput.objects.create(run=made, name="base", model=base)
    if state == "finished":
        folder = Path(mkdtemp())
        _write(folder, kind, texts or words(count))
        final = {"kept_tsne": 0.442, "kept_pca": 0.066, "kept_random": 0.007, "points": len(texts or words(count))}
        made.result = {"final": final, "steps": 60, "files": {"map": storage.put_folder(folder)}, "outputs": []}
        made.save(update_fields=["result"])
    return made


def _write(folder: Path, kind: str, texts: list[str]) -> None:
    """The folder map/ of `trainer.map`, of groups of ten."""
    draw = np.random.default_rng(1)
    middles = draw.normal(size=(len(texts) // 10 + 1, 16))
    vectors = middles[np.arange(len(texts)) % len(middles)] + 0.3 * draw.normal(size=(len(texts), 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    true = np.argsort(-cosines, axis=1)[:, :20]
    true.astype("<u4").tofile(folder / "true.u32")
    np.take_along_axis(cosines, true, 1).astype("<f4").tofile(folder / "cosine.f32")
    for step in STEPS:
        shown = len(texts) if step == STEPS[-1] else min(len(texts), 50)
        for layout, axes in (("pca", (0, 1)), ("tsne", (2, 3))):
            picture = vectors[:shown, axes] if step > STEPS[0] else draw.normal(size=(shown, 2))
            (picture / np.abs(picture).max()).astype("<f4").tofile(folder / f"{layout}-{step}.f32")
    (folder / "labels.json").write_text(json.dumps(_facts(kind, texts)))


def _facts(kind: str, texts: list[str]) -> dict[str, Any]:
    labels = [
        {"text": text, "count": 10 * (len(texts) - at), "source": SOURCES[at % 3], "language": "en" if at % 2 else ""}
        for at, text in enumerate(texts)
    ]
    kept = {
        str(step): {"tsne": tsne, "pca": pca, "random": chance, "n": len(texts) if step == STEPS[-1] else 50}
        for step, (tsne, pca, chance) in KEPT.items()
    }
    curve = [
        {"step": step, "gap": gap, "kept_tsne": KEPT[step][0]}
        for step, gap in zip(STEPS, (0.01, 0.2, 0.5), strict=True)
    ]
    return {"kind": kind, "points": len(texts), "steps": STEPS, "labels": labels, "kept": kept, "curve": curve}
