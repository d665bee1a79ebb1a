"""Change the rules of a queue."""

from __future__ import annotations

from typing import Any  # values of the queue's fields, checked here

from django.db import IntegrityError, transaction
from django.utils.timezone import now

from annotate import flags
from annotate.actions.create_project import ALL_AXES
from annotate.errors import AnnotateError
from annotate.models import Queue

LIMITS = {
    "overlap": (1, 9),
    "overlap_max": (1, 9),
    "lease_minutes": (5, 60),
    "intake_cap": (1, 1_000_000),
    "priority": (-100, 100),
    "critique_least": (0, 1_000),
}
NULLABLE = {"intake_cap", "overlap_max", "critique_least"}
SWITCHES = {"better", "partial", "line_required", "instruction"}
MOST_NAME = 80


@transaction.atomic
def change_queue(*, queue: Queue, **changes: Any) -> Queue:
    """The queue with its changes and a new settings version; nothing new where nothing differs.

    changes: overlap, overlap_max (or None), lease_minutes, intake_cap (or None), priority, axes, required_axes, flags,
    critique_least (or None), better, partial, line_required, instruction, name, closed. Overlap and cap hold for tasks
    admitted from now on, overlap_max for each that is answered from now on, instruction for those built from now on,
    what else is asked from the next showing.

    Raises AnnotateError with code bad_queue and the field at fault, 409 name_taken where another queue has the name.
    """
    locked = Queue.objects.select_for_update(no_key=True).get(pk=queue.pk)
    closed = changes.pop("closed", None)
    if closed is not None and bool(closed) != bool(locked.closed_at):
        changes["closed_at"] = now() if closed else None
    for name, value in changes.items():
        _check(name, value)
    if not set(changes.get("required_axes", locked.required_axes)) <= set(changes.get("axes", locked.axes)):
        raise AnnotateError("bad_queue", "required_axes must be some of the axes.", field="required_axes")
    if changes.get("instruction") and locked.kind != Queue.Kind.WRITE_ANSWER:
        raise AnnotateError("bad_queue", "Only who writes answers can write the instruction too.", field="instruction")
    base, most = (changes.get(name, getattr(locked, name)) for name in ("overlap", "overlap_max"))
    if most is not None and most < base:
        raise AnnotateError("bad_queue", f"overlap_max is {most}; it is overlap, {base}, or more.", field="overlap_max")
    different = {name: value for name, value in changes.items() if getattr(locked, name) != value}
    if different:
        different["settings_version"] = locked.settings_version + 1
        try:
            with transaction.atomic():
                Queue.objects.filter(pk=queue.pk).update(**different)
        except IntegrityError:
            raise name_taken(changes["name"]) from None
    return Queue.objects.select_related("project").get(pk=queue.pk)


def _check(name: str, value: Any) -> None:
    if name in LIMITS:
        _check_whole(name, value)
    elif name in {"axes", "required_axes"}:
        if not isinstance(value, list) or any(axis not in ALL_AXES for axis in value) or len(set(value)) < len(value):
            raise AnnotateError("bad_queue", f"{name} is a list of {', '.join(ALL_AXES)}, each once.", field=name)
    elif name == "flags":
        _check_flags(value)
    elif name in SWITCHES:
        if not isinstance(value, bool):
            raise AnnotateError("bad_queue", f"{name} is true or false.", field=name)
    elif name == "name":
        check_name(value)
    elif name != "closed_at":
        raise AnnotateError("bad_queue", f"A queue has no {name} to change.", field=name)


def name_taken(name: str) -> AnnotateError:
    sentence = f"Another queue of this project is called {name}; take another name."
    return AnnotateError("name_taken", sentence, status=409, field="name")


def check_name(value: Any) -> None:
    """Nothing where a queue may be called so; else AnnotateError bad_queue."""
    if not isinstance(value, str) or not 0 < len(value.strip()) <= MOST_NAME or not value.isprintable():
        raise AnnotateError("bad_queue", f"A queue's name has 1 to {MOST_NAME} printable characters.", field="name")


def _check_flags(value: Any) -> None:
    whole = isinstance(value, list) and len(value) <= flags.MOST and all(map(flags.known, value))
    if not whole or len(set(value)) < len(value):
        sentence = (
            f"flags is a list of at most {flags.MOST}, each once: {', '.join(flags.DEFAULT)}, or your own, as x_name."
        )
        raise AnnotateError("bad_queue", sentence, field="flags")


def _check_whole(name: str, value: Any) -> None:
    low, high = LIMITS[name]
    if value is None and name in NULLABLE:
        return
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise AnnotateError("bad_queue", f"{name} is {value}; allowed are {low} to {high}.", field=name)
