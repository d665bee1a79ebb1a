"""Whether a training worker is there, for every page on which a run may wait for one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.timezone import now

from rlhf.models import Worker


@dataclass(frozen=True)
class Seen:
    """since: the last sign of life; None where none was ever started."""

    alive: bool
    since: datetime | None
    name: str = ""
    device: str = ""


def worker() -> Seen:
    """The training worker that reported itself last. One query."""
    newest = Worker.objects.filter(queues__contains="train").order_by("-heartbeat_at").first()
    if newest is None:
        return Seen(alive=False, since=None)
    alive = newest.heartbeat_at >= now() - timedelta(seconds=Worker.STALE_S)
    return Seen(alive=alive, since=newest.heartbeat_at, name=newest.name, device=newest.device)
