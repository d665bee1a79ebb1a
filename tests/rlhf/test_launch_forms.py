"""The forms that launch a run and freeze a snapshot: good and bad input, nothing lost, nothing queued by mistake."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from rlhf.models import Run, Snapshot
from tests.annotate.conftest import make_document, make_prompt
from tests.rlhf.conftest import make_snapshot, text_of

pytestmark = pytest.mark.django_db


def fields(response) -> dict[str, str]:
    """Every field of the page with its value, as a browser would send it."""
    page = text_of(response)
    found = dict(re.findall(r'<input class="input"[^>]* name="([^"]+)"[^>]* value="([^"]*)"', page))
    for name, options in re.findall(r'<select[^>]* name="([^"]+)"[^>]*>(.*?)</select>', page, re.S):
        chosen = re.search(r'<option(?: value="([^"]*)")? selected>([^<]*)', options)
        first = re.search(r'<option(?: value="([^"]*)")?>([^<]*)', options)
        match = chosen or first
        found[name] = (match[1] if match[1] is not None else match[2]) if match else ""
    return found


def test_a_form_sent_as_it_came_queues_a_run_of_the_preset(as_ada, project, ada, tmp_path):
    make_snapshot(project, ada, tmp_path)
    url = reverse("launch", args=[project.uuid, "pretrain"])
    sent = fields(as_ada.get(url, {"preset": "smoke"})) | {"preset": "smoke"}
    response = as_ada.post(url, sent)
    run = Run.objects.get()
    assert response.url == reverse("run", args=[run.uuid])
    assert (run.config["max_steps"], run.config["batch_tokens"], run.config["size"]) == (20, 1_536, "nano")


def test_a_value_out_of_range_is_refused_with_what_is_allowed(as_ada, project, ada, tmp_path):
    make_snapshot(project, ada, tmp_path)
    url = reverse("launch", args=[project.uuid, "pretrain"])
    sent = fields(as_ada.get(url)) | {"preset": "demo", "epochs": "101", "fim_share": "0.3"}
    response = as_ada.post(url, sent)
    assert response.status_code == 422
    assert "epochs is 101; allowed: a whole number, 1 to 100." in text_of(response)
    assert not Run.objects.exists()


def test_nothing_typed_is_lost_when_a_run_is_refused(as_ada, project, ada, tmp_path):
    make_snapshot(project, ada, tmp_path)
    url = reverse("launch", args=[project.uuid, "pretrain"])
    sent = fields(as_ada.get(url)) | {"preset": "demo", "epochs": "many", "fim_share": "0.3"}
    assert fields(as_ada.post(url, sent)) | {"preset": "demo"} == sent


def test_a_missing_snapshot_is_named_before_anything_is_queued(as_ada, project):
    response = as_ada.post(reverse("launch", args=[project.uuid, "pretrain"]), {"preset": "demo", "seed": "1"})
    assert response.status_code == 422
    assert "corpus is missing" in text_of(response)


def test_a_snapshot_of_another_project_cannot_be_chosen(as_ada, project, other_project, eve, tmp_path):
    foreign = make_snapshot(other_project, eve, tmp_path)
    sent = {"preset": "demo", "seed": "1", "input-corpus": str(foreign.uuid)}
    assert as_ada.post(reverse("launch", args=[project.uuid, "pretrain"]), sent).status_code == 422


@pytest.mark.parametrize("stage", Run.Stage.values)
def test_each_stage_has_a_form_with_a_few_main_fields(as_ada, project, stage):
    response = as_ada.get(reverse("launch", args=[project.uuid, stage]))
    assert response.status_code == 200
    assert 3 <= len(response.context["main"]) <= 6


@pytest.mark.parametrize("stage", Run.Stage.values)
def test_a_form_asks_for_each_field_of_the_config_once(as_ada, filled, project, stage):
    context = as_ada.get(reverse("launch", args=[project.uuid, stage])).context
    names = [one.field.name for one in [*context["main"], *context["advanced"]]]
    assert len(names) == len(set(names))
    assert "base_sha256" not in names


def test_a_flag_that_is_switched_off_reaches_the_config(as_ada, project, filled):
    url = reverse("launch", args=[project.uuid, "ppo"])
    sent = fields(as_ada.get(url, {"preset": "smoke"})) | {"preset": "smoke", "whiten_rewards": "true"}
    as_ada.post(url, sent)
    assert Run.objects.latest("pk").config["whiten_rewards"] is True


def test_freezing_shows_first_what_would_be_frozen(as_ada, project):
    response = as_ada.get(reverse("snapshot-new", args=[project.uuid, "prompt"]), {"train": "5", "heldout": "2"})
    assert response.context["preview"]["train"] == 0
    assert not Snapshot.objects.exists()


def test_a_number_that_is_none_freezes_nothing(as_ada, project):
    url = reverse("snapshot-new", args=[project.uuid, "prompt"])
    response = as_ada.post(url, {"train": "lots", "heldout": "2"})
    assert response.status_code == 422
    assert "lots was found; allowed: a whole number, 0 to 100,000." in text_of(response)
    assert not Snapshot.objects.exists()


def test_texts_without_a_licence_are_counted_once_they_are_wanted(as_ada, project):
    make_document(project, "A document that stays.", licence="unknown")
    url = reverse("snapshot-new", args=[project.uuid, "corpus"])
    without, within = as_ada.get(url), as_ada.get(url, {"unknown_licence": "1"})
    assert [one.context["preview"]["train"] + one.context["preview"]["heldout"] for one in (without, within)] == [0, 1]


def test_freezing_leads_to_the_snapshots_page(as_ada, project, broker):
    make_prompt(project)
    url = reverse("snapshot-new", args=[project.uuid, "prompt"])
    response = as_ada.post(url, {"train": "5", "heldout": "2"})
    snapshot = Snapshot.objects.get()
    assert response.url == reverse("snapshot", args=[snapshot.uuid])
    assert snapshot.settings == {"splits": {"train": 5, "heldout": 2}}


def test_corrections_are_off_until_they_are_chosen(as_ada, project):
    address = reverse("snapshot-new", args=[project.uuid, "sft"])
    assert as_ada.get(address).context["settings"]["sources"] == ["write", "import", "better"]
    assert as_ada.get(address + "?sources=write&sources=game").context["settings"]["sources"] == ["write", "game"]


def test_a_price_on_pairs_without_a_snapshot_of_them_is_refused(as_ada, project, filled):
    url = reverse("launch", args=[project.uuid, "ppo"])
    sent = fields(as_ada.get(url, {"preset": "smoke"})) | {"preset": "smoke", "ptx_coef": "0.5", "input-ptx": ""}
    response = as_ada.post(url, sent)
    assert response.status_code == 422
    assert "ptx_coef is 0.5; choose an sft snapshot as ptx" in text_of(response)


def test_a_policy_can_be_asked_to_learn_from_groups_of_answers(as_ada, project, filled):
    url = reverse("launch", args=[project.uuid, "ppo"])
    sent = fields(as_ada.get(url, {"preset": "smoke"})) | {"preset": "smoke", "advantage": "rloo"}
    refused = as_ada.post(url, sent | {"samples_per_prompt": "1"})
    assert refused.status_code == 422
    assert "samples_per_prompt is 1; allowed: at least 2 with advantage rloo" in text_of(refused)
    as_ada.post(url, sent | {"samples_per_prompt": "4"})
    config = Run.objects.latest("pk").config
    assert (config["advantage"], config["samples_per_prompt"]) == ("rloo", 4)
