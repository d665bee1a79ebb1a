"""What reviewers said of words, and what players doubted, only append."""

from importlib import import_module

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

TABLES = ["annotate_gameword", "annotate_gamedoubt"]
first = import_module("annotate.migrations.0002_append_only")


def refuse(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        statements = [form.format(table=table) for table in TABLES for form in (first.ROWS, first.WHOLE)]
    else:
        statements = [first.SQLITE.format(table=table, verb=verb) for table in TABLES for verb in ("update", "delete")]
    for statement in statements:
        editor.execute(statement, params=None)


def allow(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    for table in TABLES:
        names = (
            ["append_only", "keep"] if editor.connection.vendor == "postgresql" else ["refuse_update", "refuse_delete"]
        )
        for name in names:
            on = f" ON {table}" if editor.connection.vendor == "postgresql" else ""
            editor.execute(f"DROP TRIGGER {table}_{name}{on}", params=None)


class Migration(migrations.Migration):
    dependencies = [("annotate", "0007_play_becomes_data")]

    operations = [migrations.RunPython(refuse, allow)]
