"""Ask a project's assessors to pass the quiz before they get tasks, or ask no longer."""

from __future__ import annotations

from django.db import transaction

from annotate.models import Project
from annotate.qualification import SETTING


@transaction.atomic
def ask_quiz(*, project: Project, asks: bool) -> None:
    locked = Project.objects.select_for_update().get(pk=project.pk)
    locked.settings[SETTING] = asks
    locked.save(update_fields=["settings"])
