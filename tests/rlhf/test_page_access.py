"""Who sees which page, and what the navigation offers them; what lists cost."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from annotate.actions.build_tasks import TaskItem
from annotate.models import Queue, Role, TaskText
from rlhf.models import Snapshot
from tests.annotate.conftest import build, make_document, rank_item
from tests.rlhf.conftest import make_model, make_snapshot, text_of
from tests.rlhf.filled import make_run, write_metrics

pytestmark = pytest.mark.django_db


PROJECT_PAGES = ["snapshots", "runs", "models", "playground"]


@pytest.mark.parametrize("name", PROJECT_PAGES)
def test_lists_are_closed_to_assessors(as_ana, project, name):
    assert as_ana.get(reverse(name, args=[project.uuid])).status_code == 403


@pytest.mark.parametrize("name", PROJECT_PAGES)
def test_lists_are_open_to_reviewers(as_rex, project, filled, name):
    assert as_rex.get(reverse(name, args=[project.uuid])).status_code == 200


@pytest.mark.parametrize("tab", ["overview", "samples", "log", "config", "lineage"])
def test_each_tab_of_a_run_is_open_to_reviewers(as_rex, filled, tab):
    assert as_rex.get(reverse("run", args=[filled.runs["running"].uuid]), {"tab": tab}).status_code == 200


def test_a_reviewer_cannot_launch(as_rex, project):
    assert as_rex.get(reverse("launch", args=[project.uuid, "pretrain"])).status_code == 403


def test_a_reviewer_cannot_freeze(as_rex, project):
    assert as_rex.post(reverse("snapshot-new", args=[project.uuid, "corpus"])).status_code == 403
    assert not Snapshot.objects.exists()


def test_a_reviewer_cannot_cancel(as_rex, filled):
    run = filled.runs["running"]
    assert as_rex.post(reverse("run-cancel", args=[run.uuid])).status_code == 403
    run.refresh_from_db()
    assert run.cancel_requested_at is None


def test_an_assessors_home_names_no_model_and_links_to_no_run(as_ana, project, filled):
    page = text_of(as_ana.get(reverse("project-home", args=[project.uuid])))
    assert not any(model.name in page for model in filled.models.values())
    assert "/runs/" not in page
    assert "/models/" not in page


def test_an_assessors_home_shows_no_number_of_a_model(as_ana, project, filled):
    assert "0.812" not in text_of(as_ana.get(reverse("project-home", args=[project.uuid])))


def test_a_reviewers_home_shows_the_reward_models_accuracy(as_rex, project, filled):
    assert "0.812" in text_of(as_rex.get(reverse("project-home", args=[project.uuid])))


def test_home_of_someone_in_no_project_says_who_can_change_that(client, eve):
    client.force_login(eve)
    assert "An admin of a project can add you" in text_of(client.get("/"))


def test_the_navigation_leaves_out_what_an_assessor_may_not_open(as_ana, project):
    labels = [entry["url"] for group in as_ana.get("/").context["navigation"] for entry in group["entries"]]
    assert reverse("runs", args=[project.uuid]) not in labels
    assert reverse("work", args=[project.uuid]) in labels


def test_the_navigation_counts_only_the_work_that_the_person_may_take(as_ana, as_rex, project):
    flagged = TaskItem(texts=[(make_document(project, "Write to ada@home.org."), TaskText.Part.DOCUMENT.value)])
    build(project.queues.get(kind=Queue.Kind.CLEAN), flagged)
    build(project.queues.get(kind=Queue.Kind.RANK), rank_item(project, ["One.", "Two."]))
    assert [work_count(client, project) for client in (as_ana, as_rex)] == [1, 2]


def work_count(client, project):
    entries = [entry for group in client.get("/").context["navigation"] for entry in group["entries"]]
    return next(entry["count"] for entry in entries if entry["url"] == reverse("work", args=[project.uuid]))


def test_the_navigation_of_an_object_is_that_of_its_project(client, ada, project, other_project, filled, eve):
    other_project.memberships.create(user=ada, role=Role.ADMIN)
    client.force_login(ada)
    response = client.get(reverse("run", args=[filled.runs["sft"].uuid]))
    assert response.context["project"] == project


def queries_of(client: Client, url: str, counter) -> int:
    with counter(1_000, exact=False) as seen:
        assert client.get(url).status_code == 200
    return len(seen)


@pytest.mark.parametrize("name", ["project-home", "snapshots", "runs", "models"])
def test_a_list_of_thirty_costs_what_a_list_of_one_costs(
    as_ada, project, ada, tmp_path, name, django_assert_max_num_queries
):
    def more() -> None:
        snapshot = make_snapshot(project, ada, tmp_path)
        run = make_run(project, ada, stage="pretrain", state="finished", inputs={"corpus": snapshot}, final={})
        make_run(project, ada, stage="pretrain", state="running", inputs={"corpus": snapshot}, final={})
        make_model(project, tmp_path, run=run)

    url = reverse(name, args=[project.uuid])
    more()
    with django_assert_max_num_queries(20) as one:
        as_ada.get(url)
    for _ in range(29):
        more()
    with django_assert_max_num_queries(20) as thirty:
        as_ada.get(url)
    assert len(thirty) == len(one)


def test_a_runs_page_costs_the_same_with_many_points(as_ada, filled, django_assert_max_num_queries):
    url = reverse("run", args=[filled.runs["running"].uuid])
    with django_assert_max_num_queries(20) as few:
        as_ada.get(url)
    write_metrics(filled.runs["running"], steps=200, start=13)
    with django_assert_max_num_queries(20) as many:
        as_ada.get(url)
    assert len(many) == len(few)
