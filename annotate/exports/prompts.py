"""Prompts to sample answers to, as trainer.contract reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any  # rows and settings are JSON

from django.db.models import QuerySet

from annotate.exports.rows import Json, chunks, licence_of, messages_of
from annotate.exports.settings import bad_setting, settings_of
from annotate.models import Group, Project, Text


def prompt_rows(project: Project, settings: Mapping[str, Any]) -> Iterator[Json]:
    """Prompts. splits: how many of each split to take, in the order of their hashes; all where it is not given."""
    splits = _splits(settings)
    prompts = _prompts(project)
    if splits is not None:
        prompts = prompts.filter(pk__in=[pk for split, count in splits.items() for pk in _first(prompts, split, count)])
    for texts in chunks(prompts.select_related("group", "source")):
        messages = messages_of(texts)
        for text in texts:
            yield {
                "id": str(text.pk),
                "split": text.group.split,
                "messages": messages[text.pk],
                "sha256": text.sha256,
                "source": text.source.name if text.source else "",
                "licence": licence_of(text),
            }


def prompt_counts(project: Project, settings: Mapping[str, Any]) -> dict[str, int]:
    splits = _splits(settings)
    if splits is None:
        return {}
    prompts = _prompts(project)
    taken = sum(len(_first(prompts, split, count)) for split, count in splits.items())
    left = prompts.count() - taken
    return {"not_asked_for": left} if left else {}


def _prompts(project: Project) -> QuerySet[Text]:
    """Not the game's: what it asks stands in held-out paragraphs."""
    return Text.objects.prompts().filter(project=project).exclude(origin=Text.Origin.GAME)


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
