"""What files, folders and values are known by: SHA-256 of their content."""

import hashlib
import json
from pathlib import Path


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_sha256(path: Path) -> str:
    """One hash of a folder: of the sorted list of its files' relative names and hashes; of a file, its own hash."""
    if path.is_file():
        return file_sha256(path)
    return json_sha256([[file.relative_to(path).as_posix(), file_sha256(file)] for file in files_of(path)])


def code_version() -> str:
    """The first 12 digits of the hash of the trainer's own source."""
    folder = Path(__file__).parent.parent
    sources = sorted(file for file in folder.rglob("*.py"))
    return json_sha256([[file.relative_to(folder).as_posix(), file_sha256(file)] for file in sources])[:12]


def files_of(path: Path) -> list[Path]:
    """All files below a folder, by path."""
    return sorted(file for file in path.rglob("*") if file.is_file())


def json_sha256(value: object) -> str:
    """The SHA-256 of a value's shortest JSON."""
    return hashlib.sha256(json.dumps(value, separators=(",", ":")).encode()).hexdigest()
