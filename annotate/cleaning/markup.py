"""Remains of markup in what should be prose. Documentation about markup has them rightly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import re2

from annotate.cleaning.findings import Finding, batch, strongest
from annotate.cleaning.thresholds import Thresholds
from annotate.documents import Document

NAME, VERSION = "markup", 1

_SCORE_PER_SHARE = 5  # 2 % of the characters score 0.1, a fifth of them scores 1

# category, characters without which the pattern cannot match, pattern
_PATTERNS = (
    ("tag", ("<",), r"<!--[^<]*?-->|</?[A-Za-z][A-Za-z0-9:-]*(?:\s[^<>]*)?/?>"),
    ("entity", ("&",), r"&(?:[A-Za-z][A-Za-z0-9]+|#[0-9]+|#[xX][0-9A-Fa-f]+);"),
    ("template", ("{{", "{%"), r"\{\{[^{}\n]*\}\}|\{%[^{}\n]*%\}"),
    (
        "bbcode",
        ("[",),
        r"(?i)\[/?(?:b|i|u|s|url|img|quote|code|color|size|list|center|spoiler)(?:=[^\[\]\n]*)?\]",
    ),
    (
        "wiki",
        ("[[", "''", "==", "{|", "|}"),
        r"(?m)\[\[[^\[\]\n]+\]\]|'''[^'\n]+'''|^==+[ \t]*[A-Za-z][^=\n]*==+$|\{\||\|\}",
    ),
    (
        "style",
        ("{", ";"),
        r"(?m)^[^\n{}]+\{[^\n{};]*:[^\n{};]*;[^\n{}]*\}[ \t]*$|^[ \t]*[a-z-]+[ \t]*:[^;:\n{}]+;[ \t]*$",
    ),
    (
        "script",
        (";", "{"),
        r"(?m)^[ \t]*(?:(?:var|let|const)[ \t]+\w+[ \t]*=[^\n]*;|function\b[^\n{]*\([^\n{]*\)[ \t]*\{[^\n]*"
        r"|(?:document|window)\.[^\n]*;)[ \t]*$",
    ),
)
_FENCE = r"(?ms)^(?:```[^\n]*\n.*?^```|~~~[^\n]*\n.*?^~~~)[ \t]*$"


@cache
def _compiled(pattern: str) -> re2._Regexp:
    return re2.compile(pattern)


def detect(texts: Sequence[Document], limits: Thresholds) -> Iterator[Finding]:
    """A finding for each residue, where all of them together hold enough of the text."""
    for text, body in enumerate(batch(texts).bodies):
        residues = _residues(body)
        share = sum(end - start for _, start, end in residues) / max(len(body), 1)
        if share >= limits.markup and residues:
            for residue in strongest(residues, lambda residue: 0.0):
                yield _finding(text, residue, share, of=len(residues))


def _residues(body: str) -> list[tuple[str, int, int]]:
    """(category, start, end) in order, none over another, none in a fenced block of code."""
    found = [
        (match.start(), match.end(), category)
        for category, signs, pattern in _PATTERNS
        if any(sign in body for sign in signs)
        for match in _compiled(pattern).finditer(body)
    ]
    if not found:
        return []
    fences = [match.span() for match in _compiled(_FENCE).finditer(body)] if "```" in body or "~~~" in body else []
    taken = bytearray(len(body))
    for start, end in fences:
        taken[start:end] = b"\1" * (end - start)
    kept = []
    for start, end, category in sorted(found):
        if not any(taken[start:end]):
            kept.append((category, start, end))
            taken[start:end] = b"\1" * (end - start)
    return kept


def _finding(text: int, residue: tuple[str, int, int], share: float, *, of: int) -> Finding:
    category, start, end = residue
    return Finding(
        text=text,
        detector=NAME,
        version=VERSION,
        category=category,
        start=start,
        end=end,
        score=min(1.0, _SCORE_PER_SHARE * share),
        reason=f"{share:.1%} of its characters are markup",
        evidence={"share": round(share, 4), "of": of},
    )
