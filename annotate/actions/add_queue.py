"""Ask people one more kind of question."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from annotate.actions.change_queue import check_name, name_taken
from annotate.actions.create_project import ALL_AXES, AXES
from annotate.errors import AnnotateError
from annotate.flags import DEFAULT
from annotate.models import Project, Queue

# kinds that may be added, with what each asks at first; a project has its other queues from the start
ASKS: dict[str, dict[str, object]] = {
    Queue.Kind.PAIR: {},
    Queue.Kind.RATE: {"axes": ALL_AXES, "flags": list(DEFAULT), "critique_least": 0},
    Queue.Kind.REPAIR: {},
    Queue.Kind.RANK: {"axes": AXES},
    Queue.Kind.WRITE_ANSWER: {"instruction": True},
}


def add_queue(*, project: Project, kind: str, name: str) -> Queue:
    """An open queue without tasks; `fill_queue` builds them.

    Raises AnnotateError with code bad_queue and the field at fault, 409 name_taken where another one has the name.
    """
    if kind not in ASKS:
        raise AnnotateError("bad_queue", f"kind is {kind}; allowed are {', '.join(ASKS)}.", field="kind")
    check_name(name)
    try:
        with transaction.atomic():
            return Queue.objects.create(project=project, kind=kind, name=name.strip(), **ASKS[kind])
    except IntegrityError:
        raise name_taken(name.strip()) from None
