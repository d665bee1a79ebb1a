"""A player asks for a fix, and what many doubt is put before reviewers."""

from __future__ import annotations

from annotate.actions.build_tasks import TaskItem, build_tasks
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
    keys = round_.items
    answered = 0 <= item < len(keys) and round_.attempts.filter(item=keys[item], kind=GameAttempt.Kind.ANSWER).exists()
    if not answered:
        raise AnnotateError("bad_row", "Choose a sentence that you answered in this round.", status=422, field="item")
    made, is_new = GameDoubt.objects.get_or_create(
        project=round_.project, item_id=keys[item], by=by, defaults={"round": round_, "note": kept}
    )
    if is_new and GameDoubt.objects.filter(project=round_.project, item=made.item_id).count() >= LEAST_FIXES:
        ask_about_doubts(round_.project, round_.paragraph)
    return made


def ask_about_doubts(project: Project, paragraph: GameParagraph) -> int:
    """A flag on each doubted sentence that has none yet, and a `clean` task for the document; how many flags.

    A bundled paragraph has no document: `annotate.doubts` counts what is said of it.
    """
    if paragraph.text is None:
        return 0
    found = [one for one in doubts(project, blanks(project, paragraph)) if one.is_doubted]
    marked = set(paragraph.text.flags.filter(detector=DETECTOR).values_list("start", flat=True))
    by_start = {flag.start: flag for one in found if (flag := _flag(one, paragraph.text))}
    fresh = [flag for start, flag in sorted(by_start.items()) if start not in marked]
    Flag.objects.bulk_create(fresh)
    if fresh:
        _ask(project, paragraph.text)
    return len(fresh)


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
        selection = {"detectors": [DETECTOR], "reason": "players disagree"}
        build_tasks(queue=queue, items=[TaskItem([(document, TaskText.Part.DOCUMENT)], selection)])
