"""Messages to workers: an id and a ticket, sent by the task's name once the transaction holds.

A ticket is an HMAC over what the row says; whoever can only write to Redis cannot make one. A message that could not be
sent is no error: the row waits with sent_at null, the page says so, and the sweep sends it again.
"""

from __future__ import annotations

import hmac
import logging
from functools import partial

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.utils.timezone import now
from kombu.exceptions import OperationalError

from rlhf.models import Run, Snapshot

log = logging.getLogger(__name__)


def run_ticket(run: Run) -> str:
    """Proof that this service wants the run's next attempt, with this config."""
    return _sign(f"run:{run.pk}:{run.attempt}:{run.config_sha256}")


def snapshot_ticket(snapshot: Snapshot) -> str:
    return _sign(f"snapshot:{snapshot.pk}:{snapshot.uuid}")


def is_valid(ticket: str, wanted: str) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(ticket.encode(), wanted.encode())


def send_run(run: Run) -> None:
    """Ask a worker to take the run, once the transaction has committed."""
    transaction.on_commit(partial(_send_run, run))


def send_snapshot(snapshot: Snapshot) -> None:
    """Ask a worker to freeze the snapshot, once the transaction has committed."""
    transaction.on_commit(partial(_send_snapshot, snapshot))


def _send_run(run: Run) -> None:
    if _sent("rlhf.tasks.execute_run", run.pk, run_ticket(run)):
        Run.objects.filter(pk=run.pk, attempt=run.attempt).update(sent_at=now())


def _send_snapshot(snapshot: Snapshot) -> None:
    if _sent("rlhf.tasks.freeze_snapshot", snapshot.pk, snapshot_ticket(snapshot)):
        Snapshot.objects.filter(pk=snapshot.pk).update(sent_at=now())


def _sent(task: str, pk: int, ticket: str) -> bool:
    try:
        current_app.send_task(task, (pk, ticket))
    except (OperationalError, OSError) as error:
        log.warning("%s %d waits: the message queue cannot be reached (%s)", task, pk, type(error).__name__)
        return False
    return True


def _sign(text: str) -> str:
    return hmac.digest(settings.TICKET_KEY.encode(), text.encode(), "sha256").hex()
