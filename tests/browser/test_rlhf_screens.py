"""The screens of rlhf in a real Chromium: what is live, what keys do, what works without a script."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from annotate.models import Task
from rlhf.models import Run, Snapshot
from tests.annotate.conftest import make_prompt
from tests.browser.site import Site, findings, sideways
from tests.browser.world import World
from tests.rlhf.filled import Filled, fill, pause, write_metrics


@dataclass
class Looped(Filled):
    """world: the project that was filled."""

    world: World

    def address(self, name: str, *more: str) -> str:
        return reverse(name, args=[self.world.project.uuid, *more])

    def run(self, name: str) -> str:
        return reverse("run", args=[self.runs[name].uuid])


@pytest.fixture
def looped(world, tmp_path) -> Looped:
    make_prompt(world.project)
    filled = fill(world.project, world.people["ada"], tmp_path)
    return Looped(filled.snapshots, filled.models, filled.runs, world)


@pytest.fixture
def see(site: Site, looped: Looped) -> Callable[..., Page]:
    """see("ada", address) is a page of the filled project."""

    def visit(who: str, address: str, **how) -> Page:
        return site.visit(looped.world.people[who], address, **how)

    return visit


def test_new_points_reach_an_open_chart(see, looped):
    run = looped.runs["running"]
    page = see("ada", looped.run("running"))
    entropy = page.locator("[data-part=chart]", has=page.get_by_role("heading", name="Entropy"))
    expect(entropy.locator("canvas")).to_be_visible()
    expect(entropy.locator("[data-part=least-at]")).to_have_text("12")
    write_metrics(run, steps=3, start=13)
    expect(entropy.locator("[data-part=least-at]")).to_have_text("15")


def test_the_end_of_a_run_shows_on_its_open_page(see, looped):
    run = looped.runs["running"]
    page = see("ada", looped.run("running"))
    Run.objects.filter(pk=run.pk).update(state="finished", result={"final": {"reward_gain": 1.5}, "steps": 16})
    expect(page.locator("#status .tag")).to_have_text("finished")
    expect(page.get_by_role("button", name="Cancel…")).to_have_count(0)


def test_a_metric_without_a_chart_appears_under_other_while_one_looks(see, looped):
    run = looped.runs["running"]
    page = see("ada", looped.run("running"))
    expect(page.get_by_text("Other metrics: 1")).to_be_visible()
    line = {"attempt": 1, "step": 13, "kind": "eval", "values": {"brand_new": 1.0}, "clock": {"seconds": 1}}
    run.chunks.create(attempt=1, stream="metrics", offset=99, lines=json.dumps(line) + "\n")
    expect(page.get_by_text("Other metrics: 2")).to_be_visible()


def test_home_shows_a_run_that_was_queued_meanwhile(see, looped):
    page = see("ada", looped.address("project-home"))
    expect(page.locator("live-poll [data-part=said]")).to_contain_text("Updated")
    Run.objects.filter(pk=looped.runs["failed"].pk).update(state="queued")
    expect(page.get_by_role("row", name="Instruct run 6 queued")).to_be_visible()


def test_updates_can_be_paused(see, looped):
    page = see("ada", looped.run("running"))
    page.get_by_role("button", name="Pause updates").click()
    expect(page.get_by_text("Updates are paused")).to_be_visible()


def test_a_run_is_cancelled_by_keys_alone(see, looped):
    run = looped.runs["running"]
    page = see("ada", looped.run("running"))
    page.get_by_role("button", name="Cancel…").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Cancel PPO run 7?")).to_be_visible()
    page.get_by_role("button", name="Cancel this run").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Cancelling: the run writes its checkpoint")).to_be_visible()
    run.refresh_from_db()
    assert run.cancel_requested_at is not None


@pytest.mark.parametrize("width", [320, 1280])
def test_a_paused_run_fits_and_axe_finds_nothing(see, looped, width):
    pause(looped.runs["running"])
    page = see("ada", looped.run("running"), width=width)
    assert (findings(page), sideways(page)) == ([], 0)


def test_a_run_that_pauses_while_one_looks_goes_on_without_what_was_ticked(see, looped):
    run = looped.runs["running"]
    page = see("ada", looped.run("running"))
    pause(run)
    page.get_by_role("link", name="Look at its answers first.").click()
    expect(page.get_by_role("cell", name="lock lock lock")).to_be_visible()
    page.get_by_label("kl_budget").check()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#status .tag")).to_have_text("queued")
    run.refresh_from_db()
    assert run.config["monitors_off"] == ["kl_budget"]


def test_the_answers_of_a_paused_run_are_put_before_people_and_taken_back(see, looped):
    run = looped.runs["running"]
    pause(run)
    page = see("ada", looped.run("running"))
    page.get_by_role("button", name="Ask people to compare these").press("Enter")
    expect(page.get_by_text(": 1.")).to_be_visible()
    [task] = Task.objects.filter(selection__run=str(run.uuid))
    assert task.state == "held"
    page.get_by_role("button", name="Undo").press("Enter")
    expect(page.get_by_text("Tasks taken back: 1.")).to_be_visible()
    task.refresh_from_db()
    assert task.state == "void"


def test_a_preset_fills_what_nobody_changed(see, looped):
    page = see("ada", looped.address("launch", "ppo"))
    page.get_by_label("Price of KL").fill("0.1")
    page.get_by_label("Smoke").check()
    expect(page.get_by_label("Rollouts rollouts")).to_have_value("3")
    expect(page.get_by_label("Price of KL")).to_have_value("0.1")
    expect(page.get_by_text("Changed; the preset says 0.05")).to_be_visible()


def test_a_changed_field_goes_back_to_the_preset(see, looped):
    page = see("ada", looped.address("launch", "ppo"))
    page.get_by_label("Price of KL").fill("0.1")
    page.get_by_role("button", name="Reset Price of KL").click()
    expect(page.get_by_label("Price of KL")).to_have_value("0.05")


def chat(page: Page, *lines: dict) -> list[dict]:
    """Answers the playground's next questions with these lines; what it asked."""
    asked: list[dict] = []

    def answer(route):
        asked.append(route.request.post_data_json)
        body = "".join(json.dumps(line) + "\n" for line in lines)
        route.fulfill(status=200, content_type="application/x-ndjson", body=body)

    page.route("**/api/v1/playground/chat", answer)
    return asked


