"""A player asks for a fix, or takes that back, and what many doubt is put before reviewers."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction
from django.utils.timezone import now

from annotate.actions.build_tasks import TaskItem, build_tasks
from annotate.actions.follow_up import void_tasks
from annotate.cloze import blanks
from annotate.doubts import LEAST_FIXES, Doubt, doubts
from annotate.errors import AnnotateError
from annotate.models import (
    Flag,
    GameAttempt,
    GameDoubt,
    GameParagraph,
    GameRound,
    Project,
    Queue,
    Task,
    TaskText,
    Text,
    User,
)

DETECTOR, CATEGORY, VERSION = "players", "players_disagree", 1
REASON = "players disagree"


@transaction.atomic
def suggest_fix(*, round_: GameRound, item: int, note: str, by: User) -> GameDoubt:
    """Keep by's doubt of an item that they answered; item: its place in the round, from 0. Twice the same is one.

    Raises AnnotateError 422 with code
        bad_row   the round has no such item, or by has not answered it
        too_long  the note has more than 300 characters
    """
    kept = note.strip()
    if len(kept) > GameDoubt.MOST:
        sentence = f"The note has {len(kept)} characters; at most {GameDoubt.MOST} are allowed."
        raise AnnotateError("too_long", sentence, status=422, field="note")
    key = _answered(round_, item)
    standing = GameDoubt.objects.standing().filter(project=round_.project, item=key)
    before = standing.filter(by=by).first()
    if before:
        return before
    made = GameDoubt.objects.create(project=round_.project, item_id=key, by=by, round=round_, note=kept)
    if standing.count() >= LEAST_FIXES:
        ask_about_doubts(round_.project, round_.paragraph)
    return made


@transaction.atomic
def take_fix_back(*, round_: GameRound, item: int, by: User) -> None:
    """Append that by suggests no fix of the item any more; where nothing stands, nothing changes.

    A sentence that is then not doubted has its flag retired, and nobody is asked about it who has not answered yet.
    Raises AnnotateError 422 with code bad_row where the round has no such item, or by has not answered it.
    """
    key = _answered(round_, item)
    standing = GameDoubt.objects.standing().filter(project=round_.project, item=key, by=by).first()
    if standing is None:
        return
    GameDoubt.objects.create(project=round_.project, item_id=key, by=by, round=round_, withdrawn=True)
    if round_.paragraph.text:
        look_again(round_.project, round_.paragraph.text)


def _answered(round_: GameRound, at: int) -> int:
    """The key of the item at that place of the round, if it was answered there."""
    keys: list[int] = round_.items
    if 0 <= at < len(keys) and round_.attempts.filter(item=keys[at], kind=GameAttempt.Kind.ANSWER).exists():
        return keys[at]
    raise AnnotateError("bad_row", "Choose a sentence that you answered in this round.", status=422, field="item")


def ask_about_doubts(project: Project, paragraph: GameParagraph) -> int:
    """A flag on each doubted sentence that has none yet, and a `clean` task for the document; how many flags.

    A bundled paragraph has no document: `annotate.doubts` counts what is said of it. Nobody is asked about one that is
    played no more, as a reviewer decided.
    """
    if paragraph.text is None or paragraph.retired_at:
        return 0
    marked = set(paragraph.text.flags.live().filter(detector=DETECTOR).values_list("start", flat=True))
    by_start = _flags(project, paragraph, paragraph.text)
    fresh = [flag for start, flag in sorted(by_start.items()) if start not in marked]
    _keep(fresh)
    if fresh:
        _ask(project, paragraph.text)
    return len(fresh)


def look_again(project: Project, document: Text) -> None:
    """Say of a document what is doubted still, after something that was said of it is gone.

    Flags of sentences that are doubted no more are retired, the others count anew; without any, the unanswered task of
    them is void.
    """
    flags = document.flags.live().filter(detector=DETECTOR)
    marked = set(flags.values_list("start", flat=True))
    if not marked:
        return
    by_start: dict[int, Flag] = {}
    for paragraph in GameParagraph.objects.filter(start__project=project, text=document).order_by("pk"):
        by_start |= _flags(project, paragraph, document)
    flags.exclude(start__in=by_start).update(retired_at=now())
    _keep([flag for start, flag in by_start.items() if start in marked])
    if not flags.exists():
        void_tasks(Task.objects.filter(texts=document, selection__reason=REASON, judgements=None))


def _keep(flags: Sequence[Flag]) -> None:
    """One that was retired is a finding again, and one that stands says what is so now."""
    Flag.objects.bulk_create(
        flags,
        update_conflicts=True,
        unique_fields=["text", "detector", "version", "category", "start", "end"],
        update_fields=["score", "reason", "retired_at"],
    )


def _flags(project: Project, paragraph: GameParagraph, document: Text) -> dict[int, Flag]:
    """What is to be said of the doubted sentences, by where they begin."""
    found = [one for one in doubts(project, blanks(project, paragraph)) if one.is_doubted]
    return {flag.start: flag for one in found if (flag := _flag(one, document))}


def _flag(doubt: Doubt, document: Text) -> Flag | None:
    """None where the document does not hold the sentence: an older start may have cut it otherwise."""
    start = _place(doubt.paragraph, document.body, doubt.item.sentence)
    if start is None:
        return None
    if doubt.people and doubt.against:
        reason = f"Players disagree: {doubt.against} of {doubt.people} gave another word than “{doubt.gold}”."
    else:
        reason = "Players disagree with the text."
    if doubt.fixes:
        reason += f" Suggestions to fix it: {len(doubt.fixes)}."
    return Flag(
        text=document,
        detector=DETECTOR,
        version=VERSION,
        category=CATEGORY,
        start=start,
        end=start + len(doubt.sentence),
        score=doubt.score,
        reason=reason,
        evidence={},
    )


def _place(paragraph: GameParagraph, body: str, sentence: int) -> int | None:
    """Where the sentence begins in its document, in code points: sentences stand there in their order."""
    at = 0
    for one in paragraph.shown["sentences"][:sentence]:
        at = max(at, body.find(one["text"], at) + len(one["text"]))
    found = body.find(paragraph.shown["sentences"][sentence]["text"], at)
    return found if found >= 0 else None


def _ask(project: Project, document: Text) -> None:
    """One task, unless one waits already: it will show the flag."""
    queue = Queue.objects.filter(project=project, kind=Queue.Kind.CLEAN).order_by("pk").first()
    waiting = Task.objects.filter(
        queue=queue, texts=document, state__in=[Task.State.HELD, Task.State.ADMITTED, Task.State.PARKED]
    )
    if queue and not waiting.exists():
        selection = {"detectors": [DETECTOR], "reason": REASON}
        build_tasks(queue=queue, items=[TaskItem([(document, TaskText.Part.DOCUMENT)], selection)])
