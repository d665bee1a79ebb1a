"""A person may hide what is marked as one category of harm from themselves until their day ends."""

import uuid

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

REASONS = ["author", "editor", "upstream", "skipped", "later", "hidden", "surplus", "conflict", "withdrew"]


class Migration(migrations.Migration):
    dependencies = [("annotate", "0015_similarity_votes")]

    operations = [
        migrations.AlterField(
            model_name="exclusion",
            name="reason",
            field=models.CharField(choices=[(one, one.capitalize()) for one in REASONS], max_length=8),
        ),
        migrations.CreateModel(
            name="Hiding",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("uuid", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("category", models.CharField(max_length=40)),
                ("until", models.DateTimeField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "project",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="hidings", to="annotate.project"
                    ),
                ),
                (
                    "task",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="hidings",
                        to="annotate.task",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="hidings",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("project", "user", "category"), name="one_hiding_per_person_and_category"
                    )
                ],
            },
        ),
    ]
