"""Put before reviewers how players repaired a sentence with another word than the text has."""

from __future__ import annotations

from hashlib import sha256

from annotate.actions.build_tasks import TaskItem, build_tasks
from annotate.actions.follow_up import void_tasks
from annotate.corrections import INSTRUCTION, repaired, split_of, with_error
from annotate.models import (
    GameAttempt,
    GameItem,
    GameParagraph,
    GameRound,
    Group,
    Project,
    Queue,
    Task,
    TaskText,
    Text,
    User,
)
from annotate.played import repairs


def ask_about_repairs(round_: GameRound) -> int:
    """A `review_answer` task for each such repair of the round that nobody made before; how many."""
    queue = Queue.objects.filter(project=round_.project, kind=Queue.Kind.REVIEW_ANSWER).order_by("pk").first()
    typed = [row for row in repairs(round_.project, round_) if row.free and not row.right]
    items = [task for row in typed if (task := _task(round_, row))]
    if queue and items:
        build_tasks(queue=queue, items=items)
    return len(items) if queue else 0


def erase_repairs(*, project: Project, by: User) -> None:
    """What by typed is gone; what reviewers made of it stays theirs."""
    own = Text.objects.filter(project=project, author=by, origin=Text.Origin.GAME)
    void_tasks(Task.objects.filter(texts__in=own, judgements=None))
    own.update(body="", author=None)


def _task(round_: GameRound, row: GameAttempt) -> TaskItem | None:
    """None where the same repair was reviewed, or waits to be."""
    assert row.item is not None  # a repair has its item
    body = repaired(round_.paragraph, row.item, row.free)
    prompt = _prompt(round_.project, round_.paragraph, row.item)
    digest = sha256(body.encode()).hexdigest()
    if prompt.children.filter(sha256=digest).exclude(body="").exists():
        return None
    answer = Text.objects.create(
        project=round_.project,
        kind=Text.Kind.ANSWER,
        body=body,
        sha256=digest,
        origin=Text.Origin.GAME,
        author=round_.user,
        parent=prompt,
        group=prompt.group,
        language=prompt.language,
    )
    return TaskItem([(prompt, TaskText.Part.PROMPT), (answer, TaskText.Part.ANSWER)], {"reason": "game"})


def _prompt(project: Project, paragraph: GameParagraph, item: GameItem) -> Text:
    """What the answer answers, in the group of the paragraph's document."""
    body = INSTRUCTION + with_error(paragraph, item)
    digest = sha256(body.encode()).hexdigest()
    known = Text.objects.prompts().filter(project=project, sha256=digest, parent=None).first()
    if known:
        return known
    text = paragraph.text
    group = text.group if text else _group(project, paragraph)
    return Text.objects.create(
        project=project,
        kind=Text.Kind.PROMPT,
        body=body,
        sha256=digest,
        origin=Text.Origin.GAME,
        group=group,
        language=text.language if text else "en",
    )


def _group(project: Project, paragraph: GameParagraph) -> Group:
    """One for all sentences of a bundled paragraph."""
    same = Group.objects.filter(project=project, first_sha256=paragraph.key, joined_into=None).order_by("pk").first()
    return same or Group.objects.create(project=project, first_sha256=paragraph.key, split=split_of(project, paragraph))
