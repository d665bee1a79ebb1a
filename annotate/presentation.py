"""How a task looks to the one person who has it: blind by an allow-list, in an order of their own.

Nothing names an author, a model, a score of a model, another person's answer or a row. Letters A to I depend on task
and person only, evidence is numbered as it stands.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any  # payloads are JSON

from django.db import connection

from annotate.cleaning.thresholds import Thresholds
from annotate.critique import LOW
from annotate.models import Flag, Objection, Project, Queue, Revision, Slot, Source, Task, TaskText, Text, User
from annotate.pace import progress
from annotate.queue import why
from annotate.rendering import blocks
from annotate.rows import Columns, run

Json = dict[str, Any]

LETTERS = "ABCDEFGHI"
COVERED = {"unsafe"}
LETTERED = {Queue.Kind.RANK, Queue.Kind.PAIR, Queue.Kind.RATE}
TEXT = Columns(
    Text, "id", "project_id", "group_id", "kind", "body", "sha256", "author_id", "parent_id", "edited_from_id",
    "source_id", "cluster_id", "address", "licence", "language",
)  # fmt: skip
SOURCE = Columns(Source, "id", "name", "licence")
TEXTS = f"""
SELECT tt.part, (SELECT MAX(g.version) FROM annotate_guideline g WHERE g.project_id = %(project)s) AS guideline,
  {TEXT.of("x")}, {SOURCE.of("o")} FROM annotate_tasktext tt JOIN annotate_text x ON x.id = tt.text_id
LEFT JOIN annotate_source o ON o.id = x.source_id WHERE tt.task_id = %(task)s ORDER BY tt.position
"""
FLAG = Columns(Flag)
FLAGS_NOW = f"""
SELECT {FLAG.of("f")} FROM annotate_flag f WHERE f.text_id = %(text)s AND f.retired_at IS NULL ORDER BY f.start, f.id
"""
FLAGS_THEN = f"""
SELECT {FLAG.of("f")} FROM annotate_flag f WHERE f.text_id = %(text)s AND f.created_at <= %(at)s
  AND (f.retired_at IS NULL OR f.retired_at > %(at)s) ORDER BY f.start, f.id
