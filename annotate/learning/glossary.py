"""The terms of the glossary, and where they stand in other texts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from annotate.learning.files import folder_of, read_yaml


@dataclass(frozen=True)
class Term:
    """slug: its anchor. aliases: other forms of the word. aid: what helps to remember it. see: slugs."""

    slug: str
    term: str
    aliases: tuple[str, ...]
    definition: str
    example: str
    stage: str
    aid: str
    see: tuple[str, ...]


def terms(language: str) -> Mapping[str, Term]:
    """All terms by slug, in the order of the file."""
    return _read(folder_of(language) / "glossary.yaml")


def pattern(language: str) -> re.Pattern[str]:
    """Finds any form of any term as whole words, the longest form first."""
    return _pattern(folder_of(language) / "glossary.yaml")


def slug_of(found: str, language: str) -> str:
    """The term that a form found by `pattern` belongs to."""
    return _slugs(folder_of(language) / "glossary.yaml")[found.lower()]


@cache
def _read(path: Path) -> Mapping[str, Term]:
    return {
        slug: Term(
            slug=slug,
            term=one["term"],
            aliases=tuple(one.get("aliases", ())),
            definition=one["definition"],
            example=one["example"],
            stage=one["stage"],
            aid=one["aid"],
            see=tuple(one["see"]),
        )
        for slug, one in read_yaml(path).items()
    }


@cache
def _slugs(path: Path) -> Mapping[str, str]:
    return {form.lower(): one.slug for one in _read(path).values() for form in (one.term, *one.aliases)}


@cache
def _pattern(path: Path) -> re.Pattern[str]:
    forms = sorted(_slugs(path), key=lambda form: (-len(form), form))
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, forms))})(?![\w-])", re.IGNORECASE)
