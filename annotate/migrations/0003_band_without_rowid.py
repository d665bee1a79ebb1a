"""On SQLite the index of near duplicates is one tree, not a table and an index beside it: half the bytes."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

TABLE = """
CREATE TABLE annotate_band (
  "key" bigint NOT NULL,
  text_id bigint NOT NULL REFERENCES annotate_text (id) DEFERRABLE INITIALLY DEFERRED,
  PRIMARY KEY ("key", text_id)
) {option}
"""


def without_rowid(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    _make_again(editor, option="WITHOUT ROWID")


def with_rowid(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    _make_again(editor, option="")


def _make_again(editor: BaseDatabaseSchemaEditor, *, option: str) -> None:
    if editor.connection.vendor != "sqlite":
        return
    editor.execute("ALTER TABLE annotate_band RENAME TO annotate_band_before", params=None)
    editor.execute(TABLE.format(option=option), params=None)
    editor.execute('INSERT INTO annotate_band SELECT "key", text_id FROM annotate_band_before', params=None)
    editor.execute("DROP TABLE annotate_band_before", params=None)


class Migration(migrations.Migration):
    dependencies = [("annotate", "0002_append_only")]

    operations = [migrations.RunPython(without_rowid, with_rowid)]
