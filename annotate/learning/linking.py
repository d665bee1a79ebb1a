"""Links from our own texts into the glossary: at the first place where a term stands in a section.

Never in code, headings or links, and never in what people wrote: only those who ask get links.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any  # blocks are JSON

from annotate.learning import glossary

Json = dict[str, Any]

PLAIN = {"code", "heading", "link"}


def linked(blocks: Sequence[Json], *, language: str, address: str, leave: str = "") -> tuple[list[Json], list[str]]:
    """(the blocks with spans of type term, the slugs linked to in their order).

    blocks: as `annotate.rendering` makes them. address: what a slug is added to. leave: a slug that gets no link.
    """
    linker = _Linker(language, address, leave)
    return [linker.whole(block) for block in blocks], linker.found


class _Linker:
    def __init__(self, language: str, address: str, leave: str) -> None:
        self.language, self.address, self.leave = language, address, leave
        self.found: list[str] = []

    def whole(self, node: Json) -> Json:
        """A block or span with links in what it holds."""
        if node["type"] in PLAIN:
            return node
        made = dict(node)
        for name in ("blocks", "items"):
            if name in node:
                made[name] = [self.whole(inner) for inner in node[name]]
        if "spans" in node:
            made["spans"] = [one for span in node["spans"] for one in self._span(span)]
        return made

    def _span(self, span: Json) -> list[Json]:
        return list(self._pieces(span["text"])) if span["type"] == "text" else [self.whole(span)]

    def _pieces(self, text: str) -> Iterator[Json]:
        start = 0
        for match in glossary.pattern(self.language).finditer(text):
            slug = glossary.slug_of(match[0], self.language)
            if slug == self.leave or slug in self.found:
                continue
            self.found.append(slug)
            if match.start() > start:
                yield _text(text[start : match.start()])
            yield {"type": "term", "slug": slug, "address": self.address + slug, "spans": [_text(match[0])]}
            start = match.end()
        if start < len(text):
            yield _text(text[start:])


def _text(text: str) -> Json:
    return {"type": "text", "text": text}
