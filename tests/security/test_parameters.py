"""Queries and bodies that try to reach past what is named (`spec/security.md` 5, 6)."""

import pytest

from annotate.models import Membership, Project
from rlhf.models import Run, Snapshot
from tests.api import Caller


@pytest.mark.parametrize(
    "query",
    ["author__password__startswith=a", "ordering=author__password", "expand=author", "search_fields=author__password"],
)
@pytest.mark.parametrize("path", ["texts/", "judgements/", "runs/", "members/"])
def test_CVE_2023_47117_no_filter_walks_through_relations(ada, project, path, query):
    problem = Caller(ada).get(f"{path}?project={project.uuid}&{query}", expect=400)
    assert problem["code"] == "unknown_field"


@pytest.mark.parametrize(
    "config",
    [{"__class__": "os.system"}, {"model.path": "/etc"}, {"trust_remote_code": True}, {"callbacks": ["os.system"]}],
)
def test_CVE_2024_40442_a_run_config_takes_known_fields_only(ada, project, config):
    body = {"project": str(project.uuid), "stage": "pretrain", "preset": "smoke", "inputs": {}, "config": config}
    Caller(ada).post("runs/", body, expect=400)
    assert not Run.objects.exists()


def test_CVE_2024_40442_snapshot_settings_take_known_names_only(ada, project):
    body = {"project": str(project.uuid), "kind": "corpus", "settings": {"author__password": "a"}}
    assert Caller(ada).post("snapshots/", body, expect=400)["code"] == "bad_settings"
    assert not Snapshot.objects.exists()


@pytest.mark.parametrize("name", ["split_seed", "id", "uuid", "memberships"])
def test_a_project_takes_known_names_only(ada, project, name):
    assert Caller(ada).patch(f"projects/{project.uuid}/", {name: 1}, expect=400)["code"] == "unknown_field"


def test_the_object_says_which_project_counts_not_the_query(ana, project, other_project):
    path = f"projects/{other_project.uuid}/?project={project.uuid}"
    assert Caller(ana).get(path, expect=400)["code"] == "unknown_field"


def test_the_body_cannot_name_a_foreign_project(ada, project, other_project):
    body = {"project": str(other_project.uuid), "body": "1. Mine."}
    assert Caller(ada).post("guidelines/", body, expect=404)["code"] == "not_found"


def test_a_run_reads_nothing_of_another_project(eve, ada, project, other_project):
    foreign = Snapshot.objects.create(project=project, number=1, kind="corpus", state="frozen", created_by=ada)
    body = {
        "project": str(other_project.uuid),
        "stage": "pretrain",
        "preset": "smoke",
        "inputs": {"corpus": str(foreign.uuid)},
        "config": {"seed": 1},
    }
    assert Caller(eve).post("runs/", body, expect=404)["code"] == "wrong_input"
    assert not Run.objects.exists()


@pytest.mark.parametrize("body", [[], {"ids": []}, {"id": None}, None])
def test_a_delete_takes_no_list(ada, rex, project, body):
    member = Membership.objects.get(project=project, user=rex)
    assert Caller(ada).ask("DELETE", "members/", body).status_code == 405
    assert Membership.objects.filter(pk=member.pk).exists()


def test_CVE_2026_23526_nobody_makes_themselves_superuser(ada, project):
    for name in ("is_superuser", "is_staff", "groups"):
        Caller(ada).patch("me/", {name: True}, expect=400)
    Caller(ada).post("projects/", {"name": "New"}, expect=403)
    assert Project.objects.count() == 1


def test_CVE_2024_10044_no_address_takes_a_worker(ada, project):
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert Caller(ada).ask(method, "workers/", {"address": "http://x"}).status_code == 405
