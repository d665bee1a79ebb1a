"""What a person plays next, and what their rows say: reads of the learning game."""

from __future__ import annotations

import gzip
import secrets
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Any  # payloads are JSON

from django.db.models import Count, Q
from django.urls import reverse

from annotate.errors import AnnotateError
from annotate.models import GameAttempt, GameItem, GameParagraph, GameRound, GameStart, Project, User
from annotate.tinynet import held_out, items, replay, start, stream
from annotate.tinynet.items import Item, Paragraph
from annotate.tinynet.net import Net
from annotate.tinynet.play import BOLD, GENTLE, Outcome, example
from annotate.tinynet.start import Start
from annotate.tinynet.stream import Practice

Json = dict[str, Any]

NEWBORN = 1  # the seed of every newborn
SEEDS = 2**31
TOLD = ("p_with", "p_without", "loss_before", "loss_after", "p_after")


@dataclass(frozen=True)
class Deal:
    """A paragraph, the eight items to play, and what the network begins from.

    repeat: the person has met all its blanks before, so no answer is their first and nothing is kept.
    """

    start: GameStart
    paragraph: GameParagraph
    items: list[GameItem]
    seed: int
    mode: str
    newborn: int | None
    repeat: bool = False


def standing_start(project: Project) -> GameStart | None:
    """The newest start of the project's own."""
    return project.game_starts.standing().order_by("-pk").first()


def why_not_offered(project: Project, start: GameStart | None) -> str:
    """Why the project's trained network is not what a round begins from; empty where it is."""
    if start is None:
        return "retired" if project.game_starts.exists() else "no_start"
    return "" if held_out.offered(start.header["held_out"]) else "no_gain"


def deal(*, start: GameStart, user: User, project: Project, mode: str, seed: int | None, newborn: bool) -> Deal:
    """The paragraph that this person has played least, and its least answered items. Four queries.

    Raises AnnotateError with code no_paragraph where the start has none to play.
    """
    chosen = seed if seed is not None else secrets.randbelow(SEEDS)
    played = Count("rounds", filter=Q(rounds__user=user, rounds__project=project))
    free = start.paragraphs.filter(reserved=False, retired_at=None).annotate(played=played).order_by("played", "key")
    paragraph = _turn(list(free), chosen)
    if paragraph is None:
        raise AnnotateError("no_paragraph", "There is no paragraph to play yet.", status=409)
    rows = list(paragraph.items.order_by("sentence", "position"))
    met = _answers(rows, Q(round__user=user))
    drawn = items.draw_round([item_of(row) for row in rows], seed=chosen, answers=_answers(rows, Q()), met=met)
    by_item = {item_of(row): row for row in rows}
    return Deal(
        start=start,
        paragraph=paragraph,
        items=[by_item[item] for item in drawn],
        seed=chosen,
        mode=mode,
        newborn=NEWBORN if newborn else None,
        repeat=all(met[item] for item in drawn),
    )


def _turn(free: list[GameParagraph], seed: int) -> GameParagraph | None:
    """One of those played least, by the seed."""
    least = [row for row in free if row.played == free[0].played]  # type: ignore[attr-defined]  # annotated
    return least[seed % len(least)] if least else None


def _answers(rows: list[GameItem], who: Q) -> Counter[Item]:
    """How often people answered each item."""
    answered = GameAttempt.objects.filter(who, item__in=rows, kind=GameAttempt.Kind.ANSWER)
    counts = dict(answered.values_list("item").annotate(Count("pk")).values_list("item", "pk__count"))
    return Counter({item_of(row): counts.get(row.pk, 0) for row in rows})


def item_of(row: GameItem) -> Item:
    first, second, third, wrong = row.distractors
    return Item(row.sentence, row.position, row.gold, (first, second, third, wrong))


def shown(paragraph: GameParagraph, rows: list[GameItem]) -> Json:
    """The paragraph as the browser reads it, with these of its items."""
    by_place = {(item["sentence"], item["position"]): item for item in paragraph.shown["items"]}
    return {
        "key": paragraph.key,
        "theme": paragraph.theme,
        "sentences": paragraph.shown["sentences"],
        "items": [by_place[row.sentence, row.position] | {"id": row.pk} for row in rows],
    }


def around(sentence: Json, position: int) -> tuple[str, str]:
    """What stands before and after the word at a position; spans count UTF-16 units."""
    start, end = sentence["spans"][position]
    units = sentence["text"].encode("utf-16-le")
    return units[: 2 * start].decode("utf-16-le"), units[2 * end :].decode("utf-16-le")


def exam(start: GameStart) -> list[Json]:
    """The reserved paragraphs, which nobody plays, with at most 200 blanks."""
    found, blanks = [], 0
    for row in start.paragraphs.filter(reserved=True, retired_at=None).order_by("key"):
        kept = row.shown["items"][: max(0, items.EXAM_BLANKS - blanks)]
        blanks += len(kept)
        found.append({"sentences": row.shown["sentences"], "items": kept})
    return found


