"""Freeze what people decided: rows exported in a fixed order, checked, written as JSON Lines, and never changed again.

What counts as a row is `annotate.exports`' business; which side of the split a row is on is a fact of its group.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.timezone import now

from annotate import cloze, ratings
from annotate.actions.mark_frozen import mark_answers_frozen, mark_frozen
from annotate.actions.reserve_cloze import reserve_cloze
from annotate.errors import AnnotateError
from annotate.exports import answers, documents, prompts, rankings
from annotate.exports.settings import VERSION
from annotate.models import Project, Text, User
from annotate.tinynet.pretrain import LEAST_CORPUS
from rlhf import storage
from rlhf.errors import LaunchError
from rlhf.messages import send_snapshot
from rlhf.models import Generation, Snapshot, asked_for, next_number
from trainer.contract import rows

log = logging.getLogger(__name__)

SCHEMA = 1
RESEND_S = 300.0
Row = dict[str, Any]  # Any: a JSON object
Settings = Mapping[str, Any]  # Any: a JSON object, whose keys its kind names


@dataclass(frozen=True)
class Kind:
    """What one kind of snapshot holds, and where its rows come from.

    prompt_key: the key of a row that names the text whose group decides the split; empty where no row learns.
    """

    file: str
    type: rows.RowType
    rows: Callable[[Project, Settings], Iterator[Row]]
    left_out: Callable[[Project, Settings], dict[str, int]]
    prompt_key: str


KINDS = {
    "corpus": Kind("corpus.jsonl", "CorpusRow", documents.corpus_rows, documents.corpus_counts, "id"),
    "sft": Kind("sft.jsonl", "SftRow", answers.sft_rows, answers.sft_counts, "prompt_id"),
    "ranking": Kind("ranking.jsonl", "RankingRow", rankings.ranking_rows, rankings.ranking_counts, "prompt_id"),
    "prompt": Kind("prompts.jsonl", "PromptRow", prompts.prompt_rows, prompts.prompt_counts, "id"),
    "cloze": Kind("cloze.jsonl", "ClozeRow", cloze.cloze_rows, cloze.cloze_counts, ""),
}


class BadRow(Exception):
    """An exported row that the trainer would refuse."""


def preview(*, project: Project, kind: str, settings: Settings) -> dict[str, Any]:  # Any: JSON for pages and the API
    """What a snapshot would hold now: {train, heldout, left_out: {reason: n}}.

    Raises LaunchError with code bad_kind or bad_settings.
    """
    _first_row(project, kind, settings)
    splits = Counter(row["split"] for row in KINDS[kind].rows(project, settings))
    return _counts(splits, KINDS[kind].left_out(project, settings))


@transaction.atomic
def begin(*, project: Project, kind: str, settings: Settings, by: User, key: str = "") -> Snapshot:
    """A snapshot whose rows a worker will freeze. The same wish of one person under the same key is one snapshot.

    Raises LaunchError with code bad_kind, bad_settings, or nothing_to_freeze where no row fits.
    """
    if _first_row(project, kind, settings) is None:
        raise LaunchError("nothing_to_freeze", f"There is nothing to freeze yet: no row fits a {kind} snapshot.")
    uuid = asked_for(project, by, key, [kind, dict(settings)])
    Project.objects.select_for_update().get(pk=project.pk)
    known = Snapshot.objects.filter(uuid=uuid).first()
    if known is not None:
        return known
    snapshot = Snapshot.objects.create(
        uuid=uuid,
        project=project,
        number=next_number(project.snapshots.all()),
        kind=kind,
        settings=dict(settings),
        created_by=by,
    )
    send_snapshot(snapshot)
    return snapshot


def freeze(snapshot_id: int) -> None:
    """Write the snapshot's files and settle its row; nothing where it is settled already.

    All rows are read in the transaction that marks their groups as frozen, so that they are of one moment.
    """
    snapshot = Snapshot.objects.select_related("project").get(pk=snapshot_id)
    if snapshot.state != Snapshot.State.FREEZING:
        return
    try:
        with TemporaryDirectory() as folder, transaction.atomic():
            _freeze_into(Path(folder), snapshot)
    except Exception as error:
        # The one place that must not leave a snapshot freezing for ever: whatever went wrong is its failure.
        log.exception("snapshot %d", snapshot_id)
        sentence = str(error) if isinstance(error, BadRow) else f"{type(error).__name__}: {error}"
        _settle(snapshot, state=Snapshot.State.FAILED, failure=sentence[:2_000])


def sweep() -> None:
    """Send again what waits to be frozen without a message, or longer than a message should take."""
    silent = Q(sent_at=None) | Q(sent_at__lt=now() - timedelta(seconds=RESEND_S))
    for snapshot in Snapshot.objects.filter(silent, state=Snapshot.State.FREEZING).order_by("pk"):
        send_snapshot(snapshot)


def manifest_of(snapshot: Snapshot) -> Row:
    """The manifest as it was frozen: what the snapshot's SHA-256 is the hash of."""
    stored = next(file for file in snapshot.files if file["name"] == "manifest.json")
    manifest: Row = json.loads(storage.fetch(stored["sha256"]).read_bytes())
    return manifest


