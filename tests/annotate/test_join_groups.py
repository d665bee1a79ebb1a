"""Two groups become one, whose split is the older's unless a snapshot has frozen it."""

import pytest

from annotate.actions.join_groups import join_groups
from annotate.models import Group, Text


@pytest.fixture
def pair_of_groups(project):
    groups = [
        Group.objects.create(project=project, first_sha256=str(nth), split=split)
        for nth, split in enumerate(("train", "heldout"))
    ]
    for group in groups:
        own = {"kind": "document", "origin": "import", "body": "x", "sha256": group.first_sha256}
        Text.objects.create(project=project, group=group, **own)
    return groups


def splits() -> list[str]:
    return list(Text.objects.order_by("pk").values_list("group__split", flat=True))


def test_joined_groups_take_the_split_of_the_older(pair_of_groups):
    older, newer = pair_of_groups
    assert join_groups(newer, older).pk == older.pk
    assert splits() == ["train", "train"]


def test_the_split_of_a_frozen_group_holds(pair_of_groups, project):
    older, newer = pair_of_groups
    Group.objects.filter(pk=newer.pk).update(frozen_at=project.created_at)
    assert join_groups(older, newer).pk == newer.pk
    assert splits() == ["heldout", "heldout"]


def test_two_frozen_groups_with_different_splits_stay_apart(pair_of_groups, project):
    Group.objects.update(frozen_at=project.created_at)
    join_groups(*pair_of_groups)
    assert splits() == ["train", "heldout"]