BLOCKS = [{"type": "paragraph", "spans": [{"type": "strong", "spans": [{"type": "text", "text": "Removes"}]}]}]
ANSWER = (
    {"side": "a", "text": "**Rem"},
    {"side": "a", "text": "oves**"},
    {"side": "a", "done": True, "stop": "end", "tokens": 2, "blocks": BLOCKS},
)


def test_an_answer_streams_as_text_and_ends_as_blocks(see, looped):
    page = see("rex", looped.address("playground"))
    asked = chat(page, *ANSWER)
    page.get_by_label("Your message").fill("What does dedent do?")
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-part=turns] strong")).to_have_text("Removes")
    assert asked[0]["messages"] == [{"role": "user", "content": "What does dedent do?"}]
    assert asked[0]["settings"]["temperature"] == 0.7


def test_again_asks_the_same_question_anew(see, looped):
    page = see("rex", looped.address("playground"))
    asked = chat(page, *ANSWER)
    page.get_by_label("Your message").fill("What does dedent do?")
    page.get_by_role("button", name="Send").click()
    page.get_by_role("button", name="Again").click()
    expect(page.locator("[data-part=turns] li")).to_have_count(2)
    assert [len(one["messages"]) for one in asked] == [1, 1]


def test_settings_of_the_playground_stand_in_its_address(see, looped):
    page = see("rex", looped.address("playground"))
    page.get_by_text("Settings").click()
    page.get_by_label("Temperature").fill("1.2")
    page.get_by_label("Temperature").blur()
    expect(page).to_have_url(re.compile(r"temperature=1\.2"))


def test_what_a_model_refuses_is_said_where_its_answer_would_stand(see, looped):
    page = see("rex", looped.address("playground"))
    sentence = "The generator is not running; an operator can start it."
    problem = json.dumps({"code": "no_generator", "detail": sentence})
    page.route("**/playground/chat", lambda r: r.fulfill(status=503, content_type="application/json", body=problem))
    page.get_by_label("Your message").fill("Hello")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text(sentence)).to_be_visible()


def test_smoothing_leaves_a_constant_as_it_is_and_a_gap_a_gap(see, looped):
    # without bias at the start: 2, 2, gap, 2 at any weight
    page = see("ada", looped.run("running"))
    module = page.locator("script[src*='run-charts']").get_attribute("src").replace("run-charts", "series")
    found = page.evaluate("async from => (await import(from)).smoothed([2, 2, null, 2], 0.9)", module)
    assert found == pytest.approx([2, 2, None, 2])


# without a script


def test_a_run_is_launched_without_a_script(see, looped):
    page = see("ada", looped.address("launch", "pretrain"), scripts=False)
    page.get_by_label("Smoke").check()
    page.get_by_role("button", name="Fill the fields from this size").click()
    page.get_by_role("button", name=re.compile("^Queue Pretrain run")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Pretrain run 8")
    assert Run.objects.latest("pk").config["max_steps"] == 20


def test_a_run_is_cancelled_without_a_script(see, looped):
    page = see("ada", looped.run("running"), scripts=False)
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("button", name="Cancel this run").click()
    expect(page.get_by_text("Cancelling: the run writes its checkpoint")).to_be_visible()


def test_prompts_are_frozen_without_a_script(see, looped):
    page = see("ada", looped.address("snapshot-new", "prompt"), scripts=False)
    page.get_by_role("button", name="Freeze prompts").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("prompts-5")
    assert Snapshot.objects.latest("pk").state == "freezing"


def test_a_chart_without_a_script_is_a_line_and_a_table(see, looped):
    page = see("rex", looped.run("running"), scripts=False)
    expect(page.locator("polyline").first).to_be_visible()
    page.get_by_role("link", name="Table KL to reference").click()
    expect(page.get_by_role("row")).to_have_count(13)


def test_the_pipeline_of_a_phone_is_a_list(see, looped):
    page = see("ana", looped.address("project-home"), width=360)
    expect(page.locator(".pipeline > svg")).to_be_hidden()
    expect(page.locator(".pipeline .stages li")).to_have_count(8)
