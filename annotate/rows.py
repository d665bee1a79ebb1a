"""Rows by SQL that is written once: for the few reads of each answer, where the ORM's compiler is most of the cost.

One such read costs about a fifth of what the same costs as a queryset. All else asks the ORM.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Part:
    """One of the statements that run `together`: an INSERT, UPDATE or DELETE, and the columns that it returns.

    sql says {name.column} for what a part before it returned, and {now} for this moment.
    """

    name: str
    sql: str
    returning: tuple[str, ...] = ()


def together(parts: tuple[Part, ...], values: dict[str, Any], *, now: str) -> bool:
    """Run the statements in their order; False where one that returns something had no row, and then the rest may not
    have run. What they return joins the values, as name_column. now: SQL, by the database's clock.

    On PostgreSQL they are one statement, since asking costs more there than answering: none sees what another wrote,
    and a part waits for another only where it names it.
    """
    if connection.vendor == "postgresql":
        sql, names = _as_one(parts, now)
        row = run(sql, values).fetchone()
        values |= zip(names, row or (), strict=False)
        return row is not None
    for part in parts:
        cursor = run(_in_turn(part, parts, now), values)
        row = cursor.fetchone() if part.returning else ()
        if row is None:
            return False
        values |= {f"{part.name}_{column}": value for column, value in zip(part.returning, row, strict=True)}
    return True


class _Returned:
    """What a part returned, by column: as SQL."""

    def __init__(self, form: str, part: Part) -> None:
        for column in part.returning:
            setattr(self, column, form.format(name=part.name, column=column))


@cache
def _as_one(parts: tuple[Part, ...], now: str) -> tuple[str, list[str]]:
    """The parts as one statement of PostgreSQL, and the names of what it returns."""
    told = {part.name: _Returned("(SELECT {column} FROM {name})", part) for part in parts}
    steps = ", ".join(f"{part.name} AS ({_returning(part).format(now=now, **told)})" for part in parts)
    found = [(part.name, column) for part in parts for column in part.returning]
    tables = ", ".join(part.name for part in parts if part.returning)
    columns = ", ".join(f"{name}.{column}" for name, column in found)
    return f"WITH {steps} SELECT {columns} FROM {tables}", [f"{name}_{column}" for name, column in found]


@cache
def _in_turn(part: Part, parts: tuple[Part, ...], now: str) -> str:
    told = {other.name: _Returned("%({name}_{column})s", other) for other in parts}
    return _returning(part).format(now=now, **told)


def _returning(part: Part) -> str:
    return f"{part.sql} RETURNING {', '.join(part.returning)}" if part.returning else part.sql


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
