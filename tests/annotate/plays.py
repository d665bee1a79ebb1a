"""Rounds of the game as a browser would play them: what was said is told, and the numbers are the network's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from annotate import game
from annotate.actions.play import begin_round, finish_round, record_attempts, record_consent
from annotate.actions.train_start import bundled_start
from annotate.models import GameItem, GameParagraph, GameRound, GameStart, Project, User
from annotate.tinynet import items, play
from annotate.tinynet.net import Net

Json = dict[str, Any]
UNDO: Json = {"kind": "undo"}


def paragraphs(start: GameStart) -> list[GameParagraph]:
    """Those that are played, in order."""
    return list(start.paragraphs.filter(reserved=False).order_by("key"))


def own_start(project: Project) -> GameStart:
    """One of the project's own, with what the bundled one knows."""
    start = bundled_start()
    return GameStart.objects.create(
        project=project, version=start.version, file=start.file, practice=start.practice, header=start.header
    )


def blank(paragraph: GameParagraph, at: int = 0) -> GameItem:
    return list(paragraph.items.order_by("sentence", "position"))[at]


def words(item: GameItem) -> tuple[str, ...]:
    """The gold, the three others that are shown, and the wrong word of correction mode."""
    known = game.read_start(item.paragraph.start).vocabulary.words
    return tuple(known[word] for word in (item.gold, *item.distractors))


def seat(project: Project, by: User, asked: Sequence[GameItem], *, mode: str = "missing", seed: int = 7) -> GameRound:
    """A round of these items, all of one paragraph."""
    if not by.allows("annotation", project):
        record_consent(project=project, by=by, scopes=["annotation"])
    paragraph = asked[0].paragraph
    dealt = game.Deal(paragraph.start, paragraph, list(asked), seed, mode, None)
    return begin_round(dealt=dealt, project=project, by=by)


def say(round_: GameRound, *said: Json, lie: float = 0.0) -> GameRound:
    """Answer the items in order and finish; `{}` is the gold. lie: is added to each p that is told."""
    start = round_.paragraph.start
    net, known = game.network(start, round_.newborn), game.read_start(start)
    whole = game.paragraph_of(round_.paragraph)
    by_key = {row.pk: row for row in round_.paragraph.items.all()}
    rows: list[Json] = []
    kept: list[Net] = []
    at = 0
    for number, one in enumerate(said, start=1):
        if one is UNDO:
            at, net = at - 1, kept.pop()
            rows.append({"number": number, "kind": "undo"})
            continue
        row = by_key[round_.items[at]]
        item = game.item_of(row)
        kept.append(net.twin())
        context_on = one.get("context_on", True)
        given = play.example(whole, item, known.vocabulary, mode=round_.mode)  # type: ignore[arg-type]  # a Mode
        told = asdict(play.answer(net, given, gold=item.gold, eta=0.02, context_on=context_on))
        told["p_with"] += lie
        choice = None if "free" in one else item.gold
        shown = items.options(item, seed=round_.seed, number=number)
        row_ = {"number": number, "kind": "answer", "item": at, "choice": choice, "context_on": context_on}
        rows.append(row_ | {"shown": shown, "eta": 0.02, "picked": row.position} | told | one)
        at += 1
    record_attempts(round_=round_, rows=rows)
    return finish_round(round_=round_, digest=net.digest())


def answer(project: Project, by: User, item: GameItem, said: Json | None = None, *, mode: str = "missing") -> GameRound:
    """One blank answered by one person, verified."""
    return say(seat(project, by, [item], mode=mode), said or {})


def other(item: GameItem) -> Json:
    """The first word that is shown and not the gold."""
    return {"choice": item.distractors[0]}
