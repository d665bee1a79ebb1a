"""What rlhf adds to the list of places to learn."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext as _

from annotate.models import Project, Role, User
from annotate.pages.learn import Place


def places(user: User, project: Project) -> list[Place]:
    """One query."""
    if not user.roles(project) & {Role.REVIEWER, Role.ADMIN}:
        return []
    return [
        {
            "label": _("Playground"),
            "sentence": _("Ask a model of this project, and see what it has learned and what not."),
            "url": reverse("playground", args=[project.uuid]),
            "icon": "playground",
            "waits": "",
        }
    ]
