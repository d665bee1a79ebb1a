"""The list of detectors: name, version, function. `detectors.lock` holds what each version was made of.

A detector is pure: a batch in, findings out; no network, no clock. Whoever changes one raises its VERSION and runs
`python -m annotate.cleaning.detectors`, which writes the lock anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version as installed
from pathlib import Path

from annotate.cleaning import duplicates, length, markup, personal, repetition, unsafe
from annotate.cleaning.findings import Finding
from annotate.cleaning.thresholds import Thresholds
from annotate.documents import Document

HERE = Path(__file__).parent
LOCK = HERE / "detectors.lock"

Detect = Callable[[Sequence[Document], Thresholds], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Detector:
    """files: what it is made of, beside normalise.py; libraries: whose versions matter."""

    name: str
    version: int
    detect: Detect
    files: tuple[str, ...]
    libraries: tuple[str, ...] = ()


DETECTORS = (
    Detector(length.NAME, length.VERSION, length.detect, ("length.py",)),
    Detector(repetition.NAME, repetition.VERSION, repetition.detect, ("repetition.py",)),
    Detector(markup.NAME, markup.VERSION, markup.detect, ("markup.py",), ("google-re2",)),
    Detector(
        personal.NAME,
        personal.VERSION,
        personal.detect,
        ("personal.py",),
        ("google-re2", "python-stdnum", "phonenumberslite"),
    ),
    Detector(unsafe.NAME, unsafe.VERSION, unsafe.detect, ("unsafe.py", "lexicons/en.toml")),
)
PLACED = (duplicates.NAME, duplicates.VERSION, ("duplicates.py", "sketch.py"))  # needs an index: `duplicates.place`


def fingerprints() -> dict[str, dict[str, object]]:
    """By name: the version, and the SHA-256 of all that a detector is made of."""
    rows = [(one.name, one.version, one.files, one.libraries) for one in DETECTORS]
    rows.append((*PLACED, ()))
    return {name: {"version": version, "sha256": _digest(files, libraries)} for name, version, files, libraries in rows}


def _digest(files: Sequence[str], libraries: Sequence[str]) -> str:
    digest = sha256()
    for file in ("normalise.py", *files):
        digest.update((HERE / file).read_bytes())
    for library in libraries:
        digest.update(f"{library}=={installed(library)}".encode())
    return digest.hexdigest()


if __name__ == "__main__":
    LOCK.write_text(json.dumps(fingerprints(), indent=2) + "\n", encoding="utf-8")
