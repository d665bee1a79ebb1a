"""Votes on which of three words is the odd one; they only append."""

from importlib import import_module

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

TABLE = "annotate_similarityvote"
first = import_module("annotate.migrations.0002_append_only")


def refuse(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        statements = [form.format(table=TABLE) for form in (first.ROWS, first.WHOLE)]
    else:
        statements = [first.SQLITE.format(table=TABLE, verb=verb) for verb in ("update", "delete")]
    for statement in statements:
        editor.execute(statement, params=None)


def allow(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    postgres = editor.connection.vendor == "postgresql"
    names = ["append_only", "keep"] if postgres else ["refuse_update", "refuse_delete"]
    for name in names:
        editor.execute(f"DROP TRIGGER {TABLE}_{name}{f' ON {TABLE}' if postgres else ''}", params=None)


class Migration(migrations.Migration):
    dependencies = [("annotate", "0014_own_screen")]

    operations = [
        migrations.CreateModel(
            name="SimilarityVote",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("words", models.JSONField()),
                ("odd", models.CharField(blank=True, max_length=80)),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="similarity_votes",
                        to="annotate.project",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="similarity_votes",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.RunPython(refuse, allow),
    ]
