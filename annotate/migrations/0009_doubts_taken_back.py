"""A doubt may be taken back by a row of its own, and made again. SQLite makes the table anew, without its triggers."""

from importlib import import_module

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

TABLE = "annotate_gamedoubt"
first = import_module("annotate.migrations.0002_append_only")


def nothing(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    pass


def keep_one(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Of each person and blank the newest row, and none that takes back: the older table has room for no more."""
    doubts = apps.get_model("annotate", "GameDoubt").objects
    newest = {row[:-1]: row[-1] for row in doubts.order_by("pk").values_list("project", "item", "by", "pk")}
    doubts.exclude(pk__in=newest.values(), withdrawn=False).delete()


class Migration(migrations.Migration):
    dependencies = [("annotate", "0008_play_append_only")]

    operations = [
        migrations.RunPython(first.allowing(TABLE), first.refusing(TABLE)),
        migrations.RemoveConstraint(model_name="gamedoubt", name="one_doubt_per_person_and_item"),
        migrations.AddField(
            model_name="gamedoubt",
            name="withdrawn",
            field=models.BooleanField(default=False),
        ),
        migrations.AddIndex(
            model_name="gamedoubt",
            index=models.Index(fields=["project", "item", "by"], name="gamedoubt_newest_of_person"),
        ),
        migrations.RunPython(nothing, keep_one),
        migrations.RunPython(first.refusing(TABLE), first.allowing(TABLE)),
    ]
