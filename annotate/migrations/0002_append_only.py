"""Revisions, presentations and lease events only append: the database refuses to change or delete them.

The triggers pass while erasure_open holds a row, which only an erasure inserts, in its transaction.
"""

from collections.abc import Callable

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

TABLES = ["annotate_revision", "annotate_presentation", "annotate_leaseevent"]

SQLITE = """
CREATE TRIGGER {table}_refuse_{verb} BEFORE {verb} ON {table}
WHEN NOT EXISTS (SELECT 1 FROM erasure_open)
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END
"""

FUNCTION = """
CREATE FUNCTION annotate_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT 1 FROM erasure_open) THEN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF TG_OP = 'UPDATE' THEN RETURN NEW; END IF;
  RETURN OLD;
END $$
"""
ROWS = """
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION annotate_append_only()
"""
WHOLE = """
CREATE TRIGGER {table}_keep BEFORE TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION annotate_append_only()
"""


Change = Callable[[StateApps, BaseDatabaseSchemaEditor], None]


def refusing(*tables: str) -> Change:
    """The triggers of these tables, where the function that they call stands."""

    def refuse(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
        if editor.connection.vendor == "postgresql":
            statements = [form.format(table=table) for table in tables for form in (ROWS, WHOLE)]
        else:
            statements = [SQLITE.format(table=table, verb=verb) for table in tables for verb in ("update", "delete")]
        for statement in statements:
            editor.execute(statement, params=None)

    return refuse


def allowing(*tables: str) -> Change:
    """What `refusing` made of these tables is gone."""

    def allow(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
        for table in tables:
            if editor.connection.vendor == "postgresql":
                statements = [f"DROP TRIGGER {table}_{name} ON {table}" for name in ("append_only", "keep")]
            else:
                statements = [f"DROP TRIGGER {table}_{name}" for name in ("refuse_update", "refuse_delete")]
            for statement in statements:
                editor.execute(statement, params=None)

    return allow


def make_function(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute(FUNCTION, params=None)


def drop_function(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        editor.execute("DROP FUNCTION annotate_append_only", params=None)


class Migration(migrations.Migration):
    dependencies = [("annotate", "0001_initial")]

    operations = [
        migrations.RunPython(make_function, drop_function),
        migrations.RunPython(refusing(*TABLES), allowing(*TABLES)),
    ]
