"""What people voted of three words: which is the odd one. Words only; no model is known here."""

from __future__ import annotations

from typing import NamedTuple

from annotate.models import Project, SimilarityVote


class Vote(NamedTuple):
    """words: three, in order of the alphabet."""

    words: tuple[str, str, str]
    odd: str


def standing_votes(project: Project) -> list[Vote]:
    """The newest vote of each person on each three words, where it was not taken back. One query."""
    newest: dict[tuple[int, tuple[str, str, str]], str] = {}
    for user, words, odd in (
        SimilarityVote.objects.filter(project=project).order_by("pk").values_list("user", "words", "odd")
    ):
        newest[user, tuple(words)] = odd
    return [Vote(words, odd) for (_, words), odd in newest.items() if odd]
