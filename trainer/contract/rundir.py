"""The run directory: what a run reads, what it writes, and how others read that while it lives.

Nothing here knows a tensor. Only the process that holds `run.lock` writes; readers never consume a torn line.
"""

import errno
import fcntl
import gzip
import json
import math
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypedDict

from trainer.contract import configs, rows, strict
from trainer.contract.errors import Stopped, TrainerError
from trainer.contract.hashes import code_version, file_sha256, files_of, folder_sha256, json_sha256

__all__ = [
    "LOGS",
    "Output",
    "Run",
    "Stopped",
    "TrainerError",
    "canonical",
    "canonical_lines",
    "file_sha256",
    "folder_sha256",
    "read_since",
]

Line = dict[str, Any]  # Any: a JSON object of a log
Event = Literal["started", "resumed", "checkpoint", "warning", "paused", "cancelled", "failed", "finished"]
LOGS = ("metrics.jsonl", "samples.jsonl", "events.jsonl")
BEFORE_START = ("environment.json", "estimate.json")  # may be there before a run knows that it can start


class Output(TypedDict):
    """One thing that a run leaves: a folder or a file, by its path within the run directory."""

    name: str
    kind: str
    path: str
    sha256: str
    bytes: int


class DataFile(TypedDict):
    """One file of `data/manifest.json`."""

    name: str
    type: str
    rows: int
    sha256: str
    snapshot: str


class Failure(TypedDict):
    """`failure.json`: why an attempt ended without a result."""

    code: str
    sentence: str
    step: int
    attempt: int
    trace: str
    monitors: list[str]  # those that paused the run; empty where it failed


