"""What the pages of runs, snapshots, models and of the playground say."""

from __future__ import annotations

import pytest
from django.urls import reverse

from rlhf.models import Run
from tests.rlhf.conftest import text_of
from tests.rlhf.filled import make_run, pause

pytestmark = pytest.mark.django_db


def test_a_snapshots_file_is_given_as_it_was_frozen(as_rex, filled):
    snapshot = filled.snapshots["sft"]
    response = as_rex.get(reverse("snapshot-file", args=[snapshot.uuid, "sft.jsonl"]))
    assert b"".join(response.streaming_content).count(b"\n") == 300


def test_a_snapshots_page_shows_its_first_rows(as_rex, filled):
    page = text_of(as_rex.get(reverse("snapshot", args=[filled.snapshots["ranking"].uuid])))
    assert "Remove any common leading whitespace" in page
    assert "Place 1" in page


def test_a_failed_run_shows_the_last_forty_lines_of_its_log(as_rex, filled):
    page = text_of(as_rex.get(reverse("run", args=[filled.runs["failed"].uuid])))
    assert "line 60 of the trainer&#x27;s log" in page
    assert "line 20 of the trainer" not in page
    assert "line 21 of the trainer" in page


def test_a_run_that_starts_says_what_it_is_expected_to_need(as_rex, filled):
    run = filled.runs["running"]
    run.progress = {"note": "estimating", "eta_s": 42, "estimate": {"memory_bytes": 534_000_000, "seconds": 42.4}}
    run.save(update_fields=["progress"])
    page = text_of(as_rex.get(reverse("run", args=[run.uuid])))
    assert "starting; about 42 s" in page
    assert "estimate: 534 MB of memory, 42 s" in page


def test_a_queued_run_without_a_worker_says_that_it_waits_for_one(as_rex, project, ada):
    run = make_run(project, ada, stage="pretrain", state="queued", inputs={}, final={})
    assert "No training worker has been started" in text_of(as_rex.get(reverse("run", args=[run.uuid])))


def test_the_table_of_a_chart_holds_the_points_of_the_chart(as_rex, filled):
    response = as_rex.get(reverse("run", args=[filled.runs["running"].uuid]), {"table": "kl"})
    assert len(response.context["table"].rows) == 12


def test_a_metric_that_no_chart_names_stands_under_other(as_rex, filled):
    context = as_rex.get(reverse("run", args=[filled.runs["running"].uuid])).context
    assert [one.chart.slug for one in context["others"]] == ["rollout/val/explained_var"]


def test_a_caption_counts_what_was_not_finite(as_rex, filled):
    context = as_rex.get(reverse("run", args=[filled.runs["running"].uuid])).context
    (_, found) = context["others"][0].legend[0]
    assert (found.gaps, found.last) == (1, 0.4)


def test_a_sample_stands_beside_the_one_before_it(as_rex, filled):
    context = as_rex.get(reverse("run", args=[filled.runs["running"].uuid]), {"tab": "samples", "step": "12"}).context
    assert context["samples"].before["step"] == 8
    assert ("added", "any common leading whitespace") in [
        (change.kind, change.text) for change in context["samples"].changes
    ]


def test_cancelling_asks_the_run_to_stop(as_ada, filled):
    run = filled.runs["running"]
    as_ada.post(reverse("run-cancel", args=[run.uuid]))
    run.refresh_from_db()
    assert run.cancel_requested_at is not None


def test_cancelling_a_run_that_has_ended_says_so(as_ada, filled):
    response = as_ada.post(reverse("run-cancel", args=[filled.runs["ppo"].uuid]))
    assert response.status_code == 409
    assert "there is nothing to cancel" in text_of(response)


def test_resuming_queues_a_failed_run_again(as_ada, filled, broker):
    as_ada.post(reverse("run-resume", args=[filled.runs["failed"].uuid]))
    assert Run.objects.get(pk=filled.runs["failed"].pk).state == "queued"


@pytest.fixture
def paused(filled):
    """A PPO run that a monitor paused."""
    pause(filled.runs["running"])
    return filled.runs["running"]


def test_a_paused_run_shows_the_answers_to_look_at_and_asks_what_to_ignore(as_ada, paused):
    shown = text_of(as_ada.get(reverse("run", args=[paused.uuid])))
    assert "kl_budget: KL is 31.0 nats an answer" in shown
    assert "lock lock lock" in shown
    assert '<input type="checkbox" name="monitors_off" value="kl_budget">' in shown
    assert shown.count(reverse("run-resume", args=[paused.uuid])) == 1


def test_a_paused_run_goes_on_without_the_monitor_that_was_ticked(as_ada, paused, broker):
    as_ada.post(reverse("run-resume", args=[paused.uuid]), {"monitors_off": ["kl_budget"]})
    paused.refresh_from_db()
    assert (paused.state, paused.config["monitors_off"]) == ("queued", ["kl_budget"])


def test_a_reviewer_sees_why_a_run_paused_and_cannot_let_it_go_on(as_rex, paused):
    shown = text_of(as_rex.get(reverse("run", args=[paused.uuid])))
    assert "lock lock lock" in shown
    assert "monitors_off" not in shown


def test_a_models_lineage_reaches_the_documents(as_rex, filled):
    response = as_rex.get(reverse("model", args=[filled.models["policy"].uuid]))
    reached = {box.node["id"] for box in response.context["picture"].boxes}
    assert f"snapshot-{filled.snapshots['corpus'].uuid}" in reached
    assert "600 rankings by 2" in text_of(response)


def test_the_picture_of_a_lineage_draws_no_way_that_another_implies(as_rex, filled):
    # read: pretrain 1, sft 2, generate 3, reward 3, ppo 4, less the base of the last three; made: 4; ranked: 1
    picture = as_rex.get(reverse("model", args=[filled.models["policy"].uuid])).context["picture"]
    assert len(picture.columns) == 5
    assert len(picture.paths) == 15


def test_the_playground_without_a_generator_keeps_what_was_typed(as_rex, project, filled, broker):
    url = reverse("playground", args=[project.uuid])
    response = as_rex.post(url, {"model": str(filled.models["sft"].uuid), "prompt": "What is a list?"})
    assert response.status_code == 503
    assert "The generator is not running" in text_of(response)
    assert "What is a list?</textarea>" in text_of(response)


def test_a_setting_out_of_range_is_refused_with_what_is_allowed(as_rex, project, filled):
    url = reverse("playground", args=[project.uuid])
    response = as_rex.post(url, {"temperature": "9", "prompt": "Hello"})
    assert response.status_code == 422
    assert "9 was found; allowed: 0 to 2." in text_of(response)


def test_a_model_that_read_corrections_of_the_game_says_so(as_rex, filled):
    tuned = filled.models["sft"]
    before = text_of(as_rex.get(reverse("model", args=[tuned.uuid])))
    pairs = tuned.run.inputs.get(snapshot__kind="sft").snapshot
    pairs.card |= {"sources": {"game": 3}}
    pairs.save(update_fields=["card"])
    after = text_of(as_rex.get(reverse("model", args=[tuned.uuid])))
    assert "Has read corrections" not in before
    assert "3 sentences of the learning game" in after