def _first_row(project: Project, kind: str, settings: Settings) -> Row | None:
    """One row, if there is any; on the way the exports check the settings."""
    if kind not in KINDS:
        raise LaunchError("bad_kind", f"kind is {kind}; allowed: {', '.join(KINDS)}.")
    try:
        return next(KINDS[kind].rows(project, settings), None)
    except AnnotateError as error:
        raise LaunchError(error.code, error.sentence, fields={str(error.facts.get("field")): error.sentence}) from None


def _freeze_into(folder: Path, snapshot: Snapshot) -> None:
    kind = KINDS[snapshot.kind]
    if snapshot.kind == Snapshot.Kind.CORPUS:
        _reserve_before_first(snapshot.project)
    path = folder / kind.file
    summary = _Summary(kind)
    _write_lines(path, summary.reading(kind.rows(snapshot.project, snapshot.settings)))
    counts = _counts(summary.splits, kind.left_out(snapshot.project, snapshot.settings))
    if not sum(summary.splits.values()):
        raise BadRow("There is nothing to freeze: no row fits any more.")
    mark_frozen(_groups(summary.prompts))
    mark_answers_frozen(sorted(summary.decisions))
    card = summary.card() | {"counts": counts}
    files = [_described(path, type=kind.type, rows=sum(summary.splits.values()))]
    if edits := list(documents.edit_rows(summary.edited)):
        files.append(_freeze_edits(folder / "corrections.jsonl", edits))
    card_file = _described(_write_json(folder / "card.json", card), type="", rows=1)
    manifest = {
        "schema": SCHEMA,
        "kind": snapshot.kind,
        "settings": snapshot.settings,
        "counts": counts,
        "files": files,
        "card": card_file["sha256"],
        "versions": {"exports": VERSION},
    }
    manifest_file = _described(_write_json(folder / "manifest.json", manifest), type="", rows=1)
    _settle(
        snapshot,
        state=Snapshot.State.FROZEN,
        sha256=manifest_file["sha256"],
        counts=counts,
        card=card,
        files=[*files, card_file, manifest_file],
        frozen_at=now(),
    )


def _freeze_edits(path: Path, edits: list[Row]) -> Row:
    """The edits of a corpus' documents beside it, as pairs that pretraining learns from."""
    _write_lines(path, edits)
    return _described(path, type="CorrectionRow", rows=len(edits))


def _reserve_before_first(project: Project) -> None:
    """Keep paragraphs for the learning game while nothing has read them; later it would be too late."""
    if not project.snapshots.frozen().filter(kind=Snapshot.Kind.CORPUS).exists():
        reserve_cloze(project, least_words=LEAST_CORPUS)


