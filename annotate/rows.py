"""Rows by SQL that is written once: for the few reads of each answer, where the ORM's compiler is most of the cost.

One such read costs about a fifth of what the same costs as a queryset. All else asks the ORM.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, Generic, TypeVar  # Any: values of a database's driver

from django.db import connection
from django.db.models import Field, Model
from django.db.models.expressions import Col

Row = TypeVar("Row", bound=Model)


class Columns(Generic[Row]):
    """Some columns of a model's table, all of them where none is named: as SQL, and back as the model's row.

    A column that is not among them is fetched when it is first asked for, as with `defer`.
    """

    def __init__(self, model: type[Row], *names: str) -> None:
        fields = model._meta.concrete_fields
        self._model = model
        self._fields = [field for field in fields if not names or field.attname in names]
        self._names = [field.attname for field in self._fields]
        assert not names or len(names) == len(self._fields)  # else one of the names is no column

    def __len__(self) -> int:
        return len(self._fields)

    def of(self, alias: str) -> str:
        """The columns for a SELECT or RETURNING, of the table under this alias."""
        return ", ".join(f'{alias}."{field.column}"' for field in self._fields)

    def row(self, values: Sequence[Any]) -> Row:
        """The model's row, from these columns of a cursor's row."""
        found = list(values)
        for place, convert in _converters(self, connection.vendor):
            found[place] = convert(found[place])
        return self._model.from_db(connection.alias, self._names, found)


def run(sql: str, values: Mapping[str, Any] | Sequence[Any]) -> Any:  # a cursor of either driver
    """The cursor of a statement that has just run.

    PostgreSQL keeps its plan where `prepare_threshold` stands: planning takes it five times as long as running.
    """
    cursor = connection.cursor()
    if connection.vendor != "postgresql":
        cursor.execute(sql, values)
        return cursor
    from psycopg import Cursor  # an installation on SQLite has no driver

    with connection.wrap_database_errors:
        return Cursor(connection.connection).execute(sql, values)


@cache
def _converters(columns: Columns[Any], vendor: str) -> list[tuple[int, Callable[[Any], Any]]]:
    """What turns a value of this database into the field's, by place; most need nothing."""
    found = []
    for place, field in enumerate(columns._fields):
        chain = _chain(field)
        if chain:
            found.append((place, chain))
    return found


def _chain(field: Field[Any, Any]) -> Callable[[Any], Any] | None:
    column = Col(field.model._meta.db_table, field)
    steps = [*connection.ops.get_db_converters(column), *column.get_db_converters(connection)]
    if not steps:
        return None

    def convert(value: Any) -> Any:
        for step in steps:
            value = step(value, column, connection)
        return value

    return convert
