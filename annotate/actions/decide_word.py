"""A reviewer says whether a word that several people typed at a blank is right there too."""

from __future__ import annotations

from annotate.errors import AnnotateError
from annotate.models import GameAttempt, GameWord, Project, User
from annotate.played import READINGS


def decide_word(*, project: Project, item: int, mode: str, word: str, accepted: bool | None, by: User) -> GameWord:
    """A new row, which holds from now on; accepted None takes the last decision back. item: the key of the blank.

    Raises AnnotateError 422 with code unknown_word where nobody of the project typed it at this blank.
    """
    typed = GameAttempt.objects.filter(
        item=item, round__project=project, round__mode=mode, round__mode__in=READINGS, free=word, choice=None
    )
    if not word or not typed.exists():
        raise AnnotateError("unknown_word", "Nobody typed this word at this blank.", status=422)
    return GameWord.objects.create(project=project, item_id=item, mode=mode, word=word, accepted=accepted, by=by)