"""


@dataclass(frozen=True)
class Shown:
    """The texts of a task for one person. answers: in the order shown; flags: in the order of the evidence.

    guideline: the newest version; None where the project has none.
    """

    task: Task
    user: User
    seed: str
    guideline: int | None
    prompt: list[Text]
    document: Text | None
    answers: list[Text]
    flags: list[Flag]

    @property
    def asks_instruction(self) -> bool:
        """Whether the prompt is for its person to write too."""
        return self.task.queue.kind == Queue.Kind.WRITE_ANSWER and not self.prompt

    @property
    def texts(self) -> list[Text]:
        return [*self.prompt, *([self.document] if self.document else []), *self.answers]

    def by_letter(self) -> dict[str, Text]:
        return dict(zip(LETTERS, self.answers, strict=False))


def shown(task: Task, user: User, *, slot: Slot | None = None) -> Shown:
    """What user sees of the task; slot fixes the moment, so that evidence found later keeps its place.

    One statement; one more for evidence or where there is no text, and one for each earlier turn of the prompt.
    """
    rows = _texts(task)
    seed = sha256(f"{task.random_key}:{user.pk}".encode()).hexdigest()
    prompts = _of(rows, TaskText.Part.PROMPT)
    documents = _of(rows, TaskText.Part.DOCUMENT)
    answers = _of(rows, TaskText.Part.ANSWER)
    return Shown(
        task=task,
        user=user,
        seed=seed,
        guideline=rows[0][1] if rows else guideline_version(task.queue.project),
        prompt=[turn for prompt in prompts for turn in prompt.turns()],
        document=documents[0] if documents else None,
        answers=sorted(answers, key=lambda text: sha256(f"{seed}:{text.pk}".encode()).digest()),
        flags=_flags(documents, slot) if task.queue.kind == Queue.Kind.CLEAN else [],
    )


def shown_order(task: Task, user: User) -> list[Text]:
    """The answers as their letters run."""
    return shown(task, user).answers


def payload(slot: Slot) -> Json:
    """All that the person who has the slot gets to know; slot with its task, queue and project. Some three reads."""
    assert slot.user is not None  # a slot is shown to who holds it
    queue = slot.queue
    slot.task.queue = queue
    what = shown(slot.task, slot.user, slot=slot)
    return {
        "slot": str(slot.uuid),
        "token": slot.token if slot.status == Slot.Status.LEASED else None,
        "lease_until": slot.lease_until.isoformat() if slot.lease_until else None,
        "why": why(slot),
        "queue": {"id": str(queue.uuid), "name": queue.name},
        "guideline_version": what.guideline,
        "progress": progress(queue, slot.user),
        **content(what),
    }


def seen_again(what: Shown) -> Json:
    """The payload of a task that its person has answered, for changing the answer: without a lease."""
    queue = what.task.queue
    return {
        "slot": None,
        "token": None,
        "lease_until": None,
        "why": "",
        "queue": {"id": str(queue.uuid), "name": queue.name},
        "guideline_version": what.guideline,
        "progress": progress(queue, what.user),
        **content(what),
    }


def content(what: Shown) -> Json:
    """The question itself: the part of the payload whose hash is kept with the answer."""
    queue = what.task.queue
    clean, single = queue.kind == Queue.Kind.CLEAN, queue.kind in {Queue.Kind.REVIEW_ANSWER, Queue.Kind.REPAIR}
    return {
        "kind": queue.kind,
        "prompt": [
            {"role": "user" if turn.kind == Text.Kind.PROMPT else "assistant", **_rendered(turn)}
            for turn in what.prompt
        ],
        "document": _document(what.document) if what.document else None,
        "evidence": _evidence(what.flags, queue.project) if clean else [],
        "answer": _rendered(what.answers[0]) if single else None,
        "answers": [{"letter": letter, **_rendered(text)} for letter, text in what.by_letter().items()]
        if queue.kind in LETTERED
        else [],
        "axes": queue.axes,
        "required_axes": queue.required_axes,
        "flags": queue.flags,
        "critique_least": queue.critique_least,
        "better": queue.better,
        "partial": queue.partial,
        "line_required": queue.line_required,
        "instruction": what.asks_instruction,
        "pasted": _pasted(what.task),
        "returned": _returned(what),
        "wrong": _wrong(what.task),
    }


def content_sha256(what: Shown) -> str:
    stable = json.dumps(content(what), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return sha256(stable.encode()).hexdigest()


def order_of(what: Shown) -> list[int]:
    """Keys of the texts as they were shown: letters follow it."""
    return [text.pk for text in what.answers] or [text.pk for text in what.texts]


def guideline_version(project: Project) -> int | None:
    """The newest version; None where the project has no guideline. One query."""
    with connection.cursor() as cursor:  # twice an answer: the ORM would take four times as long
        cursor.execute("SELECT MAX(version) FROM annotate_guideline WHERE project_id = %s", [project.pk])
        newest: int | None = cursor.fetchone()[0]
    return newest


@cache
def app_version() -> str:
    """The first 12 digits of the hash of this app's own source."""
    folder = Path(__file__).parent
    digest = sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(file.relative_to(folder).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]


def _texts(task: Task) -> list[tuple[str, int | None, Text]]:
    """Part, the newest guideline, and text, in neutral order."""
    found = []
    for part, guideline, *values in run(TEXTS, {"task": task.pk, "project": task.queue.project_id}).fetchall():
        text = TEXT.row(values[: len(TEXT)])
        if text.source_id is not None:
            text.source = SOURCE.row(values[len(TEXT) :])
        found.append((part, guideline, text))
    return found


def _of(rows: Sequence[tuple[str, int | None, Text]], wanted: str) -> list[Text]:
    return [text for part, _, text in rows if part == wanted]


