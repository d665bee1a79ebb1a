"""Documents for a corpus, and the edits of them, as trainer.contract reads them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any  # rows and settings are JSON

from django.db.models import Q

from annotate.cleaning.thresholds import Thresholds
from annotate.exports.decisions import Decision, decided_of, decisions_of
from annotate.exports.rows import CHUNK, Json, Sorted, chunks, left_out, licence_of
from annotate.exports.settings import settings_of
from annotate.models import ClozeDocument, Flag, Project, Queue, TaskText, Text
from annotate.tinynet.paragraphs import Grams

SENSITIVE = ("personal", "unsafe")  # detectors whose findings an edit may have taken away for someone's sake


def corpus_rows(project: Project, settings: Mapping[str, Any]) -> Iterator[Json]:
    """Documents that people kept or edited, and undecided ones; an edit stands for its original.

    hold: detectors or categories whose undecided findings keep a text out. unknown_licence: take what has none.
    duplicates: `all`, or `representatives` without undecided near repeats.
    """
    return (row for row, _ in _corpus(project, settings) if row)


def corpus_counts(project: Project, settings: Mapping[str, Any]) -> dict[str, int]:
    return left_out(_corpus(project, settings))


def edit_rows(split_of: Mapping[int, str]) -> Iterator[Json]:
    """What people put right: a row for each edited document of a corpus, by the split that it has there.

    An original with a finding that must not spread (SENSITIVE) is left out: its edit took just that away. Two queries a
    chunk.
    """
    edited = Text.objects.filter(edited_from__isnull=False).select_related("edited_from").order_by("pk")
    keys = sorted(split_of)
    for start in range(0, len(keys), CHUNK):
        texts = list(edited.filter(pk__in=keys[start : start + CHUNK]))
        flags = Flag.objects.live().filter(text__in=[text.edited_from_id for text in texts], detector__in=SENSITIVE)
        kept_back = set(flags.values_list("text", flat=True))
        for text in texts:
            before = text.edited_from
            if before is not None and before.pk not in kept_back:
                yield {"id": str(text.pk), "split": split_of[text.pk], "dirty": before.body, "clean": text.body}


def read_of(project: Project, documents: Iterable[Text]) -> set[int]:
    """Keys of the texts that training reads of these documents and of their edits, as people decide now."""
    keys = [text.pk for text in documents]
    found = _corpus(project, {}, only=Q(pk__in=keys) | Q(edited_from__in=keys))
    return {int(row["id"]) for row, _ in found if row and row["split"] == "train"}


def _corpus(project: Project, given: Mapping[str, Any], *, only: Q | None = None) -> Sorted:
    """(row, "") for each document that goes in, (None, reason) for each that stays out, in order of id."""
    settings = settings_of("corpus", given)
    limits = Thresholds.of(project.settings)
    played = Played.of(project)
    documents = Text.objects.documents().filter(only or Q(), project=project).select_related("group", "source")
    for texts in chunks(documents):
        decisions = decisions_of(texts, kind=Queue.Kind.CLEAN, part=TaskText.Part.DOCUMENT)
        held = _held(texts, settings["hold"], limits)
        for text in texts:
            decided = decided_of(text, decisions)
            if decided is not None:
                reason = _why_not(text, decided.get(text.pk), held.get(text.pk), settings) or played.reason(text)
                yield (None, reason) if reason else (_document(text, decisions, project), "")


def documents_played(project: Project) -> list[Text]:
    """The documents kept for the game but those that reviewers rejected or edited, or disagree on. Four queries."""
    texts = [row.text for row in project.cloze_documents.select_related("text").order_by("pk")]
    decisions = decisions_of(texts, kind=Queue.Kind.CLEAN, part=TaskText.Part.DOCUMENT)
    return [text for text in texts if text.pk not in decisions or decisions[text.pk].kind == "keep"]


@dataclass(frozen=True)
class Played:
    """The documents that the learning game plays: no network and no base may have read them, nor what repeats them.

    keys: of their texts; grams: every run of 13 words in them (`learning_game.md` 4).
    """

    keys: frozenset[int]
    grams: Grams

    @classmethod
    def of(cls, project: Project) -> Played:
        bodies = dict(ClozeDocument.objects.filter(project=project).values_list("text", "text__body"))
        return cls(frozenset(bodies), Grams(bodies.values()))

    def reason(self, text: Text) -> str:
        """Why a document stays out of a corpus; empty where it goes in."""
        if {text.pk, text.edited_from_id} & self.keys:
            return "cloze"
        return "shares_13_words_with_cloze" if self.grams.in_common(text.body) else ""


def _why_not(text: Text, decision: Decision | None, held: str | None, settings: Json) -> str:
    """Why a document stays out; empty where it goes in."""
    if decision and decision.kind == "reject":
        return "rejected_" + "_".join(decision.revision.answer["reasons"][:1])
    if decision and decision.kind == "disagreed":
        return "disagreed"
    if licence_of(text) == "unknown" and not settings["unknown_licence"]:
        return "licence_unknown"
    if decision or text.edited_from_id:
        return ""
    if text.cluster_id and text.cluster_id != text.pk and settings["duplicates"] == "representatives":
        return "near_duplicate"
    return f"held_{held}" if held else ""


def _document(text: Text, decisions: Mapping[int, Decision], project: Project) -> Json:
    decision = decisions.get(text.pk) or decisions.get(text.edited_from_id or 0)
    return {
        "id": str(text.pk),
        "split": text.group.split,
        "text": text.body,
        "sha256": text.sha256,
        "source": text.source.name if text.source else "",
        "licence": licence_of(text),
        "language": text.language,
        "cluster": str(text.cluster_id or text.pk),
        **(decision.provenance(project) if decision else {"decision": "undecided", "revision": None}),
    }


def _held(texts: Sequence[Text], names: Sequence[str], limits: Thresholds) -> dict[int, str]:
    """The first finding of each text that keeps it out until a person decides."""
    flags = Flag.objects.live().filter(text__in=texts).order_by("pk")
    found: dict[int, str] = {}
    for flag in flags:
        name = next((name for name in (flag.category, flag.detector) if name in names), None)
        if name and flag.score >= limits.limit(flag.detector):
            found.setdefault(flag.text_id, name)
    return found
