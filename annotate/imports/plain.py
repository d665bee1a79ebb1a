"""Text and Markdown: a file is a document. Markdown stays as written; its front matter goes to meta."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from annotate.documents import Document, Refusal
from annotate.imports.sources import coding, whole

_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(.*?\r?\n)---[ \t]*(?:\r?\n|$)", re.DOTALL)
_FIELD = re.compile(r"([A-Za-z][\w-]*):[ \t]+(\S.*?)[ \t]*\r?\n")
_MOST_FRONT_MATTER = 10_000  # characters


def read_text(stream: BinaryIO, *, start: int, encoding: str | None) -> Iterator[Document | Refusal]:
    """The file as one document; nothing where start lies behind it.

    Raises Unreadable as `sources.coding` and `sources.whole` do.
    """
    if start:
        return
    text = whole(stream, coding(stream, wanted=encoding))
    yield _document(text, stream.tell(), {})


def read_markdown(stream: BinaryIO, *, start: int, encoding: str | None) -> Iterator[Document | Refusal]:
    """As `read_text`, without the front matter."""
    if start:
        return
    text = whole(stream, coding(stream, wanted=encoding))
    matter = _FRONT_MATTER.match(text[:_MOST_FRONT_MATTER])
    if matter is None:
        yield _document(text, stream.tell(), {})
        return
    yield _document(text[matter.end() :].lstrip("\r\n"), stream.tell(), _fields(matter.group(1)))


def _document(text: str, end: int, meta: dict[str, object]) -> Document | Refusal:
    if not text.strip():
        return Refusal(place="file", code="no_text", sentence="There is no text in it, only blanks.", end=end)
    return Document(
        text=text, place="file", end=end, meta=meta, licence=str(meta.get("licence", meta.get("license", "")))
    )


def _fields(matter: str) -> dict[str, object]:
    """`key: value` lines as they are; whatever else the block holds as one string."""
    fields: dict[str, object] = dict(_FIELD.findall(matter))
    rest = _FIELD.sub("", matter).strip()
    return fields | ({"front_matter": rest} if rest else {})
