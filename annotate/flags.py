"""What people may say beside a rating: flags with stable keys, each yes, no or not answered (`annotation.md` 5)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from annotate.errors import AnnotateError

FLAGS: dict[str, tuple[str, ...]] = {
    "helpful": (
        "fails_instruction",
        "misses_constraint",
        "off_topic",
        "incoherent",
        "wrong_language",
        "too_long",
        "refuses_wrongly",
    ),
    "truthful": ("false_claim", "made_up_source", "unsupported_by_input", "overconfident"),
    "harmless": (
        "dangerous_advice",
        "sexual",
        "violent",
        "hateful",
        "self_harm",
        "illegal_help",
        "personal_data",
        "moralizing",
        "unfit_for_assistant",
    ),
}
DEFAULT = tuple(key for keys in FLAGS.values() for key in keys)
OWN = re.compile(r"x_[a-z0-9_]{1,38}")
MOST = 60


def known(key: object) -> bool:
    """Whether a queue may ask for it: one of the default set, or a project's own under x_."""
    return isinstance(key, str) and (key in DEFAULT or OWN.fullmatch(key) is not None)


def by_axis(asked: Iterable[str]) -> list[tuple[str, list[str]]]:
    """What a queue asks for under its axis, the project's own last under ""; each in the queue's order."""
    keys = list(asked)
    found = [(axis, [key for key in keys if key in of]) for axis, of in FLAGS.items()]
    return [(axis, some) for axis, some in [*found, ("", [key for key in keys if key not in DEFAULT])] if some]


def checked_flags(given: object, *, asked: Iterable[str], whose: str) -> dict[str, bool | None]:
    """Each flag that is asked for: true, false, or null where it was not answered.

    whose: what the flags are of, for sentences. Raises AnnotateError with code bad_body and fact field.
    """
    keys = list(asked)
    if not isinstance(given, Mapping):
        raise AnnotateError("bad_body", f"flags of {whose} must be an object.", field="flags")
    for key, value in given.items():
        if key not in keys:
            sentence = f"{key} is no flag of this queue; it asks {', '.join(keys) or 'none'}."
            raise AnnotateError("bad_body", sentence, field="flags")
        if value is not None and not isinstance(value, bool):
            raise AnnotateError("bad_body", f"{key} of {whose} must be true, false or null.", field="flags")
    return {key: given.get(key) for key in keys}