@dataclass(frozen=True)
class Place:
    """Where a row stands, for sentences about it."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}"


class Run:
    """One attempt at a run: its directory, and the wish to stop.

    path: holds config.json, data/ and parents/. out: where outputs go; path itself, or path/dry in a dry run.
    attempt: 0 takes the number after the last one that the events name.
    """

    def __init__(self, path: Path, *, attempt: int = 0, steps: int = 0) -> None:
        self.path = path
        self.steps = steps
        self.out = path / "dry" if steps else path
        self.step = 0  # the last whole step, kept by the stage, for events about how the attempt ended
        self.watched: dict[str, list[dict[str, float]]] = {}  # what monitors remember, by kind of line
        self.attempt = attempt or _last_attempt(self.out / "events.jsonl") + 1
        self._stop = False
        self._events = 0

    @cached_property
    def config(self) -> configs.Config:
        """What the run is told; a dry run ends after its few steps. Raises bad_config."""
        config = configs.load(self.path / "config.json")
        if self.steps and isinstance(config, configs.LearningConfig):
            return replace(config, max_steps=self.steps)
        return config

    # what it reads

    @cached_property
    def data_files(self) -> list[DataFile]:
        """The files of data/manifest.json, each checked against its hash. Raises bad_data."""
        manifest = self.path / "data" / "manifest.json"
        try:
            files: list[DataFile] = strict.loads(manifest.read_bytes())["files"]
            for file in files:
                if not (all(isinstance(file[key], str) for key in ("name", "type", "sha256")) and file["rows"] >= 0):
                    raise TypeError(file)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainerError("bad_data", f"data/manifest.json cannot be read ({error!r}); freeze it again.") from None
        for file in files:
            path = self.path / "data" / Path(file["name"]).name
            if not path.is_file():
                raise TrainerError("bad_data", f"data/{file['name']} is missing; data/manifest.json names it.")
            if file_sha256(path) != file["sha256"]:
                raise TrainerError("bad_data", f"data/{file['name']} is not the file that data/manifest.json names.")
        return files

    @cached_property
    def data_sha256(self) -> str:
        """One hash over all data files."""
        return json_sha256(sorted((file["name"], file["type"], file["sha256"]) for file in self.data_files))

    @cached_property
    def parents(self) -> dict[str, str]:
        """The hash of each folder in parents/, by name."""
        folder = self.path / "parents"
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        return {path.name: folder_sha256(path) for path in found if path.is_dir()}

    def parent(self, name: str) -> Path:
        """The folder of a parent model. Raises bad_config where it is missing."""
        path = self.path / "parents" / name
        if not name or Path(name).name != name or not path.is_dir():
            there = ", ".join(self.parents) or "nothing"
            raise TrainerError("bad_config", f"parents/{name} is missing; parents/ holds {there}.")
        return path

    def rows(self, type_: rows.RowType, split: rows.Split | None = None) -> Iterator[tuple[Place, Any]]:
        """The rows of one type in the files' order, each with its place. Raises bad_data with file, line and reason.

        Any: one of the TypedDicts of `rows`, as type_ says.
        """
        for file in self.data_files:
            if file["type"] != type_:
                continue
            for place, row in _read_rows(self.path / "data" / Path(file["name"]).name):
                problems = rows.check(row, type_)
                if problems:
                    raise TrainerError("bad_data", f"{place}: {problems[0]}.")
                if split is None or row["split"] == split:
                    yield place, row

    # what it is asked

    def stop_requested(self) -> bool:
        """Whether someone has asked the run to stop (C5)."""
        return self._stop

    def request_stop(self) -> None:
        """Ask the run to stop at its next chance."""
        self._stop = True

    def check_stop(self) -> None:
        """Leave, by Stopped, where someone has asked for it."""
        if self._stop:
            raise Stopped

    # what it writes

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run alone while it lives. Raises busy; a second process touches nothing."""
        with (self.path / "run.lock").open("a+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                sentence = f"{self.path} is in use by another process; wait for it or cancel it."
                raise TrainerError("busy", sentence) from None
            yield

    def begin(self) -> None:
        """Make the directory ready for an attempt: torn last lines and the last failure go."""
        if self.steps:
            shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(exist_ok=True)
        (self.out / "failure.json").unlink(missing_ok=True)
        for name in LOGS:
            _drop_torn_line(self.out / name)
        self._events = len(read_since(self.out / "events.jsonl", 0)[0])

    def append(self, name: str, line: Mapping[str, Any]) -> None:
        """Add one whole line to a log, in one write. Any: a JSON object."""
        data = json.dumps(line, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        handle = os.open(self.out / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            if os.write(handle, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.out / name))
        finally:
            os.close(handle)

    def event(self, kind: Event, text: str, *, step: int, **facts: int | str | float) -> None:
        """Tell what happened, for people and for the parent process."""
        self._events += 1
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"seq": self._events, "at": at, "attempt": self.attempt, "step": step, "kind": kind, "text": text}
        self.append("events.jsonl", {**line, **facts})

    def offsets(self) -> dict[str, int]:
        """How long each log is, in bytes."""
        return {name: path.stat().st_size if (path := self.out / name).exists() else 0 for name in LOGS}

    def write_atomic(self, name: str, data: bytes) -> Path:
        """Write a file beside its place, sync it, and rename it."""
        path = self.out / name
        beside = path.with_name(f".{path.name}.tmp")
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        _sync(path.parent)
        return path

    @contextmanager
    def folder(self, name: str) -> Iterator[Path]:
        """A folder to fill; it takes its place, synced and whole, when the block ends."""
        place = self.out / name
        beside = place.with_name(f".{place.name}.tmp")
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        yield beside
        for path in (*files_of(beside), beside):
            _sync(path)
        shutil.rmtree(place, ignore_errors=True)
        beside.rename(place)
        _sync(place.parent)

    def write_json(self, name: str, value: object) -> Path:
        """Write a JSON file atomically, readable by people."""
        return self.write_atomic(name, json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n")

    def fail(self, *, code: str, sentence: str, step: int, trace: str = "", monitors: Sequence[str] = ()) -> str:
        """Leave failure.json, where the disk can hold it; returns its content as one line."""
        failure = Failure(
            code=code, sentence=sentence, step=step, attempt=self.attempt, trace=trace, monitors=list(monitors)
        )
        text = json.dumps(failure, ensure_ascii=False)
        try:
            self.write_atomic("failure.json", text.encode() + b"\n")
            if self._events:
                self.event("paused" if monitors else "failed", sentence, step=step, code=code)
            else:  # a run refused before it started leaves nothing that looks like work (C7)
                for name in BEFORE_START:
                    (self.out / name).unlink(missing_ok=True)
        except OSError:
            pass  # C6: the caller's last line of standard error says it instead
        return text

    def finish(
        self,
        outputs: Sequence[tuple[str, str, str]],
        final: Mapping[str, float | None],
        *,
        steps: int,
        template_sha256: str = "",
    ) -> None:
        """Write result.json, last: its presence means success.

        outputs: (name, kind, path within the run directory) of each folder or file that the run leaves.
        """
        result = {
            "schema": configs.SCHEMA,
            "stage": self.config.stage,
            "steps": steps,
            "attempts": self.attempt,
            "outputs": [_output(self.out, name, kind, path) for name, kind, path in outputs],
            "parents": self.parents,
            "data_sha256": self.data_sha256,
            "config_sha256": configs.sha256(self.config),
            "template_sha256": template_sha256,
            "code_version": code_version(),
            "final": {name: value if value is None or math.isfinite(value) else None for name, value in final.items()},
        }
        self.event("finished", f"finished after {steps} steps", step=steps)
        self.write_json("result.json", result)


def canonical_lines(path: Path) -> list[Line]:
    """The lines of a log without those that a resume has done again (C2).

    path: metrics.jsonl or samples.jsonl; the events are read beside it.
    """
    events, _ = read_since(path.with_name("events.jsonl"), 0)
    return canonical(read_since(path, 0)[0], events)


def canonical(lines: Iterable[Line], events: Iterable[Line]) -> list[Line]:
    """As `canonical_lines`, for lines and events that are at hand already.

    An attempt that started anew undoes all lines of those before it; one that resumed, those beyond its from_step.
    """
    starts = [event for event in events if event["kind"] in ("started", "resumed")]
    undone = [(event["attempt"], event["from_step"] if event["kind"] == "resumed" else -1) for event in starts]
    return [
        line for line in lines if not any(line["attempt"] < attempt and line["step"] > step for attempt, step in undone)
    ]


def read_since(path: Path, offset: int) -> tuple[list[Line], int]:
    """The whole lines of a log from a byte offset on, and the offset after them; a torn last line waits."""
    if not path.exists():
        return [], offset
    with path.open("rb") as file:
        file.seek(offset)
        data = file.read()
    whole = data[: data.rfind(b"\n") + 1]
    return [json.loads(line) for line in whole.splitlines() if line.strip()], offset + len(whole)


def _output(out: Path, name: str, kind: str, path: str) -> Output:
    place = out / path
    size = place.stat().st_size if place.is_file() else sum(file.stat().st_size for file in files_of(place))
    return Output(name=name, kind=kind, path=path, sha256=folder_sha256(place), bytes=size)


def _read_rows(path: Path) -> Iterator[tuple[Place, Any]]:  # Any: a line as JSON gave it
    """Each line's JSON with its place. Raises bad_data."""
    line = 0
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as file:
            for line, data in enumerate(file, start=1):
                if data.strip():
                    yield Place(path.name, line), strict.loads(data)
    except (ValueError, EOFError, OSError, zlib.error) as error:
        raise TrainerError("bad_data", f"{Place(path.name, max(line, 1))}: {error}.") from None


def _last_attempt(path: Path) -> int:
    return max((line.get("attempt", 0) for line in read_since(path, 0)[0]), default=0)


def _drop_torn_line(path: Path) -> None:
    """Take away what a killed process left behind the last newline."""
    if not path.exists():
        return
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
