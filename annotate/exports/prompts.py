"""Prompts to sample answers to, as trainer.contract reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any  # rows and settings are JSON

from django.db.models import BigIntegerField, Exists, OuterRef, Q, QuerySet
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from annotate.exports.rows import Json, chunks, licence_of, messages_of, person_of
from annotate.exports.settings import bad_setting, settings_of
from annotate.models import Group, Project, Revision, Sighting, TaskText, Text


def prompt_rows(project: Project, settings: Mapping[str, Any]) -> Iterator[Json]:
    """Prompts. splits: how many of each split to take, in the order of their hashes; all where it is not given.

    What a person wrote counts where a reviewer accepted or edited an answer that it was written with, and that stands.
    """
    splits = _splits(settings)
    prompts = _prompts(project)
    if splits is not None:
        prompts = prompts.filter(pk__in=[pk for split, count in splits.items() for pk in _first(prompts, split, count)])
    for texts in chunks(prompts.select_related("group", "source")):
        messages, passed = messages_of(texts), _passed(texts)
        for text in texts:
            yield {
                "id": str(text.pk),
                "split": text.group.split,
                "messages": messages[text.pk],
                "sha256": text.sha256,
                "source": text.source.name if text.source else "",
                "licence": licence_of(text),
                **(_written(passed[text.pk], project) if text.pk in passed else {}),
            }


def prompt_counts(project: Project, settings: Mapping[str, Any]) -> dict[str, int]:
    splits, prompts = _splits(settings), _prompts(project)
    found = {"not_accepted": _candidates(project).count() - prompts.count()}
    if splits is not None:
        taken = sum(len(_first(prompts, split, count)) for split, count in splits.items())
        found["not_asked_for"] = prompts.count() - taken
    return {reason: count for reason, count in found.items() if count}


def _prompts(project: Project) -> QuerySet[Text]:
    """What a person wrote and an import brought again counts as the import's."""
    again = Sighting.objects.filter(text=OuterRef("pk"))
    answered = Text.objects.filter(parent=OuterRef("pk"), origin=Text.Origin.IMPORT)
    accepted = _accepted(text=OuterRef("pk"))
    return _candidates(project).filter(
        ~Q(origin=Text.Origin.HUMAN) | Exists(again) | Exists(answered) | Exists(accepted)
    )


def _candidates(project: Project) -> QuerySet[Text]:
    """Not the game's: what it asks stands in held-out paragraphs."""
    return Text.objects.prompts().filter(project=project).exclude(origin=Text.Origin.GAME)


def _accepted(**of: Any) -> QuerySet[TaskText]:  # Any: a condition on TaskText
    """Where a reviewer let an answer pass that was written with the prompt, and whose author has not taken it back."""
    said = Revision.objects.counted()
    passed = said.filter(judgement__task=OuterRef("task"), body__decision__in=["accept", "edit"])
    written = said.filter(judgement=OuterRef("task__follows")).alias(
        prompt=Cast(KT("body__prompt_id"), BigIntegerField())
    )
    shown = TaskText.objects.filter(part=TaskText.Part.PROMPT, **of)
    return shown.filter(Exists(passed), Exists(written.filter(prompt=OuterRef("text"))))


def _passed(texts: Sequence[Text]) -> dict[int, Revision]:
    """Of prompts that people wrote: the first word of a reviewer that let one pass. Two queries, none without such."""
    own = [text.pk for text in texts if text.origin == Text.Origin.HUMAN]
    if not own:
        return {}
    shown = {row.task_id: row.text_id for row in _accepted(text__in=own)}
    said = Revision.objects.counted().filter(judgement__task__in=shown).order_by("-pk")
    return {shown[one.judgement.task_id]: one for one in said.select_related("judgement__task__follows__user")}


def _written(passed: Revision, project: Project) -> Json:
    """By whom, as of an answer; the decision is the reviewer's."""
    written = passed.judgement.task.follows
    assert written is not None  # `_accepted` asks for it
    return {"source": "write", "revision": str(passed.uuid), **person_of(written.user, project)}


def _first(prompts: QuerySet[Text], split: str, count: int) -> list[int]:
    ordered = prompts.filter(group__split=split).order_by("sha256", "pk")
    return list(ordered.values_list("pk", flat=True)[:count])


def _splits(given: Mapping[str, Any]) -> dict[str, int] | None:
    splits = settings_of("prompt", given)["splits"]
    if splits is None:
        return None
    whole = isinstance(splits, dict) and all(
        isinstance(count, int) and not isinstance(count, bool) and count >= 0 for count in splits.values()
    )
    if not whole or not set(splits) <= set(Group.Split.values):
        raise bad_setting(
            "splits", f"splits is an object of {', '.join(Group.Split.values)} and how many to take of each."
        )
    return dict(splits)
