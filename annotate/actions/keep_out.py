"""Keep a person from a task for good."""

from __future__ import annotations

from annotate.models import Exclusion, Task, User


def keep_out(*, task: Task, user: User, reason: str) -> None:
    """A reason that lasts stays as it is; one that passes by itself gives way to this one."""
    Exclusion.objects.get_or_create(task=task, user=user, defaults={"reason": reason})
    passing = Exclusion.objects.filter(task=task, user=user, reason__in=Exclusion.PASSING)
    passing.update(reason=reason, skip="", until=None)
