"""A run's directory on this machine: laid out from rows and stored files, and its newest checkpoint kept for others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.conf import settings

from rlhf import milestones, storage
from rlhf.models import Run, RunChunk, RunInput, RunQuerySet

STREAMS = ("metrics", "samples", "events")
Json = dict[str, Any]  # Any: a JSON object


def folder_of(run: Run) -> Path:
    """Where the run's directory lies on this machine."""
    return Path(settings.HOME) / "runs" / str(run.uuid)


def lay_out(run: Run) -> Path:
    """The run's directory with all that it reads; what is there already stays. Raises storage.MissingFile."""
    folder = folder_of(run)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    wanted = json.dumps(_config(run), indent=1).encode()
    config = folder / "config.json"
    if not config.exists():
        _lay_out_inputs(run, folder)
    _restore(run, folder)
    config.write_bytes(wanted)
    return folder


def _config(run: Run) -> Json:
    """The config with the cores that the operator gave; C4 leaves `threads` out of the hash."""
    given: Json = dict(run.config)
    if not given.get("threads"):
        given["threads"] = settings.WORKER_THREADS
    return given


def _lay_out_inputs(run: Run, folder: Path) -> None:
    files = []
    for used in RunInput.objects.filter(run=run).select_related("snapshot", "model").order_by("pk"):
        if used.model:
            storage.lay_out(used.model.files, folder / "parents" / used.name)
        elif used.snapshot:
            data = [file for file in used.snapshot.files if file["type"]]
            storage.lay_out([{"path": file["name"], "sha256": file["sha256"]} for file in data], folder / "data")
            keys = ("name", "type", "rows", "sha256")
            files += [{key: file[key] for key in keys} | {"snapshot": used.snapshot.sha256} for file in data]
    for entry, milestone in milestones.read_by(run).items():
        storage.lay_out(milestone.files, folder / "parents" / entry)
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data" / "manifest.json").write_text(json.dumps({"files": files}, indent=1), encoding="utf-8")


def _restore(run: Run, folder: Path) -> None:
    """On a machine that has not seen the run's last attempt: its newest checkpoint, and its logs as stored."""
    place = folder / "checkpoints"
    newest = max((one.name for one in place.glob("step-*")), default="")
    if not run.checkpoint or run.checkpoint["name"] <= newest:
        return
    storage.lay_out(run.checkpoint["files"], place / run.checkpoint["name"], area=checkpoint_area(run))
    for stream in STREAMS:
        chunks = RunChunk.objects.filter(run=run, stream=stream).order_by("offset")
        text = "".join(chunks.values_list("lines", flat=True))
        (folder / f"{stream}.jsonl").write_text(text, encoding="utf-8", newline="")


def checkpoint_area(run: Run) -> str:
    return f"checkpoints/{run.uuid}"


def store_checkpoint(run: Run, folder: Path, *, mine: RunQuerySet) -> None:
    """Keep the newest checkpoint where another machine finds it; the one before goes."""
    places = sorted(place for place in (folder / "checkpoints").glob("step-*") if place.is_dir())
    if not places:
        return
    area = checkpoint_area(run)
    try:
        files = storage.put_folder(places[-1], area=area)
    except FileNotFoundError:
        return  # pruned by the trainer in the meantime; the next event brings a newer one
    if mine.update(checkpoint={"name": places[-1].name, "files": files}):
        storage.drop_others(area, keep={file["sha256"] for file in files})
