"""Answers to prompts for SFT, as trainer.contract reads them: written, imported, repaired, better, corrected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any  # rows and settings are JSON

from annotate import corrections, improved
from annotate.exports.decisions import Decision, decided_of, decisions_of
from annotate.exports.rows import Json, Sorted, chunks, left_out, licence_of, messages_of, person_of
from annotate.exports.settings import REPAIR, settings_of
from annotate.models import Import, Project, Queue, Revision, TaskText, Text

Written = Mapping[int, Json]  # what an answer's author sent, by the key of the review that accepted it


def sft_rows(project: Project, settings: Mapping[str, Any]) -> Iterator[Json]:
    """Answers that a person wrote and a reviewer accepted or edited, imported pairs, repairs, corrections of the game.

    sources: which of them. Nobody has reviewed a repair; a better answer, written in the place of one that was ranked,
    is reviewed as any. Corrections come last, and are at most 5 % of all rows.
    """
    return (row for row, _ in _sft(project, settings) if row)


def sft_counts(project: Project, settings: Mapping[str, Any]) -> dict[str, int]:
    return left_out(_sft(project, settings))


def _sft(project: Project, given: Mapping[str, Any]) -> Sorted:
    """As `_corpus`, for answers; corrections of the game follow."""
    settings = settings_of("sft", given)
    others, typed = 0, []
    for row, reason in _answers(project, settings):
        if row and row["source"] == corrections.SOURCE:
            typed.append(row)
        else:
            others += row is not None
            yield row, reason
    if corrections.SOURCE in settings["sources"]:
        yield from corrections.few([*corrections.correction_rows(project), *typed], others=others)


def _answers(project: Project, settings: Json) -> Sorted:
    """Answers that people wrote or imported, in order of id."""
    answers = Text.objects.filter(project=project, kind=Text.Kind.ANSWER, parent__isnull=False)
    answers = answers.exclude(origin=Text.Origin.MODEL)
    related = answers.select_related("group", "source", "parent__group", "author", "batch__imported")
    for texts in chunks(related):
        decisions = decisions_of(texts, kind=Queue.Kind.REVIEW_ANSWER, part=TaskText.Part.ANSWER)
        written = _written(decisions)
        repaired = _repaired(texts) if REPAIR in settings["sources"] else {}
        better = improved.improving({key for text in texts for key in (text.pk, text.edited_from_id) if key})
        messages = messages_of(text.parent for text in texts if text.parent)
        for text in texts:
            if text.pk in repaired:
                yield _answer(text, REPAIR, Decision(REPAIR, repaired[text.pk]), {}, messages, project), ""
                continue
            decided = decisions if _improves(text, decisions, better) else decided_of(text, decisions)
            if decided is None:
                continue
            source = improved.SOURCE if {text.pk, text.edited_from_id} & better else _source(text)
            decision = decided.get(text.pk if text.pk in better else text.edited_from_id or text.pk)
            reason = _why_no_answer(text, source, decision, written, settings)
            if not reason:
                yield _answer(text, source, decision, written, messages, project), ""
            elif source in settings["sources"]:
                yield None, reason


def _repaired(texts: Sequence[Text]) -> dict[int, Revision]:
    """Text → the repair that wrote it, as far as that stands. One query."""
    before = {text.edited_from_id for text in texts if text.edited_from_id}
    shown = TaskText.objects.filter(part=TaskText.Part.ANSWER, text__in=before)
    repairs = Revision.objects.counted().filter(
        judgement__task__queue__kind=Queue.Kind.REPAIR, judgement__task__task_texts__in=shown
    )
    return {one.answer["text_id"]: one for one in repairs.select_related("judgement__user")}


def _source(text: Text) -> str:
    """Who answers what the game asks corrects a sentence of it, also when writing it again."""
    if text.parent and text.parent.origin == Text.Origin.GAME:
        return corrections.SOURCE
    return "import" if text.origin == Text.Origin.IMPORT else "write"


def _why_no_answer(text: Text, source: str, decision: Decision | None, written: Written, settings: Json) -> str:
    """Why an answer stays out; empty where it goes in."""
    if source not in settings["sources"]:
        return "source"
    if not text.body:
        return "erased"
    if source == "import":
        pairs = text.batch is not None and text.batch.imported.what == Import.What.PAIRS
        if not pairs:
            return "no_pair"
        return "licence_unknown" if licence_of(text) == "unknown" and not settings["unknown_licence"] else ""
    if decision is None:
        return "not_reviewed"
    if decision.kind in {"return", "disagreed"}:
        return {"return": "returned"}.get(decision.kind, decision.kind)
    return "" if decision.revision.pk in written else "taken_back"


def _answer(
    text: Text,
    source: str,
    decision: Decision | None,
    written: Written,
    messages: Mapping[int, list[Json]],
    project: Project,
) -> Json:
    """pasted: where its writer says that they pasted from; null where they do not say."""
    assert text.parent is not None  # the queryset asks for it
    return {
        "id": str(text.pk),
        "prompt_id": str(text.parent.pk),
        "split": text.parent.group.split,
        "messages": [*messages[text.parent.pk], {"role": "assistant", "content": text.body}],
        "weight": 1.0,
        "source": source,
        "sha256": text.sha256,
        "licence": licence_of(text) if source == "import" else "",
        "pasted": written[decision.revision.pk].get("pasted") if decision and decision.revision.pk in written else None,
        **(decision.provenance(project) if decision else {"decision": None, "revision": None}),
        **(person_of(text.author, project) if text.author else {}),
    }


def _written(decisions: Mapping[int, Decision]) -> Written:
    """Of the reviews whose answer still stands, as its author has not taken it back: what the author sent."""
    written_in = {decision.revision.judgement.task.follows_id for decision in decisions.values()} - {None}
    current = {
        text_id: revision
        for revision in Revision.objects.counted().filter(judgement__in=written_in)
        for text_id in {revision.answer.get("text_id"), *improved.better_ids(revision).values()}
    }
    found: dict[int, Json] = {}
    for text_id, decision in decisions.items():
        follows, revision = decision.revision.judgement.task.follows_id, current.get(text_id)
        if follows is None:
            found[decision.revision.pk] = {}
        elif revision and revision.judgement_id == follows:
            found[decision.revision.pk] = revision.answer
    return found


def _improves(text: Text, decisions: Mapping[int, Decision], better: set[int]) -> bool:
    """Whether the text stands in the place of another by itself, and no reviewer's edit in its place."""
    own = decisions.get(text.pk)
    return text.pk in better and (own is None or own.kind != "edit")
