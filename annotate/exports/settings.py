"""What a freeze may be asked to take or leave, by kind of snapshot, and what it takes where nothing is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any  # rows and settings are JSON

from annotate import corrections, improved
from annotate.errors import AnnotateError
from annotate.exports.rows import Json

VERSION = 2  # of the rows: 2 adds flags and critiques to rankings
HELD = ["child_sexual_exploitation", "secrets", "card", "iban", "id"]
REPAIR = "repair"
SETTINGS: dict[str, dict[str, object]] = {
    "corpus": {"hold": HELD, "unknown_licence": False, "duplicates": "all"},
    "sft": {"sources": ["write", "import", improved.SOURCE], "unknown_licence": False},
    "ranking": {"sources": ["rank", "pair", REPAIR, improved.SOURCE]},
    "prompt": {"splits": None},
    "cloze": {"min_people": 3},
}
MOST_PEOPLE = 1_000
ALLOWED = {"duplicates": ("all", "representatives")}
SOURCES = {
    "sft": ("write", "import", REPAIR, improved.SOURCE, corrections.SOURCE),
    "ranking": ("rank", "pair", REPAIR, improved.SOURCE),
}


def settings_of(kind: str, given: Mapping[str, Any]) -> Json:
    """The defaults with what is given. Raises AnnotateError with code bad_settings."""
    for name, value in given.items():
        if name not in SETTINGS[kind]:
            raise bad_setting(name, f"{name} is no setting here; allowed: {', '.join(SETTINGS[kind]) or 'none'}.")
        if name == "duplicates" and value not in ALLOWED[name]:
            raise bad_setting(name, f"{name} is one of {', '.join(ALLOWED[name])}.")
        if name == "unknown_licence" and not isinstance(value, bool):
            raise bad_setting(name, f"{name} is true or false.")
        if name == "min_people" and not _whole(value, most=MOST_PEOPLE):
            raise bad_setting(name, f"{name} is a whole number, 0 to {MOST_PEOPLE:,}.")
        if name == "hold" and not _names(value, None):
            raise bad_setting(name, "hold is a list of detectors and categories.")
        if name == "sources" and not _names(value, SOURCES[kind]):
            raise bad_setting(name, f"sources is a list of {', '.join(SOURCES[kind])}.")
    return {**SETTINGS[kind], **given}


def bad_setting(field: str, sentence: str) -> AnnotateError:
    return AnnotateError("bad_settings", sentence, field=field)


def _whole(value: object, *, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _names(value: object, allowed: Sequence[str] | None) -> bool:
    return isinstance(value, list) and all(
        isinstance(name, str) and (allowed is None or name in allowed) for name in value
    )
