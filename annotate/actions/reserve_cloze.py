"""Keep documents out of all training, so that the game can be played on text that no network has read."""

from __future__ import annotations

from collections.abc import Iterator

from annotate.cleaning.thresholds import Thresholds
from annotate.exports.documents import corpus_rows
from annotate.models import ClozeDocument, Flag, Project, Text
from annotate.tinynet.paragraphs import chosen, may_hold_window, sentences, window
from annotate.tinynet.words import word_count

DEFAULT, FEWEST, MOST = 60, 12, 200  # paragraphs of a project
LARGEST_SHARE = 0.10  # of the approved words
UNFIT = ("personal", "unsafe")  # detectors whose open finding keeps a document out of the game


def reserve_cloze(project: Project, *, least_words: int = 0) -> int:
    """Mark documents that qualify, in the order of their hashes, until the project has its paragraphs; how many more.

    A document qualifies with eight sentences to play, no open finding of personal data or unsafe content, and while
    no snapshot has frozen it: nobody can untrain a document. None where the corpus has fewer words than least_words.
    Reads the whole corpus: 1 s of one core for 230 thousand words.
    """
    wanted = min(max(int(project.settings.get("cloze_paragraphs", DEFAULT)), FEWEST), MOST)
    missing = wanted - project.cloze_documents.count()
    if missing <= 0:
        return 0
    reserved = sum(word_count(body) for body in project.cloze_documents.values_list("text__body", flat=True))
    words, candidates = reserved, {}
    for key, digest, body in _corpus(project):
        count = word_count(body)
        words += count
        if may_hold_window(body) and window(sentences(body)):
            candidates[digest] = (key, count)
    if words < least_words:
        return 0
    free = _free(candidates, project)
    taken = chosen(
        {digest: count for digest, (_, count) in free.items()},
        wanted=missing,
        most_words=int(words * LARGEST_SHARE) - reserved,
    )
    marks = (ClozeDocument(project=project, text_id=free[digest][0]) for digest in taken)
    ClozeDocument.objects.bulk_create(marks, ignore_conflicts=True)
    return len(taken)


def _corpus(project: Project) -> Iterator[tuple[int, str, str]]:
    for row in corpus_rows(project, {}):
        yield int(row["id"]), row["sha256"], row["text"]


def _free(candidates: dict[str, tuple[int, int]], project: Project) -> dict[str, tuple[int, int]]:
    """Those of the candidates that nothing forbids to play."""
    keys = [key for key, _ in candidates.values()]
    limits = Thresholds.of(project.settings)
    frozen = Text.objects.filter(pk__in=keys, group__frozen_at__isnull=False)
    flags = Flag.objects.live().filter(text__in=keys, detector__in=UNFIT).values_list("text", "detector", "score")
    unfit = {key for key, detector, score in flags if score >= limits.limit(detector)}
    unfit |= set(frozen.values_list("pk", flat=True))
    return {digest: row for digest, row in candidates.items() if row[0] not in unfit}
