"""Each stage's page explains its stage."""

from __future__ import annotations

import pytest
from django.urls import reverse

from annotate.learning import texts
from annotate.models import Queue, Text
from annotate.templatetags import names
from rlhf.models import Model, Run, Snapshot
from rlhf.templatetags.words import lesson
from tests.rlhf.conftest import text_of

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("code", [*Run.Stage.values, *Snapshot.Kind.values, *Model.Kind.values])
def test_whatever_is_trained_or_frozen_has_its_lesson(code):
    assert lesson(code) in texts.STAGES


@pytest.mark.parametrize("code", [*Queue.Kind.values, *Text.Kind.values])
def test_whatever_people_judge_has_its_lesson(code):
    assert names.lesson(code) in texts.STAGES


@pytest.mark.parametrize(
    ("page", "kind", "title"),
    [
        ("snapshot", "snapshots", "Cleaning"),
        ("run", "runs", "PPO"),
        ("model", "models", "PPO"),
    ],
)
def test_an_objects_page_explains_its_stage(as_rex, filled, page, kind, title):
    name = {"snapshots": "corpus", "runs": "ppo", "models": "policy"}[kind]
    found = text_of(as_rex.get(reverse(page, args=[getattr(filled, kind)[name].uuid])))
    assert f'<h2 id="explain-head" tabindex="-1">{title}</h2>' in found


@pytest.mark.parametrize(
    ("page", "more", "title"),
    [
        ("data", [], "Collecting"),
        ("import-new", [], "Collecting"),
        ("snapshots", [], "Collecting"),
        ("snapshot-new", ["sft"], "Instruction tuning"),
        ("launch", ["reward"], "Reward model"),
        ("launch", ["dpo"], "DPO"),
        ("models", [], "Evaluation"),
        ("playground", [], "Evaluation"),
    ],
)
def test_a_projects_page_explains_its_stage(as_ada, project, filled, page, more, title):
    found = text_of(as_ada.get(reverse(page, args=[project.uuid, *more])))
    assert f'<h2 id="explain-head" tabindex="-1">{title}</h2>' in found


def test_a_drawer_without_numbers_costs_no_query(as_ada, ada, project, filled, django_assert_max_num_queries):
    url = reverse("launch", args=[project.uuid, "ppo"])
    with django_assert_max_num_queries(40) as basic:
        as_ada.get(url)
    ada.explain_depth = "detailed"
    ada.save(update_fields=["explain_depth"])
    with django_assert_max_num_queries(40) as detailed:
        as_ada.get(url)
    assert len(basic) == len(detailed)
