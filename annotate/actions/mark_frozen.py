"""Tie groups to their side of the split."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils.timezone import now

from annotate.models import Group


def mark_frozen(group_ids: Sequence[int]) -> None:
    """Note when a snapshot first held these groups: from then on their split never changes."""
    for start in range(0, len(group_ids), 500):
        Group.objects.filter(pk__in=group_ids[start : start + 500], frozen_at=None).update(frozen_at=now())
