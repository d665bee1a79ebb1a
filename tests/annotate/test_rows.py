"""Rows by SQL of our own are what the ORM gives, and outlive a connection that ends between two requests."""

from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection

from annotate.models import Project, Queue
from annotate.rows import Columns, run

ASK = "SELECT {} FROM annotate_queue q WHERE q.id = %(id)s"
only_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def read(columns: Columns[Queue], pk: int) -> Queue:
    return columns.row(run(ASK.format(columns.of("q")), {"id": pk}).fetchone())


def stored(row: Queue) -> dict[str, object]:
    return {field.attname: getattr(row, field.attname) for field in Queue._meta.concrete_fields}


def test_a_row_is_what_the_orm_gives(database, project, ranking):
    found = read(Columns(Queue), ranking.pk)
    assert found == ranking
    assert stored(found) == stored(Queue.objects.get(pk=ranking.pk))
    assert found.project == project
    assert (found._state.adding, found._state.db) == (False, "default")


def test_a_row_is_saved_as_any_other(database, ranking):
    found = read(Columns(Queue), ranking.pk)
    found.overlap = 5
    found.save(update_fields=["overlap"])
    assert Queue.objects.get(pk=ranking.pk).overlap == 5


def test_a_column_that_was_left_out_is_fetched_when_asked_for(database, ranking, django_assert_num_queries):
    found = read(Columns(Queue, "id", "kind"), ranking.pk)
    with django_assert_num_queries(1):
        assert found.name == ranking.name


def begin_request(*, checked: bool = False) -> None:
    """checked: whether a statement has already run in it."""
    here: Any = connection  # its stubs do not know of health checks
    here.health_check_done = checked


@pytest.fixture
def gone(database, project) -> None:
    """The server has ended this thread's connection since the last request."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    found = connection.settings_dict
    with psycopg.connect(host=found["HOST"], port=found["PORT"], user=found["USER"], dbname=found["NAME"]) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    begin_request()


@only_postgresql
def test_a_request_that_finds_its_connection_gone_opens_another(gone, project):
    assert run("SELECT name FROM annotate_project WHERE id = %s", [project.pk]).fetchone() == (project.name,)
    assert Project.objects.get() == project


@only_postgresql
def test_a_connection_that_goes_within_a_request_is_not_opened_again(gone, project):
    begin_request(checked=True)
    with pytest.raises(OperationalError):
        run("SELECT 1", [])
    connection.close()
