"""Bytes of a file as text: what it is, in which encoding, line by line with byte offsets. Nothing is guessed."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from resiliparse.parse.encoding import detect_encoding

from annotate.documents import Unreadable

MOST_BYTES = 64_000_000  # a record
READABLE = "text, Markdown, HTML and JSON Lines, in UTF-8 or in UTF-16 with a byte order mark"

_HEAD_BYTES = 8192
_CHUNK_BYTES = 1_000_000  # even, so that no two-byte character is cut
_START_BYTES = 320  # what is kept of a refused line: 80 characters
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_BINARY_HEADS = (
    (b"%PDF-", "a PDF file"),
    (b"PK\x03\x04", "a zip archive or an office file"),
    (b"\x1f\x8b", "a gzip file"),
    (b"PAR1", "a Parquet file"),
    (b"\xd0\xcf\x11\xe0", "an office file"),
    (b"{\\rtf", "an RTF file"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """data is None where the line was longer than a record may be; start: its first bytes. end: the byte after it."""

    number: int
    data: bytes | None
    start: bytes
    end: int


@dataclass(frozen=True, slots=True)
class Coding:
    """bom_bytes: what stands before the text."""

    name: str
    bom_bytes: int


def coding(stream: BinaryIO, *, wanted: str | None, xml: bool = False) -> Coding:
    """The encoding of the file, from its byte order mark, else wanted, else UTF-8.

    Raises Unreadable with code
        empty     there is no byte in it
        format    it is no text: binary, an archive, or XML where xml is False
        encoding  wanted is no encoding
    """
    stream.seek(0)
    head = stream.read(_HEAD_BYTES)
    if not head:
        raise Unreadable("empty", "The file is empty.")
    for bom, name in _BOMS:
        if head.startswith(bom):
            return Coding(name, len(bom))
    for magic, what in _BINARY_HEADS:
        if head.startswith(magic):
            raise Unreadable("format", f"This is {what}. Readable are {READABLE}.")
    if b"\0" in head:
        raise Unreadable("format", f"This is a binary file. Readable are {READABLE}.")
    if not xml and head.lstrip().startswith(b"<?xml"):
        raise Unreadable("format", f"This is an XML file. Readable are {READABLE}.")
    return Coding(_known(wanted), 0)


def _known(wanted: str | None) -> str:
    if not wanted:
        return "utf-8"
    try:
        name = codecs.lookup(wanted).name
        "a".encode(name)
    except (LookupError, TypeError, ValueError, AttributeError):
        raise Unreadable("encoding", f"“{wanted[:40]}” is no encoding of text.") from None
    return name


def whole(stream: BinaryIO, found: Coding) -> str:
    """The text of a file that is one document.

    Raises Unreadable with code
        too_long  it has more than 64 MB
        encoding  its bytes are not in this encoding
    """
    stream.seek(found.bom_bytes)
    data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise Unreadable("too_long", "One document may have at most 64 MB.")
    try:
        return data.decode(found.name)
    except UnicodeDecodeError as error:
        raise Unreadable("encoding", not_in(found.name, error, data)) from None


def not_in(name: str, error: UnicodeDecodeError, data: bytes) -> str:
    """The sentence for bytes that are not in the encoding, with the likeliest one."""
    around = data[max(0, error.start - _HEAD_BYTES) : error.start + _HEAD_BYTES]
    likeliest = detect_encoding(around) or "unknown"
    return (
        f"Byte {error.start + 1} is not {name.upper()}. The likeliest encoding is {likeliest}: set it and read again."
    )


def lines(stream: BinaryIO, found: Coding, *, start: int, number: int = 0) -> Iterator[Line]:
    """Lines from byte start on, without their ends; a line over 64 MB is skipped, never held.

    number: how many lines stand before start.
    """
    place = max(start, found.bom_bytes)
    mark = "\n".encode(found.name)
    stream.seek(place)
    pieces: list[bytes] = []
    size = 0  # bytes of the line so far; beyond the limit its pieces are dropped, all but the first bytes
    while chunk := stream.read(_CHUNK_BYTES):
        *ended, rest = _split(chunk, mark)
        for data in ended:
            number, place = number + 1, place + size + len(data) + len(mark)
            yield _line(number, [*pieces, data], size + len(data), place)
            pieces, size = [], 0
        size += len(rest)
        pieces = [*pieces, rest] if size <= MOST_BYTES else [b"".join(pieces)[:_START_BYTES]]
    if size:
        yield _line(number + 1, pieces, size, place + size)


def _line(number: int, pieces: list[bytes], size: int, end: int) -> Line:
    data = b"".join(pieces)
    return Line(number, data if size <= MOST_BYTES else None, data[:_START_BYTES], end)


def _split(data: bytes, mark: bytes) -> list[bytes]:
    """data at its line ends, which for two-byte encodings begin at even offsets only."""
    if len(mark) == 1:
        return data.split(mark)
    parts, start, place = [], 0, data.find(mark)
    while place != -1:
        if (place - start) % len(mark):
            place = data.find(mark, place + 1)
            continue
        parts.append(data[start:place])
        start = place + len(mark)
        place = data.find(mark, start)
    return [*parts, data[start:]]
