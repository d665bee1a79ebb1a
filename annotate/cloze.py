"""What people answered in the learning game, as a benchmark of models: one row a blank and mode.

Only rounds that replay the same count, with context on, and only a person's first answer that stands: undone ones do
not. A round is kept only of who consented, and a withdrawal erases it (`spec/learning_game.md` 8).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models import Q

from annotate.exports import settings_of
from annotate.game import read_start
from annotate.models import GameAttempt, GameItem, GameParagraph, GameRound, GameStart, Project

Json = dict[str, Any]  # Any: a JSON object
MODES = (GameRound.Mode.MISSING, GameRound.Mode.NEXT)

Place = tuple[int, str]  # item and mode


def cloze_rows(project: Project, settings: Mapping[str, Any]) -> Iterator[Json]:
    """The blanks of the project's own paragraphs and of the bundled ones that at least min_people answered.

    With min_people 0 each blank is a row: models can be scored before anyone has played.
    """
    least = settings_of("cloze", settings)["min_people"]
    return (row for row in _rows(project) if _people(row) >= least)


def cloze_counts(project: Project, settings: Mapping[str, Any]) -> dict[str, int]:
    least = settings_of("cloze", settings)["min_people"]
    return {"too_few_people": sum(_people(row) < least for row in _rows(project))}


def _people(row: Json) -> int:
    counts: list[int] = [*row["people"].values(), *row["free"].values()]
    return sum(counts)


def _rows(project: Project) -> Iterator[Json]:
    answers = first_answers(project)
    starts = GameStart.objects.standing().filter(Q(project=project) | Q(project=None)).order_by("pk")
    for start in starts:
        paragraphs = start.paragraphs.filter(reserved=False, retired_at=None).prefetch_related("items")
        for paragraph in paragraphs.order_by("key"):
            for item in sorted(paragraph.items.all(), key=lambda item: (item.sentence, item.position)):
                for mode in MODES:
                    yield _row(start, paragraph, item, mode, answers.get((item.pk, mode), []))


def first_answers(project: Project) -> dict[Place, list[GameAttempt]]:
    """Each person's first standing answer to an item, by item and mode. Two queries."""
    rounds = GameRound.objects.filter(project=project, mode__in=MODES, replay=GameRound.Replay.SAME)
    rows = GameAttempt.objects.filter(round__in=rounds).select_related("round").order_by("round", "number")
    by_round: dict[int, list[GameAttempt]] = defaultdict(list)
    for row in rows:
        standing = by_round[row.round_id]
        if row.kind != GameAttempt.Kind.UNDO:
            standing.append(row)
        elif standing:
            standing.pop()
    found: dict[Place, list[GameAttempt]] = defaultdict(list)
    met: set[tuple[int, Place]] = set()
    for row in (row for standing in by_round.values() for row in standing):
        if row.kind != GameAttempt.Kind.ANSWER or row.item_id is None or not row.context_on:
            continue
        place = (row.item_id, row.round.mode)
        if (row.round.user_id, place) not in met:
            met.add((row.round.user_id, place))
            found[place].append(row)
    return found


def _row(start: GameStart, paragraph: GameParagraph, item: GameItem, mode: str, answers: list[GameAttempt]) -> Json:
    words = read_start(start).vocabulary.words
    sentences = paragraph.shown["sentences"]
    chosen = Counter(words[row.choice] for row in answers if row.choice is not None)
    typed = Counter(row.free for row in answers if row.choice is None and row.free)
    gold = words[item.gold]
    return {
        "id": f"{item.pk}-{mode}",
        "split": "heldout",
        "paragraph": paragraph.key,
        "mode": mode,
        "context": [sentence["text"] for sentence in sentences[: item.sentence]],
        "sentence": list(around(sentences[item.sentence], item.position)),
        "options": [gold, *(words[word] for word in item.distractors[:3])],
        "gold": gold,
        "golds": [gold],
        "people": dict(sorted(chosen.items())),
        "free": dict(sorted(typed.items())),
    }


def around(sentence: Json, position: int) -> tuple[str, str]:
    """What stands before and after the word at a position; spans count UTF-16 units."""
    start, end = sentence["spans"][position]
    units = sentence["text"].encode("utf-16-le")
    return units[: 2 * start].decode("utf-16-le"), units[2 * end :].decode("utf-16-le")
