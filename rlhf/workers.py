"""A worker's row: each worker process reports itself every few seconds, from a thread, while it lives."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from django.db import Error, close_old_connections, connection
from django.utils.timezone import now

from rlhf.models import Worker

log = logging.getLogger(__name__)

HEARTBEAT_S = 5.0


def report(*, name: str, queues: list[str]) -> threading.Event:
    """Keep a worker's row fresh until the event that is returned is set."""
    stop = threading.Event()
    threading.Thread(target=_report, args=(name, ",".join(sorted(queues)), stop), daemon=True).start()
    return stop


def _report(name: str, queues: str, stop: threading.Event) -> None:
    values = {"queues": queues, "device": "cuda" if Path("/dev/nvidia0").exists() else "cpu", "started_at": now()}
    while True:
        try:
            close_old_connections()
            Worker.objects.update_or_create(name=name, defaults=values | {"heartbeat_at": now()})
        except Error as error:
            log.warning("%s could not report itself: %s", name, type(error).__name__)
        if stop.wait(HEARTBEAT_S):
            connection.close()
            return
