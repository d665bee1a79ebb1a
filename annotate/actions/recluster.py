"""What a decision about a text means for the near duplicates around it (`cleaning.md` 4.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from django.db import transaction
from django.utils.timezone import now

from annotate.actions.flag_texts import TableIndex, ask_about, flag_of, link, salt
from annotate.cleaning.duplicates import NAME, Entry, Near, keys_of, neighbours, place, shelve
from annotate.cleaning.thresholds import Thresholds
from annotate.models import Band, Flag, Project, Queue, Slot, Task, Text


@transaction.atomic
def stand_alone(text: Text) -> int:
    """A member that is kept represents itself from now on; how many texts are near it beside its old representative.

    Later copies of it are found. What is near it now is flagged, and stays a representative until somebody decides.
    """
    project = _locked(text)
    if text.cluster_id is None:
        return 0
    limits = Thresholds.of(project.settings)
    entry = _entry(text, never=frozenset([text.cluster_id]))
    index = TableIndex()
    nears = neighbours(entry, index=index, limit=limits.near_duplicate)
    index.take(shelve([entry], index=index))
    Text.objects.filter(pk=text.pk).update(cluster=None)
    text.cluster = None
    others = {other.pk: other for other in Text.objects.filter(pk__in=[near.text for near in nears])}
    _flag(nears, others)
    ask_about(list(others.values()), project=project, limits=limits)
    return len(nears)


@transaction.atomic
def step_down(text: Text) -> int:
    """A representative that is rejected hands over to its nearest undecided member; how many such members it had.

    It leaves the index. The other members are verified against the new representative, or represent themselves.
    """
    project = _locked(text)
    if text.cluster_id is not None:
        return 0
    Band.objects.filter(key__in=keys_of([_entry(text)])[0], text=text).delete()
    members = {member.pk: member for member in _undecided(text)}
    index = TableIndex()
    limit = Thresholds.of(project.settings).near_duplicate
    placed = place([_entry(member) for member in members.values()], index=_Empty(), limit=limit)
    alone = members.keys() - {near.text for near in placed.near}
    Text.objects.filter(pk__in=members).update(cluster=None)
    link(placed.near)
    _flag(placed.near, members)
    index.take(shelve([_entry(members[pk]) for pk in sorted(alone)], index=index))
    Flag.objects.live().filter(text_id__in=alone, detector=NAME).update(retired_at=now())
    _withdraw(alone)
    return len(members)


class _Empty:
    """An index that knows nobody: its texts meet each other only."""

    def candidates(self, keys: Sequence[int]) -> Mapping[int, Sequence[int]]:
        return {}

    def bodies(self, ids: Sequence[int]) -> Mapping[int, str]:
        return {}


def _locked(text: Text) -> Project:
    return Project.objects.select_for_update(no_key=True).get(pk=text.project_id)


def _entry(text: Text, *, never: frozenset[int] = frozenset()) -> Entry:
    return Entry(id=text.pk, body=text.body, salt=salt(text), never=never)


def _undecided(text: Text) -> list[Text]:
    """Its members that nobody has decided on, the nearest first."""
    decided = Task.objects.filter(queue__kind=Queue.Kind.CLEAN, state=Task.State.COMPLETE, texts__cluster=text)
    members = Text.objects.filter(cluster=text).exclude(tasks__in=decided)
    flags = Flag.objects.live().filter(text__in=members, detector=NAME)
    nearness = dict(flags.values_list("text_id", "score"))
    return sorted(members, key=lambda member: (-nearness.get(member.pk, 0.0), member.pk))


def _flag(nears: Sequence[Near], texts: Mapping[int, Text]) -> None:
    """One flag a text, which names its present representative."""
    flags = [flag_of(texts[near.text], near.finding(index=0, length=len(texts[near.text].body))) for near in nears]
    Flag.objects.bulk_create(
        flags,
        update_conflicts=True,
        unique_fields=["text", "detector", "version", "category", "start", "end"],
        update_fields=["score", "reason", "evidence", "retired_at"],
    )


def _withdraw(ids: set[int]) -> None:
    """Tasks about texts without a live flag are void, unless somebody holds or has answered them."""
    flagged = Flag.objects.live().filter(text_id__in=ids).values_list("text_id", flat=True)
    tasks = Task.objects.filter(
        queue__kind=Queue.Kind.CLEAN,
        state__in=[Task.State.HELD, Task.State.ADMITTED],
        task_texts__text_id__in=ids - set(flagged),
    ).exclude(slots__status__in=[Slot.Status.LEASED, Slot.Status.DONE])
    idle = list(tasks.values_list("pk", flat=True))
    Slot.objects.filter(task_id__in=idle).update(status=Slot.Status.VOID)
    Task.objects.filter(pk__in=idle).update(state=Task.State.VOID)
