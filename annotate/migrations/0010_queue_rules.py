"""Overlap that grows, pauses, acceptance of guidelines, and what may be done to an answer later."""

import uuid
from importlib import import_module

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

first = import_module("annotate.migrations.0002_append_only")


def guard_again(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """SQLite makes the table anew to drop a column of it, and loses its triggers with the old one."""
    if editor.connection.vendor == "sqlite":
        for verb in ("update", "delete"):
            statement = first.SQLITE.format(table="annotate_revision", verb=verb)
            editor.execute(statement.replace("CREATE TRIGGER", "CREATE TRIGGER IF NOT EXISTS"), params=None)


class Migration(migrations.Migration):
    dependencies = [
        ("annotate", "0009_doubts_taken_back"),
    ]

    operations = [
        migrations.RunPython(migrations.RunPython.noop, guard_again),  # on the way back it runs last
        migrations.CreateModel(
            name="Acceptance",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
        ),
        migrations.CreateModel(
            name="QueuePause",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("note", models.CharField(blank=True, max_length=500)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("ended_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.AddField(
            model_name="guideline",
            name="major",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="judgement",
            name="counted_by",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="judgement",
            name="frozen_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="queue",
            name="overlap_max",
            field=models.PositiveSmallIntegerField(null=True),
        ),
        migrations.AddField(
            model_name="revision",
            name="by",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="revision",
            name="note",
            field=models.CharField(max_length=500, null=True),
        ),
        migrations.AddField(
            model_name="slot",
            name="extra",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="task",
            name="disputed",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="task",
            name="unparked_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name="exclusion",
            name="reason",
            field=models.CharField(
                choices=[
                    ("author", "Author"),
                    ("editor", "Editor"),
                    ("upstream", "Upstream"),
                    ("skipped", "Skipped"),
                    ("later", "Later"),
                    ("surplus", "Surplus"),
                    ("conflict", "Conflict"),
                    ("withdrew", "Withdrew"),
                ],
                max_length=8,
            ),
        ),
        migrations.AddIndex(
            model_name="judgement",
            index=models.Index(
                condition=models.Q(("slot", None), ("user__isnull", False)), fields=["id"], name="judgement_surplus"
            ),
        ),
        migrations.AddIndex(
            model_name="task",
            index=models.Index(condition=models.Q(("disputed", True)), fields=["queue"], name="task_disputed"),
        ),
        migrations.AddConstraint(
            model_name="queue",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("overlap_max", None),
                    models.Q(("overlap_max__gte", models.F("overlap")), ("overlap_max__lte", 9)),
                    _connector="OR",
                ),
                name="queue_overlap_max_is_overlap_to_9",
            ),
        ),
        migrations.AddField(
            model_name="acceptance",
            name="guideline",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="acceptances", to="annotate.guideline"
            ),
        ),
        migrations.AddField(
            model_name="acceptance",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="acceptances", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="queuepause",
            name="by",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="queuepause",
            name="ended_by",
            field=models.ForeignKey(
                null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddField(
            model_name="queuepause",
            name="queue",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="pauses", to="annotate.queue"
            ),
        ),
        migrations.AddField(
            model_name="queuepause",
            name="user",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.CASCADE, related_name="pauses", to=settings.AUTH_USER_MODEL
            ),
        ),
        migrations.AddConstraint(
            model_name="acceptance",
            constraint=models.UniqueConstraint(
                fields=("guideline", "user"), name="one_acceptance_per_guideline_and_person"
            ),
        ),
        migrations.AddConstraint(
            model_name="queuepause",
            constraint=models.UniqueConstraint(
                condition=models.Q(("ended_at", None)), fields=("queue", "user"), name="one_pause_per_queue_and_person"
            ),
        ),
    ]
