"""HTML pages: the title and the main text, or all visible text where there is hardly any main text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from annotate.documents import Document, Refusal
from annotate.imports.sources import coding, whole

_FEWEST_CHARACTERS = 200
_SMALLEST_SHARE = 0.1
_MOST_DEPTH = 20_000_000  # of all elements together; finding the main text takes a second for some 30 million
_META_CHARSET = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([A-Za-z0-9_-]{2,40})", re.IGNORECASE)
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)")
_FLAT = frozenset(  # elements that hold none of their kind, or end where the next one begins
    {"area", "base", "br", "col", "dd", "dt", "embed", "hr", "img", "input", "li", "link", "meta", "option", "p"}
    | {"source", "td", "th", "tr", "track", "wbr"}
)


def read(stream: BinaryIO, *, start: int, encoding: str | None) -> Iterator[Document | Refusal]:
    """The page as one document. Its encoding: byte order mark, else the given one, else `meta`, else UTF-8.

    Raises Unreadable as `sources.coding` and `sources.whole` do.
    """
    if start:
        return
    page = whole(stream, coding(stream, wanted=encoding or _declared(stream), xml=True))
    end = stream.tell()
    tree = HTMLTree.parse(page)
    text, visible = _text(tree, deep=_is_deep(page))
    title = " ".join((tree.title or "").split())
    if not text:
        yield Refusal(place="file", code="no_text", sentence="The page has no visible text.", start=page[:80], end=end)
        return
    if title and not text.startswith(title):
        text = f"{title}\n\n{text}"
    yield Document(text=text, place="file", end=end, licence=_licence(tree), visible=visible)


def _declared(stream: BinaryIO) -> str | None:
    stream.seek(0)
    found = _META_CHARSET.search(stream.read(4096))
    return found.group(1).decode("ascii") if found else None


def _text(tree: HTMLTree, *, deep: bool) -> tuple[str, bool]:
    """The text, and whether it is all that is visible rather than the main part."""
    everything = extract_plain_text(tree, main_content=False, alt_texts=False).strip()
    if deep:
        return everything, True
    main = extract_plain_text(tree, main_content=True, alt_texts=False).strip()
    if len(main) < max(_FEWEST_CHARACTERS, _SMALLEST_SHARE * len(everything)) and main != everything:
        return everything, True
    return main, False


def _is_deep(page: str) -> bool:
    """Whether elements are nested so deep that finding the main text would take long, judged by their tags."""
    total = depth = 0
    for tag in _TAG.finditer(page):
        if tag.group(2).lower() not in _FLAT:
            depth = max(depth - 1, 0) if tag.group(1) else depth + 1
        total += depth
    return total > _MOST_DEPTH


def _licence(tree: HTMLTree) -> str:
    links = tree.document.query_selector_all("a[rel~=license], link[rel~=license]") if tree.document else ()
    return next((str(link.getattr("href") or "") for link in links), "")
