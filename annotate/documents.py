"""What the pure rooms hand each other: documents read from a file, and rows that were refused. No Django here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Role = Literal["user", "assistant"]
What = Literal["documents", "prompts", "pairs"]


@dataclass(frozen=True, slots=True)
class Turn:
    role: Role
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One text as it was read, before it is normalised.

    turns: the whole dialogue where the row was one; text is then the first turn.
    place: where it stood, for people ("line 12"); end: the byte after it, where reading resumes.
    visible: the reader took all visible text of a page, as it found no main text.
    """

    text: str
    turns: tuple[Turn, ...] = ()
    place: str = ""
    end: int = 0
    address: str = ""
    licence: str = ""
    language: str = ""
    collected_at: datetime | None = None
    group: str = ""
    meta: Mapping[str, object] = field(default_factory=dict)
    visible: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A row that was not taken: code for programs, sentence for people, start: its first 80 characters."""

    place: str
    code: str
    sentence: str
    start: str = ""
    end: int = 0


class Unreadable(Exception):
    """Raised by readers where the whole file cannot be taken."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
