"""Begin a project."""

from __future__ import annotations

from django.db import transaction

from annotate.errors import AnnotateError
from annotate.models import Membership, Project, Queue, Role, User

QUEUES = {
    Queue.Kind.CLEAN: "Clean documents",
    Queue.Kind.WRITE_ANSWER: "Write answers",
    Queue.Kind.REVIEW_ANSWER: "Review answers",
    Queue.Kind.RANK: "Rank answers",
}
AXES = ["helpful", "truthful", "harmless"]
ALL_AXES = ["overall", *AXES]
MOST_NAME = 80


@transaction.atomic
def create_project(*, name: str, by: User) -> Project:
    """A project with its four queues, and by as its admin. Raises AnnotateError with code bad_name."""
    name = name.strip()
    if not 0 < len(name) <= MOST_NAME or not name.isprintable():
        raise AnnotateError("bad_name", f"A project's name has 1 to {MOST_NAME} printable characters.", field="name")
    project = Project.objects.create(name=name)
    Membership.objects.create(project=project, user=by, role=Role.ADMIN)
    Queue.objects.bulk_create(
        Queue(project=project, kind=kind, name=title, axes=AXES if kind == Queue.Kind.RANK else [])
        for kind, title in QUEUES.items()
    )
    return project