def _settle(snapshot: Snapshot, **values: Any) -> None:  # Any: fields of the row
    """One worker's result wins; a second one's changes nothing."""
    Snapshot.objects.filter(pk=snapshot.pk, state=Snapshot.State.FREEZING).update(**values)


class _Summary:
    """Reads rows as they pass: checks their shape, and counts what the data card tells."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.splits: Counter[str] = Counter()
        self.prompts: set[int] = set()
        self.answers: set[int] = set()
        self.edited: dict[int, str] = {}  # split, by the key of the text
        self.decisions: set[str] = set()  # uuids of revisions
        self._decisions = 0
        self._by_key: dict[str, Counter[str]] = {"source": Counter(), "licence": Counter(), "by": Counter()}
        self._scripted = 0

    def reading(self, exported: Iterable[Row]) -> Iterator[Row]:
        for row in exported:
            problems = rows.check(row, self.kind.type)
            if problems:
                raise BadRow(f"Row {row.get('id')} cannot be frozen: {problems[0]}.")
            self.splits[row["split"]] += 1
            if self.kind.prompt_key:
                named = (row[self.kind.prompt_key], row.get("document"))  # a correction's prompt may be no text
                self.prompts |= {int(one) for one in named if one and one.isdecimal()}
            self.answers |= {int(answer["id"]) for answer in row.get("answers", ())}
            if self.kind.type == "CorpusRow" and row.get("decision") == "edit":
                self.edited[int(row["id"])] = row["split"]
            self._decisions += bool(row.get("revision"))
            self.decisions |= {row["revision"]} if row.get("revision") else set()
            for key, counter in self._by_key.items():
                counter[str(row.get(key) or "unknown")] += key in row
            self._scripted += bool(row.get("scripted"))
            yield row

    def card(self) -> Row:
        """Who and what the rows come from: {sources, licences, people: {name: rows}, decisions, scripted, runs}.

        runs: the numbers of those that generated the answers which people ranked. rated: where people also rated some
        of these answers by themselves.
        """
        names = {"source": "sources", "licence": "licences", "by": "people"}
        found: Row = {names[key]: dict(sorted((+counter).items())) for key, counter in self._by_key.items()}
        runs = {run for ids in _slices(self.answers) for run in _generating(ids)}
        rated = ratings.of_answers(self.answers) if self.answers else None
        if rated and rated["ratings"]:
            found["rated"] = dict(rated)
        return {**found, "decisions": self._decisions, "scripted": self._scripted, "runs": sorted(runs)}


def _counts(splits: Counter[str], left_out: dict[str, int]) -> dict[str, Any]:  # Any: JSON
    kept = {reason: count for reason, count in sorted(left_out.items()) if count}
    return {"train": splits["train"], "heldout": splits["heldout"], "left_out": kept}


def _groups(text_ids: set[int]) -> list[int]:
    """The groups of these texts. One query a thousand texts."""
    found = {
        group for ids in _slices(text_ids) for group in Text.objects.filter(pk__in=ids).values_list("group", flat=True)
    }
    return sorted(found)


def _generating(text_ids: list[int]) -> QuerySet[Generation, int]:
    return Generation.objects.filter(text__in=text_ids).values_list("run__number", flat=True).distinct()


def _slices(ids: set[int]) -> Iterator[list[int]]:
    """The ids in order, a thousand at a time: what one query may name."""
    ordered = sorted(ids)
    for start in range(0, len(ordered), 1_000):
        yield ordered[start : start + 1_000]


def _write_lines(path: Path, lines: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n")


def _write_json(path: Path, value: Row) -> Path:
    path.write_text(json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1) + "\n", encoding="utf-8")
    return path


def _described(path: Path, *, type: str, rows: int) -> Row:
    """A file's entry in the manifest; its bytes are stored on the way."""
    return {
        "name": path.name,
        "type": type,
        "rows": rows,
        "sha256": storage.put(path),
        "bytes": path.stat().st_size,
    }
