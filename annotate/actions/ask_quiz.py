"""Ask a project's assessors to pass the quiz before they get tasks, or ask no longer."""

from __future__ import annotations

from django.db import transaction

from annotate.errors import AnnotateError
from annotate.learning import quiz
from annotate.models import Project
from annotate.qualification import FEWEST_RIGHT, MARK, SETTING


@transaction.atomic
def ask_quiz(*, project: Project, asks: bool, mark: int) -> None:
    """mark: how many answers must be right. Raises AnnotateError with code bad_mark."""
    if not FEWEST_RIGHT <= mark <= quiz.DRAWN:
        sentence = f"The pass mark is {mark}; allowed are {FEWEST_RIGHT} to {quiz.DRAWN}."
        raise AnnotateError("bad_mark", sentence, field="mark")
    locked = Project.objects.select_for_update().get(pk=project.pk)
    locked.settings |= {SETTING: asks, MARK: mark}
    locked.save(update_fields=["settings"])
