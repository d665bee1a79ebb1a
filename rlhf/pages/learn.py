"""What rlhf adds to the list of places to learn."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext as _

from annotate.models import Project, Role, User
from annotate.pages.learn import Place


def places(user: User, project: Project) -> list[Place]:
    """One query."""
    tokenizer: Place = {
        "label": _("Tokenizer"),
        "sentence": _("Any text as the pieces that a model reads, and how they grew from bytes."),
        "url": reverse("tokenizer", args=[project.uuid]),
        "icon": "learn",
        "waits": "",
    }
    language_map: Place = {
        "label": _("Language map"),
        "sentence": _("The words that a model knows, placed so that words used alike lie together."),
        "url": reverse("map", args=[project.uuid]),
        "icon": "learn",
        "waits": "",
    }
    beliefs: Place = {
        "label": _("What a model believes"),
        "sentence": _("Which words models expect next, before and after each stage, and how they weigh an answer."),
        "url": reverse("beliefs", args=[project.uuid]),
        "icon": "learn",
        "waits": "",
    }
    if not user.roles(project) & {Role.REVIEWER, Role.ADMIN}:
        return [tokenizer, language_map, beliefs]
    return [
        tokenizer,
        language_map,
        beliefs,
        {
            "label": _("Playground"),
            "sentence": _("Ask a model of this project, and see what it has learned and what not."),
            "url": reverse("playground", args=[project.uuid]),
            "icon": "playground",
            "waits": "",
        },
    ]
