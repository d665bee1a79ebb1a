"""Say what a project asks of its people."""

from __future__ import annotations

from django.db import transaction

from annotate.errors import AnnotateError
from annotate.models import Guideline, Project, User

MOST_CHARACTERS = 100_000


@transaction.atomic
def publish_guideline(*, project: Project, body: str, by: User, major: bool = False) -> Guideline:
    """The next version; each person accepts a major one before their next task.

    Raises AnnotateError with code bad_guideline where body is empty or too long.
    """
    if not 0 < len(body.strip()) <= MOST_CHARACTERS:
        sentence = f"A guideline has 1 to {MOST_CHARACTERS:,} characters."
        raise AnnotateError("bad_guideline", sentence, field="body")
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    last = project.guidelines.order_by("-version").values_list("version", flat=True).first()
    return Guideline.objects.create(project=project, version=(last or 0) + 1, major=major, body=body, created_by=by)
