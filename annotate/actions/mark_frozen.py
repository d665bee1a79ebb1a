"""Note what a snapshot holds: groups, which are tied to their side of the split, and answers."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Q
from django.utils.timezone import now

from annotate.models import Group, Judgement


def mark_frozen(group_ids: Sequence[int]) -> None:
    """Note when a snapshot first held these groups: from then on their split never changes."""
    for start in range(0, len(group_ids), 500):
        Group.objects.filter(pk__in=group_ids[start : start + 500], frozen_at=None).update(frozen_at=now())


def mark_answers_frozen(revision_uuids: Sequence[str]) -> None:
    """Note when a snapshot last held an answer: of these versions, and what a person wrote for a review among them."""
    for start in range(0, len(revision_uuids), 500):
        held = Judgement.objects.filter(revisions__uuid__in=revision_uuids[start : start + 500])
        written = held.filter(task__follows__isnull=False).values("task__follows")
        Judgement.objects.filter(Q(pk__in=held.values("pk")) | Q(pk__in=written)).update(frozen_at=now())
