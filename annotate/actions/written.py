"""What a person wrote, in the form that is stored."""

from __future__ import annotations

from annotate.cleaning.normalise import stored
from annotate.errors import AnnotateError
from annotate.models import Text


def written(text: object, *, field: str, called: str = "text") -> str:
    """The text as it is kept. Raises AnnotateError 400 with code bad_body, empty_text or too_long, and fact field."""
    if not isinstance(text, str):
        raise AnnotateError("bad_body", f"{field} must be a string.", field=field)
    kept = stored(text).body
    if not kept.strip():
        raise AnnotateError("empty_text", f"The {called} is empty.", field=field)
    size = len(kept.encode())
    if size > Text.MAX_BYTES:
        sentence = f"The {called} has {size:,} bytes; at most {Text.MAX_BYTES:,} are allowed."
        raise AnnotateError("too_long", sentence, field=field)
    return kept
