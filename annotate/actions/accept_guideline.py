"""Say that one has read a project's guideline."""

from __future__ import annotations

from annotate.errors import AnnotateError
from annotate.models import Acceptance, Project, User


def accept_guideline(*, project: Project, version: int, by: User) -> Acceptance:
    """by's acceptance of the newest version; the same one where they have accepted it before.

    Raises AnnotateError 409 with code guideline_changed where version is not the newest.
    """
    newest = project.guidelines.order_by("-version").first()
    if newest is None or newest.version != version:
        sentence = "Another version stands now; read that one."
        raise AnnotateError("guideline_changed", sentence, status=409, version=newest.version if newest else None)
    accepted, _ = Acceptance.objects.get_or_create(guideline=newest, user=by)
    return accepted
