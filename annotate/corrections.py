"""Corrections of the learning game as instruction pairs: a sentence with a wrong word, and the sentence repaired.

They come from held-out paragraphs, so a benchmark on those says less of an adapter that learned from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

from annotate.game import around, read_start
from annotate.models import GameAttempt, GameItem, GameParagraph, Group, Project, User
from annotate.played import repairs

Json = dict[str, Any]  # Any: a JSON object

SOURCE = "game"
INSTRUCTION = "Correct the sentence: "
OTHERS = 19  # rows for each correction: at most 5 % of a snapshot are corrections


def correction_rows(project: Project) -> Iterator[Json]:
    """Repairs with the right word, one a sentence and wrong word, by who made it first. Four queries."""
    found: dict[int, GameAttempt] = {}
    for row in repairs(project):
        if row.right and row.item_id is not None:
            found.setdefault(row.item_id, row)
    paragraphs = _paragraphs(found.values())
    people = User.objects.in_bulk({row.round.user_id for row in found.values()})
    for row in found.values():
        paragraph = paragraphs[row.item.paragraph_id]  # type: ignore[union-attr]  # a repair has its item
        if paragraph.retired_at is None:
            yield _row(project, paragraph, row, by=people[row.round.user_id])


def few(found: Iterable[Json], *, others: int) -> Iterator[tuple[Json | None, str]]:
    """(row, "") for those that a snapshot takes beside `others` rows, (None, reason) for each that it leaves out.

    Of one sentence and wrong word, and of all sentences, those whose hashes come first.
    """
    by_prompt: dict[str, list[Json]] = {}
    for row in found:
        by_prompt.setdefault(row["messages"][0]["content"], []).append(row)
    for nth, prompt in enumerate(sorted(by_prompt, key=_hash)):
        first, *more = sorted(by_prompt[prompt], key=lambda row: _hash(prompt + row["messages"][-1]["content"]))
        taken = nth < others // OTHERS
        yield (first, "") if taken else (None, "more_than_5_percent_corrections")
        yield from ((None, "corrected_twice") for _ in more)


def with_error(paragraph: GameParagraph, item: GameItem) -> str:
    """The sentence as correction mode shows it."""
    return _with(paragraph, item, read_start(paragraph.start).vocabulary.words[item.distractors[3]])


def repaired(paragraph: GameParagraph, item: GameItem, word: str = "") -> str:
    """The sentence as it is, or with another word at the place of the blank."""
    text: str = paragraph.shown["sentences"][item.sentence]["text"]
    return _with(paragraph, item, word) if word else text


def split_of(project: Project, paragraph: GameParagraph) -> str:
    """Of the paragraph's document; of a bundled one by the same rule."""
    if paragraph.text:
        return paragraph.text.group.split
    return Group.split_of(project=project, first_sha256=paragraph.key)


def _paragraphs(rows: Iterable[GameAttempt]) -> dict[int, GameParagraph]:
    keys = {row.item.paragraph_id for row in rows if row.item}
    return GameParagraph.objects.select_related("start", "text__group").in_bulk(keys)


def _row(project: Project, paragraph: GameParagraph, attempt: GameAttempt, *, by: User) -> Json:
    item = attempt.item
    assert item is not None  # a repair has its item
    turns = [("user", INSTRUCTION + with_error(paragraph, item)), ("assistant", repaired(paragraph, item))]
    return {
        "id": f"game-{item.pk}",
        "prompt_id": f"game-{item.pk}",
        "split": split_of(project, paragraph),
        "messages": [{"role": role, "content": content} for role, content in turns],
        "weight": 1.0,
        "source": SOURCE,
        "sha256": sha256(turns[1][1].encode()).hexdigest(),
        "licence": "",
        "pasted": None,
        "decision": None,
        "revision": None,
        "document": str(paragraph.text_id) if paragraph.text_id else None,
        "by": by.pseudonym(project),
        "scripted": by.scripted,
    }


def _with(paragraph: GameParagraph, item: GameItem, word: str) -> str:
    before, after = around(paragraph.shown["sentences"][item.sentence], item.position)
    return f"{before}{word}{after}"


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()
