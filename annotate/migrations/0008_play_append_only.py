"""What reviewers said of words, and what players doubted, only append."""

from importlib import import_module

from django.db import migrations

TABLES = ["annotate_gameword", "annotate_gamedoubt"]
first = import_module("annotate.migrations.0002_append_only")


class Migration(migrations.Migration):
    dependencies = [("annotate", "0007_play_becomes_data")]

    operations = [migrations.RunPython(first.refusing(*TABLES), first.allowing(*TABLES))]
