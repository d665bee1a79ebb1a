"""Live numbers of a project that texts to learn from name (`annotate.learning.texts.NUMBERS`): those of this app.

`settings.LEARN_NUMBERS` names a function of this form for each app; together they supply all names.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.utils.module_loading import import_string

from annotate.models import Flag, Project, Revision, Source


def of_project(project: Project) -> Mapping[str, int]:
    """All numbers, by name. Some twelve queries, whatever the project holds."""
    found: dict[str, int] = {}
    for name in settings.LEARN_NUMBERS:
        found |= import_string(name)(project)
    return found


def numbers(project: Project) -> Mapping[str, int]:
    """Three queries."""
    ranked = Revision.objects.counted().filter(
        judgement__task__queue__project=project,
        judgement__task__queue__kind__in=("rank", "pair", "repair"),
        judgement__user__isnull=False,
    )
    return {
        "sources": Source.objects.filter(project=project).count(),
        "findings": Flag.objects.live().filter(text__project=project).count(),
        "rankers": ranked.values("judgement__user").distinct().count(),
    }
