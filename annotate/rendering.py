"""Markdown of people and models becomes blocks from a closed list; one renderer for pages and API.

Raw HTML stays text, images never load, links lead to http, https or mailto only. Templates get the same blocks as
escaped HTML. A block's type is paragraph, heading, quote, list, item, code or rule; a span's is text, code, strong, em,
link or break; in our own texts also term, a link into the glossary (`annotate.learning.linking`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any  # blocks are JSON
from urllib.parse import urlsplit

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

Json = dict[str, Any]

SIGNS = r"\\`*_\[\]<>&!\x00-\x1f"
PLAIN = re.compile(rf"[^\W\d_](?:[^{SIGNS}]*[^{SIGNS}\s])?")  # begins with a letter: no list, heading, quote or rule
SCHEMES = {"http", "https", "mailto"}


def blocks(text: str) -> list[Json]:
    """The blocks of a Markdown text. Paragraphs without a sign that means something need no parser."""
    plain = text.split("\n\n")
    if all(PLAIN.fullmatch(paragraph) for paragraph in plain):
        return [{"type": "paragraph", "spans": [{"type": "text", "text": paragraph}]} for paragraph in plain]
    return parsed(text)


def parsed(text: str) -> list[Json]:
    """The blocks as the parser finds them, whatever the text."""
    return [block for node in SyntaxTreeNode(_parser().parse(text)).children for block in _block(node)]


def html(text: str) -> SafeString:
    """The same blocks as HTML, all of it escaped; headings begin at h3, below those of the page."""
    return html_of(blocks(text))


def html_of(found: Sequence[Json]) -> SafeString:
    """Blocks, of people's texts or our own, as HTML."""
    return _joined([_block_html(block) for block in found])


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False})


def _block(node: SyntaxTreeNode) -> list[Json]:
    inner = [block for child in node.children for block in _block(child)]
    match node.type:
        case "paragraph":
            return [{"type": "paragraph", "spans": _spans_of(node)}]
        case "heading":
            return [{"type": "heading", "level": int(node.tag[1]), "spans": _spans_of(node)}]
        case "fence" | "code_block":
            return [{"type": "code", "text": node.content, "language": node.info.split(" ")[0][:40]}]
        case "hr":
            return [{"type": "rule"}]
        case "blockquote":
            return [{"type": "quote", "blocks": inner}]
        case "bullet_list" | "ordered_list":
            start = node.attrs.get("start", 1) if node.type == "ordered_list" else None
            return [{"type": "list", "start": start, "items": inner}]
        case "list_item":
            return [{"type": "item", "blocks": inner}]
        case "inline":
            return []  # its paragraph or heading reads it
    return [{"type": "paragraph", "spans": [{"type": "text", "text": node.content}]}]


def _spans_of(node: SyntaxTreeNode) -> list[Json]:
    return [span for inline in node.children for child in inline.children for span in _span(child)]


def _span(node: SyntaxTreeNode) -> list[Json]:
    inner = [span for child in node.children for span in _span(child)]
    match node.type:
        case "code_inline":
            return [{"type": "code", "text": node.content}]
        case "strong" | "em":
            return [{"type": node.type, "spans": inner}]
        case "softbreak":
            return [{"type": "text", "text": "\n"}]
        case "hardbreak":
            return [{"type": "break"}]
        case "image":
            return [{"type": "text", "text": f"[image: {node.content}]"}]
        case "link":
            address = str(node.attrs.get("href", ""))
            return [{"type": "link", "address": address, "spans": inner}] if _may_lead_to(address) else inner
    return [{"type": "text", "text": node.content}]


def _may_lead_to(address: str) -> bool:
    try:
        return urlsplit(address).scheme.lower() in SCHEMES
    except ValueError:
        return False


def _block_html(block: Json) -> SafeString:
    match block["type"]:
        case "heading":
            return format_html("<h{0}>{1}</h{0}>", min(6, block["level"] + 2), _spans_html(block["spans"]))
        case "code":
            return format_html("<pre><code>{}</code></pre>", block["text"])
        case "rule":
            return mark_safe("<hr>")
        case "quote":
            return format_html("<blockquote>{}</blockquote>", html_of(block["blocks"]))
        case "item":
            return format_html("<li>{}</li>", html_of(block["blocks"]))
        case "list" if block["start"] is None:
            return format_html("<ul>{}</ul>", html_of(block["items"]))
        case "list":
            return format_html('<ol start="{}">{}</ol>', block["start"], html_of(block["items"]))
    return format_html("<p>{}</p>", _spans_html(block["spans"]))


def _spans_html(spans: Sequence[Json]) -> SafeString:
    return _joined([_span_html(span) for span in spans])


def _span_html(span: Json) -> SafeString:
    match span["type"]:
        case "code":
            return format_html("<code>{}</code>", span["text"])
        case "strong":
            return format_html("<strong>{}</strong>", _spans_html(span["spans"]))
        case "em":
            return format_html("<em>{}</em>", _spans_html(span["spans"]))
        case "break":
            return mark_safe("<br>")
        case "term":
            inner = _spans_html(span["spans"])
            return format_html('<a class="term" href="{}" data-term="{}">{}</a>', span["address"], span["slug"], inner)
        case "link":
            inner = _spans_html(span["spans"])
            return format_html('<a href="{}" rel="noopener noreferrer nofollow">{}</a>', span["address"], inner)
    return format_html("{}", span["text"])


def _joined(parts: Sequence[SafeString]) -> SafeString:
    return format_html_join("", "{}", ((part,) for part in parts))
