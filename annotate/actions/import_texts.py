"""Read a file into texts, batch by batch. Nothing is dropped here but exact repeats, and each leaves a sighting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import BinaryIO, cast

from django.db import transaction
from django.db.models import F
from django.utils.timezone import now

from annotate.actions.store_rows import Piece, Store, parts, turns
from annotate.cleaning.normalise import stored
from annotate.documents import Document, Refusal, Unreadable, What
from annotate.imports.readers import read
from annotate.models import Batch, Import, Project
from annotate.models import Refusal as RefusalRow

MOST_ROWS, MOST_CHARACTERS = 1000, 8_000_000
MOST_REFUSALS_KEPT = 10_000
REFUSED_SHARE = 0.02


class _Stopped(Exception):
    """The import was cancelled, or another worker has gone on with it."""


def import_texts(*, import_row: Import, stream: BinaryIO) -> Iterator[Batch]:
    """The batches of the import from its position on, each after it was committed together with that position.

    At the end the row tells what came of it: finished, failed with a sentence, or paused where 2 % of the rows were
    refused, more remain, and the option `go_on` is not set. A cancelled import stops before its next batch. Memory
    does not grow with the file: a batch holds at most 1,000 rows or 8 million characters, beside one record.
    """
    rows = _Rows()
    try:
        _check_unchanged(import_row, stream)
        for item in _read(import_row, stream):
            if rows.full():
                yield _commit(import_row, rows)
                rows = _Rows()
                if _too_many_refused(import_row):
                    _settle(import_row, Import.State.PAUSED, _question(import_row))
                    return
            rows.take(item)
        if rows.count:
            yield _commit(import_row, rows)
        _settle(import_row, Import.State.FINISHED, "")
    except Unreadable as refused:
        _fail(import_row, refused)
    except _Stopped:
        return


def _read(import_row: Import, stream: BinaryIO) -> Iterator[Document | Refusal]:
    return read(
        stream,
        file_format=import_row.format,
        what=cast(What, import_row.what),  # the column's choices are these
        start=import_row.position,
        encoding=import_row.options.get("encoding"),
        fields=import_row.options.get("fields", {}),
    )


def _check_unchanged(import_row: Import, stream: BinaryIO) -> None:
    """Raises Unreadable where an import that goes on finds another file than it began with."""
    if not import_row.position:
        return
    digest = sha256()
    stream.seek(0)
    while chunk := stream.read(1_000_000):
        digest.update(chunk)
    if digest.hexdigest() != import_row.sha256:
        raise Unreadable("changed", "The file has changed since the import began; import it anew.")


@dataclass(slots=True)
class _Rows:
    """What was read since the last commit."""

    documents: list[list[Piece]] = field(default_factory=list)
    dialogues: list[list[Piece]] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    end: int = 0
    count: int = 0
    characters: int = 0

    def full(self) -> bool:
        return self.count >= MOST_ROWS or self.characters >= MOST_CHARACTERS

    def take(self, item: Document | Refusal) -> None:
        self.end = item.end
        self.count += 1
        found: list[Piece] | Refusal
        if isinstance(item, Refusal):
            found = item
        else:
            found = turns(self.count, item) if item.turns else parts(self.count, item)
        if isinstance(found, Refusal):
            self.refusals.append(found)
            return
        self.characters += sum(len(piece.body) for piece in found)
        (self.documents if found[0].document.turns == () else self.dialogues).append(found)


@transaction.atomic
def _commit(import_row: Import, rows: _Rows) -> Batch:
    """Writes what was read with the new position and the counts, or raises _Stopped and writes nothing."""
    Project.objects.select_for_update(no_key=True).get(pk=import_row.source.project_id)  # twins meet here
    number = Batch.objects.filter(imported=import_row).count() + 1
    batch = Batch.objects.create(imported=import_row, number=number, texts_count=0)
    store = Store(import_row, batch)
    store.documents(rows.documents)
    store.dialogues(rows.dialogues)
    store.join()
    batch.texts_count = store.made
    batch.save(update_fields=["texts_count"])
    _keep_refusals(import_row, rows.refusals)
    _advance(import_row, rows, new=len(store.new_rows))
    return batch


def _keep_refusals(import_row: Import, refusals: list[Refusal]) -> None:
    left = max(0, MOST_REFUSALS_KEPT - import_row.refused)
    RefusalRow.objects.bulk_create(
        [
            RefusalRow(
                imported=import_row,
                place=refusal.place[:80],
                code=refusal.code[:40],
                sentence=stored(refusal.sentence).body[:300],
                start=stored(refusal.start).body[:80],
            )
            for refusal in refusals[:left]
        ],
        batch_size=500,
    )


def _advance(import_row: Import, rows: _Rows, *, new: int) -> None:
    """Raises _Stopped where the row has moved on, or is no longer being read."""
    here = Import.objects.filter(pk=import_row.pk, state=Import.State.READING, position=import_row.position)
    moved = here.update(
        position=rows.end,
        new=F("new") + new,
        repeated=F("repeated") + rows.count - len(rows.refusals) - new,
        refused=F("refused") + len(rows.refusals),
        heartbeat_at=now(),
    )
    if not moved:
        raise _Stopped
    import_row.refresh_from_db(fields=["position", "new", "repeated", "refused", "heartbeat_at"])


def _too_many_refused(import_row: Import) -> bool:
    total = import_row.new + import_row.repeated + import_row.refused
    return not import_row.options.get("go_on") and import_row.refused >= REFUSED_SHARE * total


def _question(import_row: Import) -> str:
    total = import_row.new + import_row.repeated + import_row.refused
    return f"{import_row.refused} of the first {total} rows were refused. Go on all the same?"


def _settle(import_row: Import, state: str, sentence: str) -> None:
    finished = None if state == Import.State.PAUSED else now()
    reading = Import.objects.filter(pk=import_row.pk, state=Import.State.READING)
    reading.update(state=state, failure=sentence, finished_at=finished, heartbeat_at=now())
    import_row.refresh_from_db(fields=["state", "failure", "finished_at", "heartbeat_at"])


@transaction.atomic
def _fail(import_row: Import, refused: Unreadable) -> None:
    """Batches that were committed stay; the report names the file among what was refused."""
    _keep_refusals(import_row, [Refusal(place="file", code=refused.code, sentence=refused.sentence)])
    Import.objects.filter(pk=import_row.pk).update(refused=F("refused") + 1)
    _settle(import_row, Import.State.FAILED, refused.sentence)
    import_row.refresh_from_db(fields=["refused"])
