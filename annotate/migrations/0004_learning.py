"""Cards, tries of the quiz, and the depth of explanations. Card reviews and quiz answers only append, as in 0002."""

import uuid

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

TABLES = ["annotate_cardreview", "annotate_quizanswer"]

SQLITE = """
CREATE TRIGGER {table}_refuse_{verb} BEFORE {verb} ON {table}
WHEN NOT EXISTS (SELECT 1 FROM erasure_open)
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END
"""
ROWS = """
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION annotate_append_only()
"""
WHOLE = """
CREATE TRIGGER {table}_keep BEFORE TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION annotate_append_only()
"""


def refuse(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        statements = [form.format(table=table) for table in TABLES for form in (ROWS, WHOLE)]
    else:
        statements = [SQLITE.format(table=table, verb=verb) for table in TABLES for verb in ("update", "delete")]
    for statement in statements:
        editor.execute(statement, params=None)


def allow(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    postgres = editor.connection.vendor == "postgresql"
    for table in TABLES:
        for name in ("append_only", "keep") if postgres else ("refuse_update", "refuse_delete"):
            editor.execute(f"DROP TRIGGER {table}_{name}" + (f" ON {table}" if postgres else ""), params=None)


class Migration(migrations.Migration):
    dependencies = [
        ("annotate", "0003_band_without_rowid"),
    ]

    operations = [
        migrations.AddField(
            model_name="user",
            name="explain_depth",
            field=models.CharField(
                choices=[("basic", "Basic"), ("medium", "Medium"), ("detailed", "Detailed")],
                default="basic",
                max_length=8,
            ),
        ),
        migrations.CreateModel(
            name="Card",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("front", models.CharField(max_length=500)),
                ("back", models.CharField(max_length=500)),
                ("example", models.CharField(blank=True, max_length=500)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("retired_at", models.DateTimeField(null=True)),
                (
                    "added_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to=settings.AUTH_USER_MODEL
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="cards", to="annotate.project"
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="QuizTry",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("seed", models.BigIntegerField()),
                ("version", models.CharField(max_length=12)),
                ("drawn", models.JSONField()),
                ("right", models.PositiveSmallIntegerField(null=True)),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("finished_at", models.DateTimeField(null=True)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="quiz_tries",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="CardReview",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("card", models.CharField(max_length=80)),
                ("number", models.PositiveIntegerField()),
                (
                    "rating",
                    models.PositiveSmallIntegerField(choices=[(1, "Again"), (2, "Hard"), (3, "Good"), (4, "Easy")]),
                ),
                ("at", models.DateTimeField()),
                ("ms", models.PositiveIntegerField(null=True)),
                ("shown", models.CharField(max_length=12)),
                ("library", models.CharField(max_length=40)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="card_reviews",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("user", "card", "number"), name="one_review_per_user_card_and_number"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("rating__gte", 1), ("rating__lte", 4)), name="card_rating_is_1_to_4"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="CardState",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("card", models.CharField(max_length=80)),
                ("reviews", models.PositiveIntegerField()),
                ("state", models.PositiveSmallIntegerField()),
                ("step", models.PositiveSmallIntegerField(null=True)),
                ("stability_days", models.FloatField()),
                ("difficulty", models.FloatField()),
                ("due_at", models.DateTimeField()),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
                ("shown", models.CharField(max_length=12)),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="card_states",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("user", "card"), name="one_state_per_user_and_card")],
            },
        ),
        migrations.CreateModel(
            name="QuizAnswer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveSmallIntegerField()),
                ("option", models.PositiveSmallIntegerField()),
                ("right", models.BooleanField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "quiz",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="answers", to="annotate.quiztry"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("quiz", "number"), name="one_answer_per_quiz_and_number")
                ],
            },
        ),
        migrations.RunPython(refuse, allow),
    ]
