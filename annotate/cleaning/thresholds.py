"""Every limit of the detectors, in one place; a project may set its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any  # evidence is JSON

FLOOR = 0.1  # findings weaker than this are not stored, so that a limit can move without a new scan


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Defaults of `cleaning.md` 5.2 to 5.4. Shares are of the text, scores from 0 to 1.

    Sources: word counts, lines and n-grams: Rae et al. 2021 (Gopher), table A1.
    """

    min_words: int = 50
    max_words: int = 100_000
    repeated_lines: float = 0.30
    repeated_line_characters: float = 0.20
    top_2grams: float = 0.20
    top_3grams: float = 0.18
    top_4grams: float = 0.16
    repeated_5grams: float = 0.15
    repeated_6grams: float = 0.14
    repeated_7grams: float = 0.13
    repeated_8grams: float = 0.12
    repeated_9grams: float = 0.11
    repeated_10grams: float = 0.10
    markup: float = 0.02
    near_duplicate: float = 0.70
    personal: float = 0.5
    unsafe: float = 0.5

    @classmethod
    def of(cls, settings: Mapping[str, object]) -> Thresholds:
        """The defaults with what settings names of them; other keys of settings are not ours."""
        names = {field.name for field in fields(cls)}
        return replace(cls(), **{name: value for name, value in settings.items() if name in names})  # type: ignore[arg-type]  # JSON numbers

    def calls_for_review(self, *, detector: str, score: float, evidence: Mapping[str, Any]) -> bool:
        """Whether a person should look: weaker findings are stored, but ask nobody."""
        return score >= self.limit(detector) or evidence.get("raw", 0.0) >= self.unsafe

    def limit(self, detector: str) -> float:
        """The score from which a finding of this detector calls for review."""
        return {"near_duplicate": self.near_duplicate, "personal": self.personal, "unsafe": self.unsafe}.get(
            detector, FLOOR
        )
