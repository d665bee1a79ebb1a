"""Stored answers as the API shows them: in the letters that their person saw, under pseudonyms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import OuterRef, Subquery

from annotate.api import outputs
from annotate.models import Flag, Judgement, Revision, User
from annotate.presentation import LETTERS

Json = dict[str, Any]  # Any: a JSON object
PLAIN = (
    "decision",
    "reasons",
    "instruction",
    "text",
    "pasted",
    "comment",
    "acceptable_groups",
    "strength",
    "both_unacceptable",
    "note",
    "diff",
    "distance",
    "share",
)


def shown(judgements: Sequence[Judgement], *, me: User) -> list[Json]:
    """These judgements with the answers that stand. Two queries; judgements come with task, queue and user."""
    newest = Revision.objects.filter(judgement=OuterRef("judgement")).order_by("-number").values("pk")[:1]
    last = Revision.objects.filter(judgement__in=judgements, pk=Subquery(newest)).select_related("presentation")
    rows = {row.judgement_id: row for row in last}
    places = _places(rows.values())
    return [
        {
            "id": str(one.uuid),
            "queue": str(one.task.queue.uuid),
            "kind": one.task.queue.kind,
            "by": _by(one, me),
            "counted": one.counted,
            "frozen_at": one.frozen_at.isoformat() if one.frozen_at else None,
            "created_at": one.created_at.isoformat(),
            "current": _current(rows.get(one.pk), places),
        }
        for one in judgements
    ]


def version(judgement: Judgement) -> str:
    """The number of its newest version: its ETag."""
    newest = judgement.revisions.order_by("-number").values_list("number", flat=True).first()
    return str(newest or 0)


def revisions(judgement: Judgement) -> list[Json]:
    """All versions, the first one first. Two queries."""
    rows = list(judgement.revisions.select_related("presentation").order_by("number"))
    places = _places(rows)
    return [_revision(row, places) for row in rows]


def _by(judgement: Judgement, me: User) -> str:
    if judgement.user is None:
        return "import"
    return "me" if judgement.user_id == me.pk else judgement.user.pseudonym(judgement.task.queue.project)


def _current(row: Revision | None, places: Mapping[int, int]) -> Json | None:
    return _revision(row, places) if row is not None and row.kind in Revision.ANSWERS else None


def _revision(row: Revision, places: Mapping[int, int]) -> Json:
    body = in_letters(row.body, order=_order(row), places=places) if row.body is not None else None
    return {**outputs.RevisionOut(row).data, "body": body}


def in_letters(body: Mapping[str, Any], *, order: Sequence[int], places: Mapping[int, int]) -> Json:
    """The stored body as its client said it. order: text keys as shown; places: flag key → place of the evidence."""
    letters = {key: letter for letter, key in zip(LETTERS, order, strict=False)}
    found: Json = {name: body[name] for name in PLAIN if name in body}
    if "evidence" in body:
        answered = sorted(
            (places[int(key)], verdict) for key, verdict in body["evidence"].items() if int(key) in places
        )
        found["evidence"] = {str(place): verdict for place, verdict in answered}
    if "groups" in body:
        found["groups"] = [[letters[key] for key in group] for group in body["groups"]]
        found["unplaced"] = [letters[key] for key in body["unplaced"]]
        found["ratings"] = {letters[int(key)]: axes for key, axes in body["ratings"].items()}
        if "flags" in body:
            found["flags"] = {letters[int(key)]: flags for key, flags in body["flags"].items()}
        if "critique" in body:
            found["critique"] = {letters[int(key)]: quoting(one, letters) for key, one in body["critique"].items()}
        if "better" in body:
            found["better"] = {letters[int(key)]: text for key, text in body["better"].items()}
    if "overall" in body:
        found |= {name: body[name] for name in ("overall", "axes", "flags") if name in body}
        if "critique" in body:
            found["critique"] = quoting(body["critique"], letters)
    if "prefer" in body:
        found["prefer"] = letters.get(body["prefer"], body["prefer"])
    return found


def quoting(critique: Json | None, letters: Mapping[int, str]) -> Json | None:
    """A stored critique, its spans in letters."""
    if critique is None:
        return None
    spans = [
        {"letter": letters[span["text_id"]], "start": span["start"], "end": span["end"]} for span in critique["spans"]
    ]
    return {"text": critique["text"], "spans": spans}


def _order(row: Revision) -> list[int]:
    try:
        order: list[int] = row.presentation.order
    except ObjectDoesNotExist:
        return []
    return order


def _places(rows: Iterable[Revision]) -> dict[int, int]:
    """Flag key → its place among the evidence of its answer, as `presentation` numbers it. One query."""
    asked = [[int(key) for key in row.body["evidence"]] for row in rows if row.body and "evidence" in row.body]
    flags = Flag.objects.in_bulk([key for keys in asked for key in keys])
    found: dict[int, int] = {}
    for keys in asked:
        present = sorted((flags[key].start, key) for key in keys if key in flags)
        found |= {key: place for place, (_, key) in enumerate(present, start=1)}
    return found
