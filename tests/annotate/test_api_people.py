"""Projects, members, guidelines and me at the API."""

import pytest

from annotate.models import Guideline, Membership, Project, Token
from tests.api import Caller, program


def test_me_names_my_roles(ana, project):
    found = Caller(ana).get("me/")
    assert found["memberships"] == [{"project": str(project.uuid), "name": "Docs", "role": "assessor"}]


@pytest.mark.parametrize("name", ["is_superuser", "is_staff", "groups", "scripted", "name"])
def test_nobody_changes_what_they_are(ana, name):
    assert Caller(ana).patch("me/", {name: True}, expect=400)["code"] == "unknown_field"


def test_i_may_choose_my_theme(ana):
    assert Caller(ana).patch("me/", {"theme": "dark"})["theme"] == "dark"


def test_a_superuser_begins_a_project_with_its_queues_and_is_its_admin(ada):
    ada.is_superuser = True
    ada.save(update_fields=["is_superuser"])
    made = Caller(ada).post("projects/", {"name": "Prose"}, expect=201)
    project = Project.objects.get(uuid=made["id"])
    assert project.memberships.get().role == "admin"
    assert {queue.kind for queue in project.queues.all()} == {"clean", "write_answer", "review_answer", "rank"}


def test_projects_of_others_are_not_listed(ana, project, other_project):
    assert [row["name"] for row in Caller(ana).get("projects/")["results"]] == ["Docs"]


def test_a_setting_is_a_limit_of_a_detector(ada, project):
    changed = Caller(ada).patch(f"projects/{project.uuid}/", {"settings": {"min_words": 3}})
    assert changed["settings"] == {"min_words": 3}


@pytest.mark.parametrize(
    "settings", [{"split_seed": 1}, {"__class__": 1}, {"min_words": "many"}, {"near_duplicate": 2}, {"min_words": -1}]
)
def test_another_setting_is_refused(ada, project, settings):
    Caller(ada).patch(f"projects/{project.uuid}/", {"settings": settings}, expect=400)
    project.refresh_from_db()
    assert project.settings == {}


def test_a_project_that_changed_meanwhile_is_not_overwritten(ada, project):
    caller = Caller(ada)
    seen = caller.ask("GET", f"projects/{project.uuid}/")["ETag"]
    caller.patch(f"projects/{project.uuid}/", {"name": "Papers"}, **{"If-Match": seen})
    problem = caller.patch(f"projects/{project.uuid}/", {"name": "Prose"}, expect=412, **{"If-Match": seen})
    assert problem["code"] == "changed"


def test_an_admin_gives_and_takes_a_role(ada, eve, project):
    caller = Caller(ada)
    member = caller.post("members/", {"project": str(project.uuid), "name": "eve", "role": "assessor"}, expect=201)
    assert eve.roles(project) == {"assessor"}
    caller.delete(f"members/{member['id']}/")
    assert eve.roles(project) == set()


def test_a_name_that_nobody_has_is_refused(ada, project):
    body = {"project": str(project.uuid), "name": "zoe", "role": "assessor"}
    assert Caller(ada).post("members/", body, expect=400)["code"] == "no_person"


def test_nobody_raises_themselves(ada, project):
    body = {"project": str(project.uuid), "name": "ada", "role": "reviewer"}
    assert Caller(ada).post("members/", body, expect=403)["code"] == "own_role"


def test_the_last_admin_stays(ada, project):
    member = Membership.objects.get(project=project, user=ada)
    assert Caller(ada).delete(f"members/{member.uuid}/", expect=409)["code"] == "last_admin"


def test_a_reviewer_adds_no_admin(rex, project):
    body = {"project": str(project.uuid), "name": "ana", "role": "admin"}
    assert Caller(rex).post("members/", body, expect=403)["code"] == "not_allowed"


def test_a_role_taken_a_moment_ago_is_gone(rex, project):
    caller = Caller(rex)
    caller.get(f"texts/?project={project.uuid}")
    Membership.objects.filter(user=rex).delete()
    assert caller.get(f"texts/?project={project.uuid}", expect=404)["code"] == "not_found"


def test_each_guideline_is_a_new_version(ada, project):
    caller = Caller(ada)
    for body in ("1. Be kind.", "1. Be kinder."):
        caller.post("guidelines/", {"project": str(project.uuid), "body": body}, expect=201)
    rows = caller.get(f"guidelines/?project={project.uuid}")["results"]
    assert [row["version"] for row in rows] == [2, 1]
    assert Guideline.objects.count() == 2


def test_a_token_is_shown_once(ana):
    caller = Caller(ana)
    made = caller.post("tokens/", {"name": "script", "scopes": ["read"], "days": 7}, expect=201)
    assert made["key"].startswith("ts_")
    assert len(made["key"]) == 46
    (listed,) = caller.get("tokens/")["results"]
    assert "key" not in listed
    assert Token.objects.get().sha256 == Token.digest(made["key"])


def test_a_token_makes_no_token(ana):
    body = {"name": "more", "scopes": ["manage"], "days": 7}
    assert program(ana).post("tokens/", body, expect=403)["code"] == "sign_in_needed"
    assert Token.objects.count() == 1


@pytest.mark.parametrize("days", [0, 367, -1, "long"])
def test_a_token_without_an_end_in_sight_is_refused(ana, days):
    Caller(ana).post("tokens/", {"name": "t", "scopes": ["read"], "days": days}, expect=400)
    assert not Token.objects.exists()
