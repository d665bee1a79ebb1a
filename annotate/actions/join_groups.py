"""Put two groups of texts on one side of the split."""

from __future__ import annotations

from django.db import transaction

from annotate.models import Group, Text


@transaction.atomic
def join_groups(one: Group, other: Group) -> Group:
    """The group that now holds the texts of both; a frozen one's split holds, else the older one's.

    Two frozen groups with different splits stay apart: then one comes back as it was.
    """
    first, second = sorted((_root(one), _root(other)), key=lambda group: (group.frozen_at is None, group.pk))
    if first.pk == second.pk:
        return first
    if second.frozen_at is not None and first.split != second.split:
        return _root(one)
    Text.objects.filter(group=second).update(group=first)
    Group.objects.filter(joined_into=second).update(joined_into=first)
    Group.objects.filter(pk=second.pk).update(joined_into=first, split=first.split)
    return first


def _root(group: Group) -> Group:
    """The group that this one was joined into; joining keeps such chains one step long."""
    fresh = Group.objects.select_related("joined_into").get(pk=group.pk)
    return fresh.joined_into or fresh
