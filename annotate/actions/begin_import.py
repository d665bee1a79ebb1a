"""Take a file in, so that a worker can read it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from django.conf import settings

from annotate.documents import Unreadable
from annotate.errors import AnnotateError
from annotate.imports.readers import format_of
from annotate.models import Import, Source, User

OPTIONS = {"fields": dict, "encoding": str, "go_on": bool, "ask": bool}
FIELDS = ("text", "instruction", "answer")
_CHUNK_BYTES = 1_000_000


def begin_import(
    *, source: Source, what: str, format: str, options: Mapping[str, object], file_path: Path, label: str, by: User
) -> Import:
    """An import in state reading, with its own copy of the file; the caller sends the message and keeps its file.

    format: empty to go by the ending of label.
    options: `fields` (column of text, instruction, answer), `encoding`, `go_on` (whatever share is refused),
        `ask` (make a task to write an answer of each new prompt).

    Raises AnnotateError with code
        format   neither format nor label names one that can be read
        what     is not documents, prompts or pairs
        options  an option is unknown or of the wrong kind
    """
    if what not in Import.What.values:
        raise AnnotateError("what", f"What is imported must be one of {', '.join(Import.What.values)}.")
    _check(options)
    name = uuid.uuid4().hex
    chosen = _format(format, label)
    digest, size = _copy(file_path, imported_path(name))
    return Import.objects.create(
        source=source,
        label=label[:200],
        what=what,
        format=chosen,
        options=dict(options),
        sha256=digest,
        file=name,
        size_bytes=size,
        by=by,
    )


def imported_path(name: str) -> Path:
    """Where the file of an import lies, by `Import.file`."""
    return Path(settings.HOME) / "imports" / name


def _check(options: Mapping[str, object]) -> None:
    for key, value in options.items():
        if key not in OPTIONS or not isinstance(value, OPTIONS[key]):
            raise AnnotateError("options", f"“{str(key)[:40]}” is no option, or not of the right kind.")
    fields = options.get("fields", {})
    assert isinstance(fields, dict)
    wrong = [key for key, value in fields.items() if key not in FIELDS or not isinstance(value, str) or not value]
    if wrong:
        raise AnnotateError("options", f"“{str(wrong[0])[:40]}” cannot be chosen; a column can be, for {FIELDS}.")


def _format(format: str, label: str) -> str:
    if format in Import.Format.values:
        return format
    try:
        return format_of(label if not format else f"file.{format}")
    except Unreadable as refused:
        raise AnnotateError(refused.code, refused.sentence) from None


def _copy(origin: Path, target: Path) -> tuple[str, int]:
    """SHA-256 and size of the file, which afterwards stands at target too."""
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest, size = sha256(), 0
    beside = target.with_suffix(".part")
    with origin.open("rb") as source, beside.open("wb") as copy:
        while chunk := source.read(_CHUNK_BYTES):
            digest.update(chunk)
            copy.write(chunk)
            size += len(chunk)
    beside.replace(target)
    return digest.hexdigest(), size
