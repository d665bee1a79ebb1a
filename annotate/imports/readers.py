"""Which reader reads which format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import BinaryIO, Literal

from annotate.documents import Document, Refusal, Unreadable, What
from annotate.imports import html, jsonl, plain
from annotate.imports.sources import READABLE

Format = Literal["text", "markdown", "html", "jsonl"]

ENDINGS: dict[str, Format] = {
    ".txt": "text", ".text": "text", ".md": "markdown", ".markdown": "markdown", ".htm": "html", ".html": "html",
    ".xhtml": "html", ".jsonl": "jsonl", ".ndjson": "jsonl",
}  # fmt: skip


def format_of(name: str) -> Format:
    """The format that a file's name stands for.

    Raises Unreadable with code
        format  it stands for none that can be read
    """
    ending = PurePath(name).suffix.lower()
    if ending not in ENDINGS:
        raise Unreadable("format", f"“{ending[:20]}” is no known file ending. Readable are {READABLE}.")
    return ENDINGS[ending]


def read(
    stream: BinaryIO, *, file_format: str, what: What, start: int, encoding: str | None, fields: Mapping[str, str]
) -> Iterator[Document | Refusal]:
    """Documents and refusals of a file, lazily, from byte start on.

    Raises Unreadable where the whole file cannot be taken: codes format, empty, encoding, too_long, field.
    """
    if file_format == "jsonl":
        return jsonl.read(stream, start=start, encoding=encoding, what=what, fields=fields)
    readers = {"text": plain.read_text, "markdown": plain.read_markdown, "html": html.read}
    if file_format not in readers or what != "documents":
        raise Unreadable("format", "Prompts and pairs are read from JSON Lines." if file_format in readers else
                         f"“{file_format[:20]}” is no known format. Readable are {READABLE}.")  # fmt: skip
    return readers[file_format](stream, start=start, encoding=encoding)
