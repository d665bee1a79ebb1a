"""A stage explained for one person: the text at a depth, with the project's numbers and links into the glossary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any  # blocks are JSON

from django.urls import reverse
from django.utils.translation import get_language

from annotate import numbers, rendering
from annotate.learning import glossary, linking, texts
from annotate.learning.glossary import Term
from annotate.models import Project

Json = dict[str, Any]


@dataclass(frozen=True)
class Explained:
    """terms: those that the text links to, in their order."""

    stage: str
    title: str
    version: int
    depth: str
    blocks: list[Json]
    terms: list[Term]


def language() -> str:
    """That of the page."""
    return get_language() or "en"


def explained(*, stage: str, depth: str, project: Project | None) -> Explained:
    """One of texts.STAGES at one of texts.DEPTHS. No query where the section names no number, else some twelve."""
    text = texts.stage_text(stage, language())
    section = text.sections[depth]
    if texts.placeholders(section):
        section = texts.filled(section, numbers.of_project(project) if project else {})
    blocks, slugs = linked(section)
    found = glossary.terms(language())
    return Explained(stage, text.title, text.version, depth, blocks, [found[slug] for slug in slugs])


def linked(text: str, *, leave: str = "") -> tuple[list[Json], list[str]]:
    """Our own Markdown as blocks that link to the glossary, and the slugs that they link to."""
    address = reverse("glossary") + "#"
    return linking.linked(rendering.blocks(text), language=language(), address=address, leave=leave)
