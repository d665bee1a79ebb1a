"""Rankings of answers, as trainer.contract reads them; a comparison and a repair are rankings of two."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any  # rows and settings are JSON

from annotate import improved
from annotate.exports.rows import Json, chunks, messages_of, person_of
from annotate.exports.settings import settings_of
from annotate.models import Project, Queue, Revision, TaskText, Text


def ranking_rows(project: Project, settings: Mapping[str, Any]) -> Iterator[Json]:
    """One row a counted judgement, ties, line and strength as given; groups hold indices of answers, in key order.

    sources: kinds of queue, and `better`, a row for each better answer that came with a ranking, over its original. A
    comparison of two is a ranking of two, with its strength; both unacceptable is a line above them. A repair ranks the
    new text over the old one. ratings, flags and critiques stand in the order of the answers; null is "not asked" or
    "not answered".
    """
    sources = settings_of("ranking", settings)["sources"]
    for revisions in chunks(_rankings(project, settings).counted()):
        tasks = _texts_of({revision.judgement.task_id for revision in revisions})
        messages = messages_of(_part(tasks[task], TaskText.Part.PROMPT)[0] for task in tasks)
        written = _written(revisions)
        better = Text.objects.in_bulk([key for one in revisions for key in improved.better_ids(one).values()])
        for revision in revisions:
            found = tasks[revision.judgement.task_id]
            answers = [*_part(found, TaskText.Part.ANSWER), *written.get(revision.pk, ())]
            row = _ranking(revision, _part(found, TaskText.Part.PROMPT)[0], answers, messages)
            if row["source"] in sources:
                yield row
            if improved.SOURCE in sources:
                yield from improved.comparisons(revision, row, better)


def ranking_counts(project: Project, settings: Mapping[str, Any]) -> dict[str, int]:
    surplus = _rankings(project, settings).current().filter(judgement__counted=False).count()
    return {"surplus": surplus} if surplus else {}


def _rankings(project: Project, given: Mapping[str, Any]) -> Any:  # a RevisionQuerySet, which cannot be named here
    sources = settings_of("ranking", given)["sources"]
    kinds = {Queue.Kind.RANK if one == improved.SOURCE else one for one in sources}
    rows = Revision.objects.filter(judgement__task__queue__project=project, judgement__task__queue__kind__in=kinds)
    return rows.select_related("judgement__user", "judgement__task__queue__project")


def _written(revisions: Sequence[Revision]) -> dict[int, list[Text]]:
    """Revision → the text that its repair wrote. One query, none where nothing was repaired."""
    repairs = [one for one in revisions if one.judgement.task.queue.kind == Queue.Kind.REPAIR]
    keys = {one.pk: one.answer["text_id"] for one in repairs}
    texts = Text.objects.in_bulk(keys.values()) if keys else {}
    return {pk: [texts[key]] for pk, key in keys.items()}


def _ranking(revision: Revision, prompt: Text, found: Iterable[Text], messages: Mapping[int, list[Json]]) -> Json:
    answers = sorted(found, key=lambda text: text.pk)
    index = {text.pk: place for place, text in enumerate(answers)}
    body, judgement = _ordered(revision, index), revision.judgement
    return {
        "id": str(revision.pk),
        "prompt_id": str(prompt.pk),
        "split": prompt.group.split,
        "messages": messages[prompt.pk],
        "answers": [{"id": str(text.pk), "text": text.body} for text in answers],
        "groups": [[index[text_id] for text_id in group] for group in body["groups"]],
        "unplaced": [index[text_id] for text_id in body["unplaced"]],
        "acceptable_groups": body["acceptable_groups"],
        "strength": body.get("strength"),
        "weight": 1.0,
        "source": judgement.task.queue.kind,
        "ratings": [body["ratings"].get(str(text.pk)) for text in answers],
        "flags": [body.get("flags", {}).get(str(text.pk)) for text in answers],
        "critiques": [_critique(body.get("critique", {}).get(str(text.pk)), index) for text in answers],
        "revision": str(revision.uuid),
        "guideline_version": revision.guideline_version,
        **person_of(judgement.user, judgement.task.queue.project),
    }


def _ordered(revision: Revision, texts: Iterable[int]) -> Json:
    """What the answer says of these texts, as the body of a ranking; of two texts, with a strength."""
    body, kind = revision.answer, revision.judgement.task.queue.kind
    if kind == Queue.Kind.RANK:
        return body
    if kind == Queue.Kind.REPAIR:
        body = {"prefer": body["text_id"], "strength": None, "both_unacceptable": None}
    prefer, both = body["prefer"], list(texts)
    strict = [[prefer], [text for text in both if text != prefer]] if prefer in both else []
    groups = [both] if prefer == "tie" else strict
    line = 0 if body["both_unacceptable"] else None
    order = {"groups": groups, "unplaced": [] if groups else both, "acceptable_groups": line}
    return {**order, "strength": body["strength"], "ratings": {}}


def _critique(stored: Json | None, index: Mapping[int, int]) -> Json | None:
    """A critique, its spans by the answers' place in the row; null where nobody wrote one."""
    if stored is None:
        return None
    spans = [{"answer": index[span["text_id"]], "start": span["start"], "end": span["end"]} for span in stored["spans"]]
    return {"text": stored["text"], "spans": spans}


def _texts_of(task_ids: set[int]) -> dict[int, list[TaskText]]:
    found: dict[int, list[TaskText]] = defaultdict(list)
    rows = TaskText.objects.filter(task__in=task_ids).select_related("text__group").order_by("task", "position")
    for row in rows:
        found[row.task_id].append(row)
    return found


def _part(rows: Sequence[TaskText], part: str) -> list[Text]:
    return [row.text for row in rows if row.part == part]
