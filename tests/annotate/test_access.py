"""Who may: the cast before each door."""

import uuid

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404

from annotate import access
from annotate.actions.add_member import add_member
from annotate.actions.create_project import create_project
from annotate.actions.create_token import create_token
from annotate.actions.remove_member import remove_member
from annotate.errors import AnnotateError
from annotate.models import Membership, Role, Slot, Token
from annotate.queue import claim

from .conftest import answer, ask_to_clean, leased, make_document


def test_a_member_sees_the_project(project, ana):
    assert access.project_for(ana, project.uuid) == project


def test_a_stranger_does_not_know_of_the_project(project, eve, other_project):
    with pytest.raises(Http404):
        access.project_for(eve, project.uuid)


def test_a_project_that_never_was_is_answered_alike(ana, project):
    with pytest.raises(Http404):
        access.project_for(ana, uuid.uuid4())


def test_a_member_without_the_role_is_refused(project, ana):
    with pytest.raises(PermissionDenied):
        access.project_for(ana, project.uuid, role=Role.ADMIN)


def test_one_of_several_roles_is_enough(project, rex):
    assert access.project_for(rex, project.uuid, role=(Role.REVIEWER, Role.ADMIN)) == project


def test_a_role_that_was_taken_a_second_ago_is_gone(project, ada, rex):
    Membership.objects.filter(user=rex).delete()
    with pytest.raises(Http404):
        access.project_for(rex, project.uuid)


@pytest.mark.parametrize(
    ("kind", "may"),
    [
        ("clean", {"rex"}),
        ("review_answer", {"rex"}),
        ("write_answer", {"rex", "ana"}),
        ("rank", {"rex", "ana"}),
    ],
)
def test_each_kind_of_work_has_its_people(project, ada, rex, ana, kind, may):
    queue = project.queues.get(kind=kind)
    assert {user.name for user in (ada, rex, ana) if access.may_work(user, queue)} == may


def test_an_admin_without_a_second_role_takes_no_tasks(project, ranking, ada):
    with pytest.raises(PermissionDenied):
        access.work_for(ada, ranking.uuid)


def test_a_slot_is_its_holders(task, ana, abe):
    slot = leased(task.queue, ana)
    assert access.slot_for(ana, slot.uuid) == slot
    with pytest.raises(Http404):
        access.slot_for(abe, slot.uuid)


def test_who_lost_a_slot_still_reaches_it(task, ana, abe):
    slot = leased(task.queue, ana)
    Slot.objects.filter(pk=slot.pk).update(lease_until="2020-01-01T00:00Z")
    leased(task.queue, abe)
    assert access.slot_for(ana, slot.uuid) == slot


def test_who_lost_the_role_does_not(task, ana):
    slot = leased(task.queue, ana)
    Membership.objects.filter(user=ana).update(role=Role.ADMIN)
    with pytest.raises(PermissionDenied):
        access.slot_for(ana, slot.uuid)


def test_anothers_judgement_is_for_reviewers_only(task, ana, abe, rex):
    judgement = answer(task.queue, ana, {"groups": [["A", "B", "C", "D"]]}).judgement
    assert access.judgement_for(ana, judgement.uuid) == judgement
    assert access.judgement_for(rex, judgement.uuid) == judgement
    with pytest.raises(Http404):
        access.judgement_for(abe, judgement.uuid)


def test_a_foreign_text_is_not_known(project, eve, other_project):
    with pytest.raises(Http404):
        access.text_for(eve, make_document(project, "Ours.").uuid)


def test_a_new_project_has_its_maker_as_admin_and_four_queues(eve):
    made = create_project(name="Mine", by=eve)
    assert eve.roles(made) == {"admin"}
    assert set(made.queues.values_list("kind", flat=True)) == {"clean", "write_answer", "review_answer", "rank"}


def test_the_last_admin_stays(project, ada):
    with pytest.raises(AnnotateError) as refusal:
        remove_member(membership=ada.memberships.get(), by=ada)
    assert refusal.value.code == "last_admin"
    assert ada.roles(project) == {"admin"}


def test_nobody_takes_their_own_role_away(project, ada, rex):
    add_member(project=project, user=rex, role=Role.ADMIN, by=ada)
    with pytest.raises(AnnotateError) as refusal:
        remove_member(membership=ada.memberships.get(), by=ada)
    assert refusal.value.code == "own_role"


def test_nobody_gives_themselves_a_role(project, ada):
    with pytest.raises(AnnotateError) as refusal:
        add_member(project=project, user=ada, role=Role.REVIEWER, by=ada)
    assert refusal.value.code == "own_role"
    assert ada.roles(project) == {"admin"}


def test_who_leaves_hands_their_tasks_back(project, cleaning, ada, rex):
    ask_to_clean(cleaning, make_document(project, "A document."))
    claim(cleaning, rex)
    remove_member(membership=rex.memberships.get(), by=ada)
    assert Slot.objects.get().status == "open"


def test_a_key_is_stored_as_its_hash_only(ana):
    token, key = create_token(user=ana, name="laptop", scopes=["annotate"], days=30)
    assert key.startswith("ts_")
    assert len(key) == 46
    assert token.sha256 == Token.digest(key)
    assert key not in str(Token.objects.filter(pk=token.pk).values())


@pytest.mark.parametrize("bad", [{"scopes": ["root"]}, {"scopes": []}, {"days": 0}, {"days": 367}, {"name": " "}])
def test_a_token_that_is_none_is_refused(ana, bad):
    with pytest.raises(AnnotateError) as refusal:
        create_token(user=ana, **{"name": "laptop", "scopes": ["read"], "days": 30} | bad)
    assert refusal.value.facts["field"] == next(iter(bad))
    assert not Token.objects.exists()
