"""What workers are asked, and that they are asked again."""

from datetime import timedelta

import pytest
from django.utils.timezone import now

from annotate import tasks
from annotate.actions.begin_import import begin_import
from annotate.models import Batch, Flag, Import, SubmitKey, Text

from .conftest import leased


@pytest.fixture
def begun(source, ada, tmp_path):
    file = tmp_path / "docs.jsonl"
    file.write_text('{"text": "Short."}\n{"text": "Write to ann@corp.io."}\n')
    return begin_import(
        source=source, what="documents", format="jsonl", options={}, file_path=file, label="docs.jsonl", by=ada
    )


def test_an_import_reads_its_file_and_asks_for_flags(begun, redis_client):
    tasks.run_import(begun.pk)
    assert Text.objects.count() == 2
    assert redis_client.llen("default") == 1


def test_a_message_that_comes_twice_reads_nothing_twice(begun, redis_client):
    tasks.run_import(begun.pk)
    tasks.run_import(begun.pk)
    assert (Text.objects.count(), redis_client.llen("default")) == (2, 1)


def test_a_flagged_batch_says_so(begun, redis_client):
    tasks.run_import(begun.pk)
    tasks.flag_batch(Batch.objects.get().pk)
    assert Batch.objects.get().flagged_at is not None
    assert set(Flag.objects.values_list("detector", flat=True)) >= {"length", "personal"}


def test_an_import_goes_on_without_a_message_queue(begun, broker_at):
    broker_at("redis+socket:///nowhere/redis.sock")
    tasks.run_import(begun.pk)
    assert Import.objects.get().state == "finished"


def test_the_sweep_asks_again_for_what_nobody_took(begun, redis_client):
    Import.objects.update(created_at=now() - timedelta(minutes=2))
    tasks.sweep_leases()
    tasks.sweep_leases()
    assert redis_client.llen("default") == 1


def test_the_sweep_forgets_old_keys(ana, broker):
    for days in (6, 8):
        key = SubmitKey.objects.create(user=ana, key=f"{days}", body_sha256="", reply={})
        SubmitKey.objects.filter(pk=key.pk).update(created_at=now() - timedelta(days=days))
    tasks.sweep_leases()
    assert SubmitKey.objects.get().key == "6"


def test_the_sweep_returns_leases(task, ana, broker):
    slot = leased(task.queue, ana)
    type(slot).objects.update(lease_until=now() - timedelta(seconds=1))
    tasks.sweep_leases()
    slot.refresh_from_db()
    assert slot.status == "open"
