"""What people answered in the game, as it stands: what play becomes data from.

Only rounds that replay the same count, and what was taken back does not. A round is kept only of who consented, and a
withdrawal erases it (`spec/learning_game.md` 8).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

from django.db.models import QuerySet

from annotate.models import GameAttempt, GameParagraph, GameRound, GameWord, Project

READINGS = (GameRound.Mode.MISSING, GameRound.Mode.NEXT)

Place = tuple[int, str]  # item and mode


def first_answers(project: Project, only: GameParagraph | None = None) -> dict[Place, list[GameAttempt]]:
    """What people answered when they met a blank for the first time, with context on, by item and mode. One query.

    only: of the blanks of one paragraph.

    Who met it before knows the word: in another mode, in a round that does not replay the same, as the network
    played it, or because they took their answer back. Such answers do not count.
    """
    found: dict[Place, list[GameAttempt]] = defaultdict(list)
    met: set[tuple[int, int]] = set()
    rounds = GameRound.objects.filter(project=project)
    for row, stands in _met(rounds.filter(paragraph=only) if only else rounds):
        assert row.item_id is not None  # `_met` passes by what has none
        if (row.round.user_id, row.item_id) in met:
            continue
        met.add((row.round.user_id, row.item_id))
        counts = stands and row.kind == GameAttempt.Kind.ANSWER and row.context_on
        if counts and row.round.replay == GameRound.Replay.SAME and row.round.mode in READINGS:
            found[row.item_id, row.round.mode].append(row)
    return found


def repairs(project: Project, round_: GameRound | None = None) -> list[GameAttempt]:
    """Answers of correction mode, of all rounds or of one, that found the wrong word; oldest first. One query."""
    rounds = GameRound.objects.filter(project=project, mode=GameRound.Mode.CORRECTION)
    return [
        row
        for row, stands in _met(rounds.filter(pk=round_.pk) if round_ else rounds)
        if stands
        and row.kind == GameAttempt.Kind.ANSWER
        and row.round.replay == GameRound.Replay.SAME
        and row.item
        and row.picked == row.item.position
    ]


def words_decided(project: Project) -> Mapping[Place, dict[str, bool]]:
    """What reviewers said of typed words, by item and mode: whether each is a second gold. One query."""
    newest: dict[Place, dict[str, bool | None]] = defaultdict(dict)
    for row in GameWord.objects.filter(project=project).order_by("pk"):
        newest[row.item_id, row.mode][row.word] = row.accepted
    return {
        place: {word: accepted for word, accepted in words.items() if accepted is not None}
        for place, words in newest.items()
    }


def _met(rounds: QuerySet[GameRound]) -> Iterator[tuple[GameAttempt, bool]]:
    """Each row of these rounds that showed somebody a blank, oldest first, and whether it was not taken back."""
    rows = list(
        GameAttempt.objects.filter(round__in=rounds).select_related("round", "item").order_by("round", "number")
    )
    standing: dict[int, list[int]] = defaultdict(list)
    for row in rows:
        if row.kind != GameAttempt.Kind.UNDO:
            standing[row.round_id].append(row.pk)
        elif standing[row.round_id]:
            standing[row.round_id].pop()
    kept = {pk for of_round in standing.values() for pk in of_round}
    return ((row, row.pk in kept) for row in rows if row.item_id is not None)
