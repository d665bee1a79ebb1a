"""Celery's view of rlhf: an id and a ticket in, one call out. A message without a valid ticket is ignored."""

from __future__ import annotations

import logging

from celery import shared_task
from celery.worker import state as worker_state
from django.db import transaction

from rlhf import evaluating, execution, snapshots
from rlhf.messages import is_valid, run_ticket, snapshot_ticket
from rlhf.models import Run, Snapshot

log = logging.getLogger(__name__)


@shared_task
def execute_run(run_id: int, ticket: str) -> None:
    """Take the run, if it waits for exactly this message, and bring it to an end."""
    run = Run.objects.filter(pk=run_id).first()
    if run is None or not is_valid(ticket, run_ticket(run)):
        log.warning("run %s: a message without a valid ticket is ignored", run_id)
        return
    attempt = execution.claim(run.pk, attempt=run.attempt)
    if attempt is not None:
        execution.execute(run.pk, attempt, stop=_is_stopping)


@shared_task
def freeze_snapshot(snapshot_id: int, ticket: str) -> None:
    """Freeze the snapshot, if this service asked for it."""
    snapshot = Snapshot.objects.filter(pk=snapshot_id).first()
    if snapshot is None or not is_valid(ticket, snapshot_ticket(snapshot)):
        log.warning("snapshot %s: a message without a valid ticket is ignored", snapshot_id)
        return
    snapshots.freeze(snapshot.pk)


@shared_task
def sweep_runs() -> None:
    """Find lost runs again, send what waits without a message, and look into what is new."""
    with transaction.atomic():
        execution.sweep()
        snapshots.sweep()
    evaluating.evaluate_due()


def _is_stopping() -> bool:
    """Whether this worker was asked to end. The pool is solo, so Celery's flags are those of this process."""
    flags = (worker_state.should_stop, worker_state.should_terminate)
    return any(flag is not None and flag is not False for flag in flags)