def eta_of(step: str, *, newborn: bool) -> float:
    """The step size that a person asked for: gentle on a trained start, bold on a newborn, unless they say."""
    return {"gentle": GENTLE, "bold": BOLD}.get(step, BOLD if newborn else GENTLE)


@lru_cache(maxsize=4)
def _read(version: str) -> tuple[Start, bytes]:
    row = GameStart.objects.filter(version=version).order_by("pk")[0]
    return start.read(gzip.decompress(row.file)), gzip.decompress(row.practice)


def read_start(row: GameStart) -> Start:
    """What the start's file holds; kept in memory, as files never change."""
    return _read(row.version)[0]


def network(row: GameStart, newborn: int | None) -> Net:
    """A copy of the network that a round begins with."""
    known = read_start(row)
    return known.net.twin() if newborn is None else Net.newborn(newborn, known.vocabulary.u)


def practice(row: GameStart) -> Practice:
    return stream.read_practice(_read(row.version)[1], read_start(row).vocabulary)


def paragraph_of(row: GameParagraph) -> Paragraph:
    """The paragraph as the pure code reads it, without its words: a replay needs ids only."""
    ids = tuple(tuple(sentence["ids"]) for sentence in row.shown["sentences"])
    return Paragraph(row.key, (), ids, tuple(item_of(item) for item in row.items.order_by("sentence", "position")))


def replay_rows(round_: GameRound) -> list[replay.Row]:
    """The round's rows, as `tinynet.replay` takes them. Three queries."""
    whole = paragraph_of(round_.paragraph)
    vocabulary = read_start(round_.paragraph.start).vocabulary
    rows: list[replay.Row] = []
    for attempt in round_.attempts.select_related("item").order_by("number"):
        if attempt.kind == GameAttempt.Kind.UNDO:
            rows.append(replay.Undo())
        elif attempt.item is None:
            rows.append(_burst(attempt, round_.mode))
        else:
            given = example(whole, item_of(attempt.item), vocabulary, mode=round_.mode)  # type: ignore[arg-type]  # a Mode
            told = Outcome(*(getattr(attempt, name) for name in TOLD))
            rows.append(
                replay.Answer(
                    example=given,
                    gold=attempt.item.gold,
                    context_on=attempt.context_on,
                    eta=attempt.eta or 0.0,
                    told=told,
                )
            )
    return rows


def _burst(attempt: GameAttempt, mode: str) -> replay.Burst:
    reading: stream.Reading = "next" if mode == GameRound.Mode.NEXT else "missing"
    return replay.Burst(stream=attempt.stream or 0, count=attempt.count or 0, reading=reading, eta=attempt.eta or 0.0)


def steps(round_: GameRound) -> int:
    """How many steps a replay takes, at most."""
    return sum(row.count or 1 for row in round_.attempts.all())


def payload(found: Deal, round_: GameRound | None, *, kind: str, step: str) -> Json:
    """The deal as the browser plays it. kind: of the network that it begins from."""
    read = shown(found.paragraph, found.items)
    version = found.start.version
    return {
        "round": str(round_.uuid) if round_ else None,
        "mode": found.mode,
        "seed": found.seed,
        "start": {
            "version": version,
            "kind": kind,
            "lmt": reverse("api:game-start", args=[version, "lmt"]),
            "size_bytes": len(found.start.file),
            "practice": reverse("api:game-start", args=[version, "lmp"]),
            "newborn": found.newborn,
            "eta": eta_of(step, newborn=found.newborn is not None),
        },
        "attempts": reverse("api:game-attempts", args=[round_.uuid]) if round_ else None,
        "finish": reverse("api:game-finish", args=[round_.uuid]) if round_ else None,
        "doubts": reverse("api:game-doubts", args=[round_.uuid]) if round_ else None,
        "repeat": found.repeat,
        "paragraph": {name: read[name] for name in ("key", "theme", "sentences")},
        "items": read["items"],
        "words": _words_of(found),
        "exam": exam(found.start),
    }


def _words_of(found: Deal) -> dict[int, str]:
    """The words of the items by id, so that they can be shown before the network's file is there, or without it."""
    words = read_start(found.start).vocabulary.words
    return {word: words[word] for item in found.items for word in (item.gold, *item.distractors)}


def record_of(user: User, project: Project) -> Json:
    answers = GameAttempt.objects.filter(round__user=user, round__project=project, kind=GameAttempt.Kind.ANSWER)
    counts = answers.aggregate(answers=Count("pk"), right=Count("pk", filter=Q(right=True)))
    votes = user.similarity_votes.filter(project=project).count()
    return {"rounds": user.game_rounds.filter(project=project).count(), "votes": votes, **counts}
