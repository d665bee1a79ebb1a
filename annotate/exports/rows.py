"""What the rows of all kinds share. They say what people decided, as trainer.contract reads it, and where it is from.

What counts and what is left out is decided in this folder, which writes nothing. Rows stream in order of id; ids are
keys of texts; of a ranking, the revision's. Each `…_rows` has its `…_counts`: how many are left out, by reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any  # rows and settings are JSON

from annotate.models import Project, Text, User

Json = dict[str, Any]
Sorted = Iterator[tuple[Json | None, str]]
CHUNK = 500


def chunks(rows: Any) -> Iterator[list[Any]]:  # a queryset of any row with a key
    """The rows in order of key, 500 at a time, in flat memory."""
    last = 0
    while chunk := list(rows.filter(pk__gt=last).order_by("pk")[:CHUNK]):
        yield chunk
        last = chunk[-1].pk


def left_out(found: Sorted) -> dict[str, int]:
    return dict(Counter(reason for row, reason in found if row is None))


def messages_of(prompts: Iterable[Text]) -> dict[int, list[Json]]:
    """The dialogue up to each prompt, first turn first. One query for each turn of the longest."""
    texts = {prompt.pk: prompt for prompt in prompts}
    asked = list(texts)
    missing = {text.parent_id for text in texts.values() if text.parent_id} - set(texts)
    while missing:
        earlier = Text.objects.in_bulk(missing)
        texts |= earlier
        missing = {text.parent_id for text in earlier.values() if text.parent_id} - set(texts)
    return {pk: _turns(texts, pk) for pk in asked}


def _turns(texts: Mapping[int, Text], pk: int) -> list[Json]:
    turns: list[Json] = []
    at: int | None = pk
    while at:
        text = texts[at]
        turns.insert(0, {"role": "user" if text.kind == Text.Kind.PROMPT else "assistant", "content": text.body})
        at = text.parent_id
    return turns


def person_of(user: User | None, project: Project) -> Json:
    return {"by": user.pseudonym(project), "scripted": user.scripted} if user else {}


def licence_of(text: Text) -> str:
    return text.licence or (text.source.licence if text.source else "") or "unknown"
