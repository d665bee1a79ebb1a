"""Better answers: what somebody wrote in the place of one that they ranked. Each is an answer and a comparison.

They count as long as the ranking counts that they came with; an undone or a surplus one leaves texts that nobody reads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any  # rows are JSON

from annotate.models import Queue, Revision, TaskText, Text

Json = dict[str, Any]
SOURCE = "better"


def better_ids(revision: Revision) -> dict[int, int]:
    """{text: the better one} of a ranking."""
    return {int(key): better for key, better in revision.answer.get("better_ids", {}).items()}


def improving(text_ids: Iterable[int]) -> set[int]:
    """Those of the texts that are a better answer of a ranking that counts. Two queries, one where none is an edit."""
    edits = Text.objects.filter(pk__in=list(text_ids), edited_from__isnull=False, author__isnull=False)
    written = {pk: (before, author) for pk, before, author in edits.values_list("pk", "edited_from", "author")}
    if not written:
        return set()
    befores, authors = ({pair[at] for pair in written.values()} for at in (0, 1))
    ranked = Revision.objects.counted().filter(
        judgement__task__queue__kind=Queue.Kind.RANK,
        judgement__task__in=TaskText.objects.filter(text__in=befores).values("task"),
        judgement__user__in=authors,
    )
    return {better for revision in ranked for better in better_ids(revision).values()} & written.keys()


def comparisons(revision: Revision, row: Json, better: Mapping[int, Text]) -> Iterator[Json]:
    """A row for each better answer of a ranking: the better one over its original. row: the ranking's own.

    better: texts by key. A row's id is the ranking's with the place of the answer in it.
    """
    for place, answer in enumerate(row["answers"]):
        key = better_ids(revision).get(int(answer["id"]))
        if key is not None and better[key].body:  # an erased text teaches nothing
            yield row | {
                "id": f"{row['id']}.{place}",
                "answers": [answer, {"id": str(key), "text": better[key].body}],
                "groups": [[1], [0]],
                "unplaced": [],
                "acceptable_groups": None,
                "source": SOURCE,
                "ratings": [row["ratings"][place], None],
                "flags": [row["flags"][place], None],
                "critiques": [None, None],
            }
