"""Votes on which of three words is the odd one; they only append."""

from importlib import import_module

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

TABLE = "annotate_similarityvote"
first = import_module("annotate.migrations.0002_append_only")


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
        migrations.RunPython(first.refusing(TABLE), first.allowing(TABLE)),
    ]
