"""In what language a project's documents are, as far as the game must know it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.db.models.functions import Substr

from annotate.models import Project, Text
from annotate.tinynet.words import spaced

SAMPLE, BEGINNING = 200, 500  # documents that are looked at, and characters of each

ENGLISH = "en"


@dataclass(frozen=True)
class Language:
    """code: of most documents, English where none says. spaced: it is written with spaces between words."""

    code: str
    spaced: bool

    @property
    def is_english(self) -> bool:
        return self.spaced and self.code.lower().split("-")[0] == ENGLISH


def language_of(project: Project) -> Language:
    """By its first documents; English where it has none. One query."""
    documents = Text.objects.documents().filter(project=project, edited_from=None).order_by("pk")
    rows = list(documents.values_list("language", Substr("body", 1, BEGINNING))[:SAMPLE])
    codes = Counter(code for code, _ in rows if code)
    code = codes.most_common(1)[0][0] if codes else ENGLISH
    return Language(code, spaced(" ".join(body for _, body in rows)))
