"""Keep documents out of all training, so that the game can be played on text that no network has read."""

from __future__ import annotations

from collections.abc import Iterator

from annotate.cleaning.thresholds import Thresholds
from annotate.exports import corpus_rows
from annotate.models import ClozeDocument, Flag, Project, Text
from annotate.tinynet.paragraphs import cloze_order, sentences, window

DEFAULT, FEWEST, MOST = 60, 12, 200  # paragraphs of a project
LARGEST_SHARE = 0.10  # of the approved words
UNFIT = ("personal", "unsafe")  # detectors whose open finding keeps a document out of the game


def reserve_cloze(project: Project) -> int:
    """Mark documents that qualify, in the order of their hashes, until the project has its paragraphs; how many more.

    A document qualifies with eight sentences to play, no open finding of personal data or unsafe content, and while
    no snapshot has frozen it: nobody can untrain a document. Reads the whole corpus.
    """
    wanted = min(max(int(project.settings.get("cloze_paragraphs", DEFAULT)), FEWEST), MOST)
    missing = wanted - project.cloze_documents.count()
    if missing <= 0:
        return 0
    words, found = 0, []
    for key, digest, body in _corpus(project):
        count = len(body.split())
        words += count
        if window(sentences(body)):
            found.append((cloze_order(digest), key, count))
    chosen = list(_within(sorted(_free(found, project)), missing, words * LARGEST_SHARE))
    ClozeDocument.objects.bulk_create(
        (ClozeDocument(project=project, text_id=key) for key in chosen), ignore_conflicts=True
    )
    return len(chosen)


def _corpus(project: Project) -> Iterator[tuple[int, str, str]]:
    for row in corpus_rows(project, {}):
        yield int(row["id"]), row["sha256"], row["text"]


def _free(found: list[tuple[str, int, int]], project: Project) -> list[tuple[str, int, int]]:
    """Those of the candidates that nothing forbids to play."""
    keys = [key for _, key, _ in found]
    limits = Thresholds.of(project.settings)
    frozen = Text.objects.filter(pk__in=keys, group__frozen_at__isnull=False)
    flags = Flag.objects.live().filter(text__in=keys, detector__in=UNFIT).values_list("text", "detector", "score")
    unfit = {key for key, detector, score in flags if score >= limits.limit(detector)}
    unfit |= set(frozen.values_list("pk", flat=True))
    return [row for row in found if row[1] not in unfit]


def _within(candidates: list[tuple[str, int, int]], most: int, words: float) -> Iterator[int]:
    """The first so many that together hold at most so many words."""
    for _, key, count in candidates[:most]:
        words -= count
        if words < 0:
            return
        yield key
