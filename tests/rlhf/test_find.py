"""Go to, do, find: what words find, by role."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from tests.rlhf.conftest import make_model, text_of
from tests.rlhf.filled import make_run

pytestmark = pytest.mark.django_db


def found_by(client: Client, project, q: str) -> dict[str, list[str]]:
    headers = {"Accept": "application/json"}
    found = client.get(reverse("find", args=[project.uuid]), {"q": q}, headers=headers).json()
    return {name: [one["label"] for one in items] for name, items in found.items()}


def test_words_find_what_a_reader_may_open(as_rex, project, filled):
    assert found_by(as_rex, project, "ppo run")["find"] == ["PPO run 7", "PPO run 5"]
    assert found_by(as_rex, project, "reward mod")["find"][0] == "reward model"


def test_an_assessor_finds_no_run_model_or_snapshot(as_ana, project, filled):
    names = [str(one) for one in [*filled.models.values(), *filled.snapshots.values()]]
    assert [found_by(as_ana, project, name)["find"] for name in [*names, "PPO run"]] == [[]] * (len(names) + 1)


def test_what_can_be_done_is_what_the_roles_allow(as_ada, as_ana, project):
    assert found_by(as_ana, project, "")["do"] == ["Start: Write answers", "Start: Rank answers"]
    assert "Import a file" in found_by(as_ada, project, "import")["do"]


def test_a_start_that_was_found_is_a_form(as_ana, project):
    queue = project.queues.get(kind="rank")
    page = text_of(as_ana.get(reverse("find", args=[project.uuid]), {"q": "start rank"}))
    assert f'<form method="post" action="{reverse("start", args=[queue.uuid])}">' in page


def test_finding_costs_the_same_with_thirty_runs(as_ada, project, ada, tmp_path, django_assert_max_num_queries):
    url = reverse("find", args=[project.uuid])
    with django_assert_max_num_queries(20) as one:
        as_ada.get(url, {"q": "run"})
    for _ in range(30):
        make_run(project, ada, stage="sft", state="finished", inputs={}, final={})
        make_model(project, tmp_path, kind="base")
    with django_assert_max_num_queries(20) as thirty:
        as_ada.get(url, {"q": "run"})
    assert len(thirty) == len(one)
