"""Long texts in parts that a person can decide on."""

from __future__ import annotations

from collections.abc import Iterator


def cut(body: str, *, most_bytes: int) -> Iterator[str]:
    """body in parts of at most most_bytes of UTF-8, cut after a blank line, else a line end, else a blank.

    The parts together are the body.
    """
    start = 0
    while start < len(body):
        window = body[start : start + most_bytes]
        if len(window) * 4 > most_bytes:
            window = window.encode()[:most_bytes].decode(errors="ignore")
        if start + len(window) < len(body):
            window = window[: _border(window)]
        yield window
        start += len(window)


def _border(window: str) -> int:
    for mark in ("\n\n", "\n", " "):
        place = window.rfind(mark)
        if place > 0:
            return place + len(mark)
    return len(window)
