"""The Celery application. Settings stand in `settings`, tasks in `annotate.tasks` and `rlhf.tasks`."""

from __future__ import annotations

import os
import threading
from typing import Any

from celery import Celery
from celery.signals import beat_init, worker_init, worker_ready, worker_shutdown

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rlhf.settings")

app = Celery("touchstone")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

_reports: list[threading.Event] = []


@worker_init.connect
@beat_init.connect
def refuse_unsafe_settings(**kwargs: object) -> None:
    """Workers and beat start on safe settings only, as the web does."""
    from rlhf.checks import refuse_unsafe

    refuse_unsafe(accounts=False)


@worker_ready.connect
def start_reporting(sender: Any, **kwargs: object) -> None:  # Any: Celery's consumer
    """Keep this worker's row fresh, so that pages can say since when none is running; have a trainer ready."""
    from rlhf import children
    from rlhf.workers import report

    queues = [queue.name for queue in app.amqp.queues.consume_from.values()]
    _reports.append(report(name=sender.hostname, queues=queues))
    if "train" in queues:
        children.prepare()


@worker_shutdown.connect
def stop_reporting(**kwargs: object) -> None:
    for stop in _reports:
        stop.set()
