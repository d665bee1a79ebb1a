"""A round of the game: begin it, take its rows in, finish it with a replay, erase it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any  # rows are JSON

from django.db import transaction
from django.utils.timezone import now

from annotate import game
from annotate.actions.ask_about_repairs import ask_about_repairs, erase_repairs
from annotate.actions.doubt import ask_about_doubts, look_again
from annotate.errors import AnnotateError
from annotate.models import Consent, ErasureOpen, GameAttempt, GameItem, GameRound, Project, Text, User
from annotate.tinynet import items, replay
from annotate.tinynet.words import normal

Json = dict[str, Any]

LONGEST_REPLAY = 1_000  # steps; longer rounds wait for `manage.py verify_rounds`
MOST_ROWS = 20_000  # of a round


def begin_round(*, dealt: game.Deal, project: Project, by: User) -> GameRound:
    """Raises AnnotateError 409 with code no_consent where by does not allow their answers to be kept."""
    if not by.allows(Consent.Scope.ANNOTATION, project):
        raise AnnotateError("no_consent", "Your answers are kept only after you allow it: see Consent.", status=409)
    return GameRound.objects.create(
        project=project,
        user=by,
        paragraph=dealt.paragraph,
        newborn=dealt.newborn,
        seed=dealt.seed,
        mode=dealt.mode,
        items=[row.pk for row in dealt.items],
    )


def open_round(*, dealt: game.Deal, project: Project, by: User) -> tuple[GameRound, game.Deal]:
    """A round that keeps the deal; one of the same kind that by opened and never answered is taken up again."""
    unused = by.game_rounds.filter(
        project=project,
        paragraph__start=dealt.start,
        mode=dealt.mode,
        newborn=dealt.newborn,
        finished_at=None,
        attempts=None,
    )
    found = unused.select_related("paragraph__start", "project").order_by("-pk").first()
    if found is None:
        return begin_round(dealt=dealt, project=project, by=by), dealt
    by_key = {row.pk: row for row in GameItem.objects.filter(pk__in=found.items)}
    rows = [by_key[key] for key in found.items]
    return found, replace(dealt, paragraph=found.paragraph, items=rows, seed=found.seed)


@transaction.atomic
def record_attempts(*, round_: GameRound, rows: Sequence[Json]) -> int:
    """Store the rows that are new; how many the round has now. Rows sent twice are harmless.

    Raises AnnotateError with code
        round_finished     409: the round has its replay
        out_of_order       409: a number is missing between what is stored and what came
        wrong_order_shown  422: the words were not shown in the round's own order
        bad_row            422: an item, word or place that the round does not have, or an undo of nothing
    """
    locked = GameRound.objects.select_for_update().get(pk=round_.pk)
    if locked.finished_at is not None:
        raise AnnotateError("round_finished", "This round is finished; begin another.", status=409)
    stored = list(locked.attempts.order_by("number"))
    fresh = [row for row in sorted(rows, key=lambda row: row["number"]) if row["number"] > len(stored)]
    if len(stored) + len(fresh) > MOST_ROWS:
        raise _bad("too_many", f"A round has at most {MOST_ROWS:,} rows.")
    played = {row.pk: row for row in GameItem.objects.filter(pk__in=locked.items)}
    depth = _depth(stored)
    for place, row in enumerate(fresh):
        expected = len(stored) + place + 1
        if row["number"] != expected:
            raise AnnotateError("out_of_order", f"Row {expected} is missing.", status=409, expected=expected)
        depth += -1 if row["kind"] == GameAttempt.Kind.UNDO else 1
        if depth < 0:
            raise _bad("bad_row", f"Row {expected} takes back what is not there.")
    GameAttempt.objects.bulk_create(_attempt(locked, row, [played[key] for key in locked.items]) for row in fresh)
    return len(stored) + len(fresh)


def _depth(rows: Sequence[GameAttempt]) -> int:
    return sum(-1 if row.kind == GameAttempt.Kind.UNDO else 1 for row in rows)


def _attempt(round_: GameRound, row: Json, played: Sequence[GameItem]) -> GameAttempt:
    made = GameAttempt(round=round_, number=row["number"], kind=row["kind"])
    if row["kind"] == GameAttempt.Kind.UNDO:
        return made
    made.eta = row["eta"]
    if row.get("count"):
        made.stream, made.count = row.get("stream") or 0, row["count"]
        return made
    if row.get("item") is None or row["item"] >= len(played):
        raise _bad("bad_row", f"Row {row['number']} names no item of this round.")
    item = played[row["item"]]
    pure = game.item_of(item)
    if row.get("shown") != items.options(pure, seed=round_.seed, number=row["number"]):
        raise _bad("wrong_order_shown", f"Row {row['number']} shows the words in an order that is not the round's.")
    if row.get("choice") is not None and row["choice"] not in pure.shown:
        raise _bad("bad_row", f"Row {row['number']} chooses a word that was not shown.")
    if any(row.get(name) is None for name in game.TOLD):
        raise _bad("bad_row", f"Row {row['number']} lacks the network's numbers: {', '.join(game.TOLD)}.")
    made.item, made.shown = item, row["shown"]
    made.choice, made.free, made.picked = row.get("choice"), normal(row.get("free") or "")[:80], row.get("picked")
    made.right = is_right(made, round_)
    made.active_ms, made.context_on = row.get("active_ms"), row["context_on"]
    for name in game.TOLD:
        setattr(made, name, row[name])
    return made


def is_right(attempt: GameAttempt, round_: GameRound) -> bool:
    """Whether the word is the gold and, in correction, the wrong word was found."""
    item = attempt.item
    assert item is not None  # only answers are asked
    words = game.read_start(round_.paragraph.start).vocabulary.words
    said = attempt.free == words[item.gold] if attempt.free else attempt.choice == item.gold
    return said and (round_.mode != GameRound.Mode.CORRECTION or attempt.picked == item.position)


def _bad(code: str, sentence: str) -> AnnotateError:
    return AnnotateError(code, sentence, status=422)


def finish_round(*, round_: GameRound, digest: Sequence[float]) -> GameRound:
    """Note the browser's digest, and replay the round where it is short. Some 1 ms a step."""
    waiting = GameRound.objects.filter(pk=round_.pk, finished_at=None)
    waiting.update(finished_at=now(), digest=list(digest))
    round_.refresh_from_db()
    if round_.replay == GameRound.Replay.NONE and game.steps(round_) <= LONGEST_REPLAY:
        verify(round_)
    return round_


