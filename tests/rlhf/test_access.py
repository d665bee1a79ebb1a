"""Who may see a snapshot, a run, a model; and who may act on it."""

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404

from annotate.models import Membership, Role
from rlhf.access import model_for, run_for, snapshot_for
from tests.rlhf.conftest import make_model


@pytest.fixture(params=["snapshot", "run", "model"])
def thing(request, run, corpus, project, tmp_path):
    """(the function that fetches it, its uuid)"""
    if request.param == "snapshot":
        return snapshot_for, corpus.uuid
    if request.param == "run":
        return run_for, run.uuid
    return model_for, make_model(project, tmp_path).uuid


def test_the_role_may(thing, ada):
    fetch, uuid = thing
    assert fetch(ada, uuid, role=Role.ADMIN).uuid == uuid


def test_any_of_the_roles_may(thing, rex):
    fetch, uuid = thing
    assert fetch(rex, uuid, role=(Role.REVIEWER, Role.ADMIN)).uuid == uuid


def test_a_member_without_the_role_may_not(thing, ana):
    fetch, uuid = thing
    with pytest.raises(PermissionDenied):
        fetch(ana, uuid, role=(Role.REVIEWER, Role.ADMIN))


def test_who_belongs_elsewhere_does_not_know_of_it(thing, eve, other_project):
    fetch, uuid = thing
    with pytest.raises(Http404):
        fetch(eve, uuid)


def test_who_was_removed_a_moment_ago_does_not_know_of_it(thing, ada):
    fetch, uuid = thing
    Membership.objects.filter(user=ada).delete()
    with pytest.raises(Http404):
        fetch(ada, uuid)
