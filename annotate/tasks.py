"""Celery's view of annotate: an id in, one action called. A message that comes twice changes nothing."""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial

from celery import current_app, shared_task
from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now
from kombu.exceptions import OperationalError

from annotate import queue
from annotate.actions.begin_import import imported_path
from annotate.actions.flag_texts import flag_texts
from annotate.actions.hide import forget_hidden
from annotate.actions.import_texts import import_texts
from annotate.actions.revoke_token import forget_tokens
from annotate.actions.submit import forget_keys
from annotate.actions.train_start import train_start
from annotate.models import Batch, GameTraining, Import

log = logging.getLogger(__name__)

STALE_S = 60
TRAINING_STALE_S = 600  # a start takes a minute or two


@shared_task
def run_import(import_id: int) -> None:
    """Read the file from where it stands, and have each batch flagged as soon as it is committed."""
    row = Import.objects.select_related("source__project").get(pk=import_id)
    if row.state != Import.State.READING:
        return
    with imported_path(row.file).open("rb") as stream:
        for batch in import_texts(import_row=row, stream=stream):
            _send("annotate.tasks.flag_batch", batch.pk)


@shared_task
def flag_batch(batch_id: int) -> None:
    flag_texts(Batch.objects.select_related("imported__source__project").get(pk=batch_id))


@shared_task
def train_game_start(training_id: int) -> None:
    training = GameTraining.objects.select_related("project").get(pk=training_id)
    if training.state == GameTraining.State.RUNNING:
        train_start(training)


@shared_task
def sweep_leases() -> None:
    """Return expired leases, forget what ran out, and send again what waits because a message or a worker was lost."""
    queue.sweep()
    forget_keys()
    forget_hidden()
    forget_tokens()
    before = now() - timedelta(seconds=STALE_S)
    stale = Q(heartbeat_at__lt=before) | Q(heartbeat_at=None, created_at__lt=before)
    for row in Import.objects.filter(stale, state=Import.State.READING):
        Import.objects.filter(pk=row.pk).update(heartbeat_at=now())
        _send("annotate.tasks.run_import", row.pk)
    for batch in Batch.objects.filter(flagged_at=None, imported__heartbeat_at__lt=before).order_by("pk"):
        _send("annotate.tasks.flag_batch", batch.pk)
    lost = Q(sent_at=None) | Q(sent_at__lt=now() - timedelta(seconds=TRAINING_STALE_S))
    for training in GameTraining.objects.filter(lost, state=GameTraining.State.RUNNING):
        send_training(training)


def send_training(training: GameTraining) -> None:
    """Ask a worker to train a start of the game, once the transaction has committed."""
    GameTraining.objects.filter(pk=training.pk).update(sent_at=now())
    transaction.on_commit(partial(_send, "annotate.tasks.train_game_start", training.pk))


def send_import(row: Import) -> None:
    """Ask a worker to read the import, once the transaction has committed."""
    transaction.on_commit(partial(_send, "annotate.tasks.run_import", row.pk))


def _send(task: str, pk: int) -> None:
    """Ask a worker; where the queue cannot be reached the sweep asks again."""
    try:
        current_app.send_task(task, (pk,))
    except (OperationalError, OSError) as error:
        log.warning("%s %d waits: the message queue cannot be reached (%s)", task, pk, type(error).__name__)