@transaction.atomic
def verify(round_: GameRound) -> None:
    """Play the round again, and store whether it happened so. Where it did, its answers count: `annotate.played`."""
    start = round_.paragraph.start
    found = replay.replay(
        game.network(start, round_.newborn),
        game.replay_rows(round_),
        seed=round_.seed,
        practice=game.practice(start),
        digest=round_.digest,
    )
    largest = min(found.largest, 1e300)  # a database holds no infinity
    GameRound.objects.filter(pk=round_.pk).update(replay=found.result, largest=largest)
    round_.refresh_from_db()
    if round_.replay == GameRound.Replay.SAME:
        ask_about_repairs(round_)
        ask_about_doubts(round_.project, round_.paragraph)


@transaction.atomic
def erase_play(*, project: Project, by: User) -> int:
    """Delete all rounds of one person, and their votes; how many rounds. What they taught was never stored.

    What others are asked because of them is looked at again: a sentence that is doubted no more loses its flag.
    """
    erase_repairs(project=project, by=by)
    opened = ErasureOpen.objects.create()
    by.similarity_votes.filter(project=project).delete()
    rounds = GameRound.objects.filter(project=project, user=by)
    erased = rounds.count()
    documents = list(Text.objects.filter(pk__in=rounds.values("paragraph__text")))
    rounds.delete()
    opened.delete()
    for document in documents:
        look_again(project, document)
    return erased


@transaction.atomic
def record_consent(*, project: Project, by: User, scopes: Sequence[str]) -> Consent:
    """What by allows from now on. Without the scope annotation their rounds of the game are erased.

    Raises AnnotateError with code bad_scope.
    """
    unknown = set(scopes) - set(Consent.Scope.values)
    if unknown:
        allowed = ", ".join(Consent.Scope.values)
        raise AnnotateError("bad_scope", f"{sorted(unknown)[0]} is no scope; allowed: {allowed}.", field="scopes")
    made = Consent.objects.create(
        project=project, user=by, version=Consent.VERSION, scopes=[one for one in Consent.Scope.values if one in scopes]
    )
    if Consent.Scope.ANNOTATION not in made.scopes:
        erase_play(project=project, by=by)
    return made
