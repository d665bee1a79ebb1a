"""Write the rows of one batch of an import: texts, their groups, and where each exact repeat was met again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from annotate.actions.build_tasks import TaskItem, build_tasks
from annotate.actions.join_groups import join_groups
from annotate.cleaning.normalise import VERSION as NORMALISE_VERSION
from annotate.cleaning.normalise import stored, stored_values
from annotate.documents import Document, Refusal
from annotate.imports.parts import cut
from annotate.models import Batch, Flag, Group, Import, Project, Queue, Sighting, TaskText, Text

MOST_META_BYTES = 4096
NOTE_SCORE = 0.3
_KEYS_AT_ONCE = 900


@dataclass(slots=True)
class Piece:
    """A text to be, in its stored form. row: which row of the batch it came from."""

    row: int
    document: Document
    body: str
    sha256: str
    removed: int
    part: int = 1
    parts: int = 1

    @property
    def label(self) -> str:
        return _line(self.document.group, 200)


def parts(row: int, document: Document) -> list[Piece] | Refusal:
    """The document in its stored form, cut where it is longer than a text may be."""
    form = stored(document.text)
    bodies = [body for body in cut(form.body, most_bytes=Text.MAX_BYTES) if body.strip()]
    if not bodies:
        return _no_text(document)
    return [
        Piece(row, document, body, _digest(body), form.removed if not nth else 0, nth + 1, len(bodies))
        for nth, body in enumerate(bodies)
    ]


def turns(row: int, document: Document) -> list[Piece] | Refusal:
    """The turns of a dialogue in their stored form."""
    pieces = []
    for turn in document.turns:
        form = stored(turn.text)
        if not form.body.strip():
            return _no_text(document)
        if len(form.body.encode()) > Text.MAX_BYTES:
            return _refusal(document, "too_long", f"A turn may have at most {Text.MAX_BYTES // 1000} kB.")
        pieces.append(Piece(row, document, form.body, _digest(form.body), form.removed))
    return pieces


def _no_text(document: Document) -> Refusal:
    return _refusal(document, "no_text", "Nothing is left of it but blanks.")


def _refusal(document: Document, code: str, sentence: str) -> Refusal:
    return Refusal(place=document.place, code=code, sentence=sentence, start=document.text[:80], end=document.end)


def _digest(body: str) -> str:
    return sha256(body.encode()).hexdigest()


class Store:
    """What one batch writes, in few statements whatever its size. new_rows: rows that brought a text; made: texts."""

    def __init__(self, import_row: Import, batch: Batch) -> None:
        self.new_rows: set[int] = set()
        self.made = 0
        self._import, self._batch = import_row, batch
        self._project: Project = import_row.source.project
        self._groups: dict[str, Group] = {}
        self._joins: list[tuple[Group, Group]] = []

    def documents(self, rows: Sequence[Sequence[Piece]]) -> None:
        """Stores the documents that the project does not have; parts of one row share a group."""
        pieces = [piece for row in rows for piece in row]
        known = self._known(Text.Kind.DOCUMENT, pieces)
        self._load_labels(pieces)
        fresh: dict[str, tuple[Piece, Group]] = {}
        again: list[Piece] = []
        for row in rows:
            added = [piece for piece in row if piece.sha256 not in known and piece.sha256 not in fresh]
            again += [piece for piece in row if piece not in added]
            if added:
                group = self._group(added[0])
                self._joins += [(known[piece.sha256].group, group) for piece in row if piece.sha256 in known]
                for piece in added:
                    fresh.setdefault(piece.sha256, (piece, group))
        texts = self._create([self._text(piece, group, Text.Kind.DOCUMENT) for piece, group in fresh.values()])
        self._note([piece for piece, _ in fresh.values()], texts)
        known |= dict(zip(fresh, texts, strict=True))
        self._see([(piece, known[piece.sha256]) for piece in again])

    def dialogues(self, rows: Sequence[Sequence[Piece]]) -> None:
        """Stores prompts and answers turn by turn; a turn that stands already is used again."""
        firsts = [row[0] for row in rows]
        known = self._known(Text.Kind.PROMPT, firsts)
        self._load_labels(firsts)
        fresh: dict[str, Piece] = {}
        for piece in firsts:
            if piece.sha256 not in known:
                fresh.setdefault(piece.sha256, piece)
        texts = self._create([self._text(piece, self._group(piece), Text.Kind.PROMPT) for piece in fresh.values()])
        self._note(list(fresh.values()), texts)
        self._join_labels([(piece, known[piece.sha256]) for piece in firsts if piece.sha256 in known])
        known |= dict(zip(fresh, texts, strict=True))
        lasts = self._replies(rows, [known[piece.sha256] for piece in firsts])
        again = [(row[-1], last) for row, last in zip(rows, lasts, strict=True) if row[0].row not in self.new_rows]
        self._see(again)
        if self._import.options.get("ask") and self._import.what == Import.What.PROMPTS:
            self._ask([last for row, last in zip(rows, lasts, strict=True) if row[0].row in self.new_rows])

    def join(self) -> None:
        """Joins the groups that this batch found to belong together."""
        for one, other in self._joins:
            join_groups(one, other)

    def _replies(self, rows: Sequence[Sequence[Piece]], firsts: Sequence[Text]) -> list[Text]:
        """Stores the turns after the first, level by level; returns the last text of each dialogue."""
        lasts = list(firsts)
        for level in range(1, max(map(len, rows), default=0)):
            kind = Text.Kind.ANSWER if level % 2 else Text.Kind.PROMPT
            going = [nth for nth, row in enumerate(rows) if len(row) > level]
            known = self._children({lasts[nth].pk for nth in going}, kind)
            fresh: dict[tuple[int, str], tuple[Piece, Text]] = {}
            for nth in going:
                key = (lasts[nth].pk, rows[nth][level].sha256)
                if key not in known:
                    fresh.setdefault(key, (rows[nth][level], lasts[nth]))
            texts = [self._text(piece, parent.group, kind, parent=parent) for piece, parent in fresh.values()]
            known |= dict(zip(fresh, self._create(texts), strict=True))
            self._note([piece for piece, _ in fresh.values()], texts)
            for nth in going:
                lasts[nth] = known[lasts[nth].pk, rows[nth][level].sha256]
        return lasts

    def _ask(self, prompts: Iterable[Text]) -> None:
        """A task to write an answer for each prompt."""
        queue = Queue.objects.to_answer(self._project.pk)
        unique = {text.pk: text for text in prompts}.values()
        items = [TaskItem([(text, TaskText.Part.PROMPT)], {"import": self._import.pk}) for text in unique]
        if queue and items:
            build_tasks(queue=queue, items=items)

    def _known(self, kind: str, pieces: Iterable[Piece]) -> dict[str, Text]:
        """The texts of the project that these repeat, by SHA-256."""
        found: dict[str, Text] = {}
        for keys in _slices(sorted({piece.sha256 for piece in pieces})):
            texts = Text.objects.filter(
                project=self._project, kind=kind, sha256__in=keys, parent=None, edited_from=None
            )
            found |= {text.sha256: text for text in texts.select_related("group").defer("body")}
        return found

    def _children(self, parents: set[int], kind: str) -> dict[tuple[int, str], Text]:
        found: dict[tuple[int, str], Text] = {}
        for keys in _slices(sorted(parents)):
            texts = Text.objects.filter(parent_id__in=keys, kind=kind, edited_from=None, origin=Text.Origin.IMPORT)
            found |= {(text.parent_id or 0, text.sha256): text for text in texts.select_related("group").defer("body")}
        return found

    def _load_labels(self, pieces: Iterable[Piece]) -> None:
        for labels in _slices(sorted({piece.label for piece in pieces} - {""} - self._groups.keys())):
            groups = Group.objects.filter(project=self._project, label__in=labels).select_related("joined_into")
            self._groups |= {group.label: group.joined_into or group for group in groups}

    def _group(self, piece: Piece) -> Group:
        """The group of the piece's label, a new one where there is none; without a label one of its own."""
        label = piece.label
        if label and label in self._groups:
            return self._groups[label]
        split = Group.split_of(project=self._project, first_sha256=piece.sha256)
        group = Group(project=self._project, first_sha256=piece.sha256, label=label, split=split)
        if label:
            self._groups[label] = group
        return group

    def _create(self, texts: list[Text]) -> list[Text]:
        groups = {id(text.group): text.group for text in texts if text.group.pk is None}
        Group.objects.bulk_create(list(groups.values()), batch_size=500)
        self.made += len(texts)
        return Text.objects.bulk_create(texts, batch_size=200)

    def _text(self, piece: Piece, group: Group, kind: str, *, parent: Text | None = None) -> Text:
        document = piece.document
        return Text(
            project=self._project,
            kind=kind,
            body=piece.body,
            sha256=piece.sha256,
            origin=Text.Origin.IMPORT,
            parent=parent,
            group=group,
            source=self._import.source,
            batch=self._batch,
            address=_line(document.address, 500),
            licence=_line(document.licence, 200) or self._import.source.licence,
            language=_line(document.language, 12),
            collected_at=document.collected_at,
            part=piece.part,
            parts=piece.parts,
            meta=_meta(document.meta),
        )

    def _see(self, met: Sequence[tuple[Piece, Text]]) -> None:
        """Remembers where texts were met again."""
        Sighting.objects.bulk_create(
            [
                Sighting(
                    text=text,
                    source=self._import.source,
                    imported=self._import,
                    address=_line(piece.document.address, 500),
                    collected_at=piece.document.collected_at,
                )
                for piece, text in met
            ],
            batch_size=500,
        )
        self._join_labels(met)

    def _join_labels(self, met: Sequence[tuple[Piece, Text]]) -> None:
        """What is imported under the label of a repeat goes to the group of the text that it repeats."""
        aliases = []
        for piece, text in met:
            label = piece.label
            if label and label not in self._groups:
                alias = Group(
                    project=self._project,
                    first_sha256=piece.sha256,
                    label=label,
                    split=text.group.split,
                    joined_into=text.group,
                )
                aliases.append(alias)
                self._groups[label] = text.group
            elif label and self._groups[label].pk != text.group_id:
                self._joins.append((self._groups[label], text.group))
        Group.objects.bulk_create(aliases, batch_size=500)

    def _note(self, pieces: Sequence[Piece], texts: Sequence[Text]) -> None:
        """Flags what only the reader could see: removed characters, and pages without main text."""
        self.new_rows |= {piece.row for piece in pieces}
        flags = [flag for piece, text in zip(pieces, texts, strict=True) for flag in _flags(piece, text)]
        Flag.objects.bulk_create(flags, batch_size=500)


