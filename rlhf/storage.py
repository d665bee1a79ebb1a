"""Files by their hash: what is put once never changes, and is checked whenever it is fetched.

STORAGE_URL names the shared folder, `file:///…`; each machine that runs trainers must see it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import urlsplit

from django.conf import settings

from trainer.contract.rundir import file_sha256


class Stored(TypedDict):
    """One file of a folder: its place there, and its hash and size."""

    path: str
    sha256: str
    bytes: int


class MissingFile(Exception):
    """A file that should be stored is not there, or is not what its hash says."""


def put(path: Path, *, area: str = "") -> str:
    """Store a file; returns its SHA-256. Costs no copy where it is stored already.

    area: a place apart for what will be dropped again, such as a run's checkpoints.
    """
    sha256 = file_sha256(path)
    place = _place(sha256, area)
    if place.exists():
        return sha256
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=place.parent, prefix=".")
    with os.fdopen(handle, "wb") as copy, path.open("rb") as file:
        shutil.copyfileobj(file, copy, 1 << 20)
        copy.flush()
        os.fsync(copy.fileno())
    Path(beside).replace(place)
    return sha256


def fetch(sha256: str, *, area: str = "") -> Path:
    """The stored file with this hash, to be read only. Raises MissingFile."""
    place = _place(sha256, area)
    if not place.is_file() or file_sha256(place) != sha256:
        raise MissingFile(f"The stored file {sha256[:12]}… is missing or damaged; restore it from a backup.")
    return place


def put_folder(folder: Path, *, area: str = "") -> list[Stored]:
    """Store every file of a folder, or the one file that folder is, in order of their paths."""
    if folder.is_file():
        return [Stored(path=folder.name, sha256=put(folder, area=area), bytes=folder.stat().st_size)]
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return [
        Stored(path=file.relative_to(folder).as_posix(), sha256=put(file, area=area), bytes=file.stat().st_size)
        for file in files
    ]


def lay_out(files: Iterable[Mapping[str, Any]], folder: Path, *, area: str = "") -> None:
    """Make a folder of stored files again, by hard links where the file system has them. Raises MissingFile.

    files: as `Stored`. Any: its values, read back from JSON.
    """
    for file in files:
        place = folder / str(file["path"])
        if not place.resolve().is_relative_to(folder.resolve()):
            raise MissingFile(f"{file['path']} leads out of its folder.")
        place.parent.mkdir(parents=True, exist_ok=True)
        source = fetch(str(file["sha256"]), area=area)
        place.unlink(missing_ok=True)
        try:
            os.link(source, place)
        except OSError:
            shutil.copyfile(source, place)


def drop_others(area: str, *, keep: set[str]) -> None:
    """Remove what an area holds but for these hashes."""
    folder = _root() / area
    for file in [file for file in folder.rglob("*") if file.is_file() and file.name not in keep]:
        file.unlink(missing_ok=True)
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)


def _place(sha256: str, area: str) -> Path:
    if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
        raise MissingFile("A hash has 64 hexadecimal digits.")
    return _root() / area / sha256[:2] / sha256


def _root() -> Path:
    return Path(urlsplit(settings.STORAGE_URL).path)
