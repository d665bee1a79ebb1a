"""What people said stays as they said it, in the database itself."""

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from annotate.models import ErasureOpen, LeaseEvent, Presentation, Revision

from .conftest import answer

ONE_RANK: dict[str, object] = {"groups": [["A", "B", "C", "D"]], "acceptable_groups": None, "ratings": {}}
APPEND_ONLY = pytest.mark.parametrize("model", [Revision, Presentation, LeaseEvent])


@pytest.fixture
def answered(database, task, ana):
    return answer(task.queue, ana, ONE_RANK)


@APPEND_ONLY
def test_the_database_refuses_to_change_what_was_said(answered, model):
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        model.objects.update(id=4_000)
    assert not model.objects.filter(id=4_000).exists()


@APPEND_ONLY
def test_the_database_refuses_to_delete_what_was_said(answered, model):
    table = model._meta.db_table
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table}")
    assert model.objects.exists()


def test_an_erasure_may_change_what_was_said(answered):
    with transaction.atomic():
        opened = ErasureOpen.objects.create()
        Revision.objects.update(body={"erased": True})
        opened.delete()
    answered.refresh_from_db()
    assert answered.body == {"erased": True}


def test_after_an_erasure_the_database_refuses_again(answered):
    with transaction.atomic():
        ErasureOpen.objects.create().delete()
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Revision.objects.update(body=None)


def test_the_triggers_can_be_taken_out_and_put_back(answered):
    try:
        call_command("migrate", "annotate", "0001", verbosity=0)
        Revision.objects.update(number=7)
    finally:
        call_command("migrate", verbosity=0)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        Revision.objects.update(number=1)
