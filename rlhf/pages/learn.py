"""What rlhf adds to the list of places to learn."""

from __future__ import annotations

from django.urls import reverse
from django.utils.translation import gettext as _

from annotate.models import Project, Role, User
from annotate.pages.learn import Place


def places(user: User, project: Project) -> list[Place]:
    """One query."""

    def place(name: str, label: str, sentence: str, *, icon: str = "learn") -> Place:
        return {
            "label": label,
            "sentence": sentence,
            "url": reverse(name, args=[project.uuid]),
            "icon": icon,
            "waits": "",
        }

    found = [
        place(
            "tokenizer", _("Tokenizer"), _("Any text as the pieces that a model reads, and how they grew from bytes.")
        ),
        place(
            "map",
            _("Language map"),
            _("The words that a model knows, placed so that words used alike lie together."),
        ),
        place(
            "beliefs",
            _("What a model believes"),
            _("Which words models expect next, before and after each stage, and how they weigh an answer."),
        ),
    ]
    if user.roles(project) & {Role.REVIEWER, Role.ADMIN}:
        sentence = _("Ask a model of this project, and see what it has learned and what not.")
        found.append(place("playground", _("Playground"), sentence, icon="playground"))
    return found