def _flags(piece: Piece, text: Text) -> Iterator[Flag]:
    if piece.removed:
        reason = f"{piece.removed} characters that no text may hold were removed"
        yield _whole(text, "encoding", "removed", reason, {"removed": piece.removed})
    if piece.document.visible and piece.part == 1:
        reason = "The page has hardly any main text, so all that is visible was taken"
        yield _whole(text, "extraction", "visible", reason, {})


def _whole(text: Text, detector: str, category: str, reason: str, evidence: dict[str, Any]) -> Flag:  # Any: JSON
    return Flag(
        text=text,
        detector=detector,
        version=NORMALISE_VERSION,
        category=category,
        start=0,
        end=len(text.body),
        score=NOTE_SCORE,
        reason=reason,
        evidence=evidence,
    )


def _line(value: str, most: int) -> str:
    return stored(value).body.strip()[:most]


def _meta(value: Mapping[str, object]) -> dict[str, object]:
    """As many of the fields, in their order, as fit into 4 kB."""
    kept: dict[str, object] = {}
    size = 2
    for key, inner in value.items():
        field = {stored(key).body: stored_values(inner)}
        size += len(json.dumps(field))
        if size <= MOST_META_BYTES:
            kept |= field
    return kept


def _slices(values: Sequence[str] | Sequence[int]) -> Iterator[Sequence[Any]]:  # Any: as values
    """values in runs that one statement takes."""
    return (values[start : start + _KEYS_AT_ONCE] for start in range(0, len(values), _KEYS_AT_ONCE))