def _flags(documents: list[Text], slot: Slot | None) -> list[Flag]:
    """The findings about a document, as they stood when it was shown. One statement."""
    at = slot.shown_at if slot else None
    stored = connection.ops.adapt_datetimefield_value(at)
    rows = run(FLAGS_THEN if at else FLAGS_NOW, {"text": documents[0].pk, "at": stored})
    return [FLAG.row(row) for row in rows.fetchall()]


def _rendered(text: Text) -> Json:
    return {"text": text.body, "blocks": blocks(text.body)}


def _document(text: Text) -> Json:
    return {
        "text": text.body,
        "source": text.source.name if text.source else "",
        "licence": text.licence or (text.source.licence if text.source else ""),
        "language": text.language,
        "words": len(text.body.split()),
        "address": text.address,
    }


def _evidence(flags: list[Flag], project: Project) -> list[Json]:
    limits = Thresholds.of(project.settings)
    named = {flag.evidence["representative"] for flag in flags if flag.evidence.get("representative")}
    nearest = Text.objects.filter(project=project).in_bulk(named) if named else {}
    return [
        {
            "id": str(number),
            "detector": flag.detector,
            "category": flag.category,
            "score": flag.score,
            "threshold": limits.limit(flag.detector),
            "reason": flag.reason,
            "start": flag.start,
            "end": flag.end,
            "covered": flag.detector in COVERED,
            "duplicate": _duplicate(flag, nearest.get(flag.evidence.get("representative", 0))),
        }
        for number, flag in enumerate(flags, start=1)
    ]


def _duplicate(flag: Flag, nearest: Text | None) -> Json | None:
    if nearest is None:
        return None
    return {"text": nearest.body, "similarity": flag.score, "lost": flag.evidence.get("lost")}


def _pasted(task: Task) -> str | None:
    """Where the writer of an answer under review says that they pasted from. One query, none for other tasks."""
    if task.queue.kind != Queue.Kind.REVIEW_ANSWER or task.follows_id is None:
        return None
    written = Revision.objects.current().filter(judgement=task.follows_id).first()
    return written.answer.get("pasted") if written else None


def _returned(what: Shown) -> Json | None:
    """Why an answer came back to its author, and the answer itself. Five queries, none for other tasks.

    instruction: what the author wrote above it; null where that is not theirs to change. upheld: what another reviewer
    said who let the return stand; null where its author has not objected.
    """
    task, judgement = what.task, what.task.follows
    if judgement is None or task.queue.kind != Queue.Kind.WRITE_ANSWER:
        return None
    revision = judgement.revisions.order_by("-number").exclude(body=None).first()
    reviewed = {row.part: row.text.body for row in judgement.task.task_texts.select_related("text")}
    body = (revision and revision.body) or {}
    upheld = Objection.objects.filter(task=task, stands=True).values_list("note", flat=True).first()
    return {
        "reasons": body.get("reasons", []),
        "comment": body.get("comment", ""),
        "instruction": reviewed[TaskText.Part.PROMPT] if what.asks_instruction else None,
        "text": reviewed[TaskText.Part.ANSWER],
        "upheld": upheld,
    }


def _wrong(task: Task) -> Json | None:
    """What somebody found wrong with an answer that is to be repaired: no score, and not who said it. Two queries."""
    judgement = task.follows if task.queue.kind == Queue.Kind.REPAIR else None
    if judgement is None:
        return None
    revision = judgement.revisions.order_by("-number").exclude(body=None).first()
    return what_is_wrong((revision and revision.body) or {})


def what_is_wrong(rating: Json) -> Json:
    """Of a stored rating: the flags that were raised, the axes rated low, and the critique."""
    critique = rating.get("critique") or {}
    return {
        "flags": [key for key, raised in rating.get("flags", {}).items() if raised],
        "axes": [axis for axis, value in rating.get("axes", {}).items() if value is not None and value <= LOW],
        "critique": critique.get("text", ""),
    }
