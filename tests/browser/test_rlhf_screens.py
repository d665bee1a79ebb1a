"""The screens of rlhf in a real Chromium: what is live, what works by keys, what works without a script, what axe says."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.urls import reverse
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from rlhf.models import Run, Snapshot
from tests.annotate.conftest import make_document, make_prompt
from tests.rlhf.filled import Filled, fill, write_metrics

os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # Playwright's loop runs in this thread; the rows are only ours
pytestmark = pytest.mark.django_db(transaction=True)

AXE = Path(__file__).parent.parent / "vendor" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def filled(project, ada, tmp_path, settings) -> Filled:
    settings.STORAGE_URL = f"file://{tmp_path / 'objects'}"
    make_document(project, "A document.")
    make_prompt(project)
    return fill(project, ada, tmp_path)


@pytest.fixture
def open_as(chromium, live_server, client) -> Iterator:
    """open_as(user, width=…) is a page where that person is signed in; what the policy refuses fails the test."""
    contexts: list[BrowserContext] = []
    refused: list[str] = []

    def open_page(user, *, width: int = 1280, scripts: bool = True) -> Page:
        client.force_login(user)
        name = django_settings.SESSION_COOKIE_NAME
        context = chromium.new_context(
            viewport={"width": width, "height": 800}, java_script_enabled=scripts, base_url=live_server.url
        )
        contexts.append(context)
        context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": live_server.url}])
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda said: refused.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: refused.append(str(error)))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not [text for text in refused if "404" not in text and "503" not in text]


def addresses(project, filled: Filled) -> dict[str, str]:
    p = project.uuid
    running, failed = filled.runs["running"].uuid, filled.runs["failed"].uuid
    return {
        "home": reverse("home"),
        "snapshots": reverse("snapshots", args=[p]),
        "snapshot": reverse("snapshot", args=[filled.snapshots["ranking"].uuid]),
        "freeze": reverse("snapshot-new", args=[p, "prompt"]),
        "launch": reverse("launch", args=[p, "ppo"]),
        "runs": reverse("runs", args=[p]),
        "run": reverse("run", args=[running]),
        "failed run": reverse("run", args=[failed]),
        "log": reverse("run", args=[failed]) + "?tab=log",
        "config": reverse("run", args=[running]) + "?tab=config",
        "lineage": reverse("run", args=[running]) + "?tab=lineage",
        "table": reverse("run", args=[running]) + "?table=reward",
        "models": reverse("models", args=[p]),
        "model": reverse("model", args=[filled.models["policy"].uuid]),
        "playground": reverse("playground", args=[p]),
        "learn": reverse("learn"),
    }


@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(open_as, ada, project, filled, width):
    page = open_as(ada, width=width)
    found = {}
    for name, address in addresses(project, filled).items():
        page.goto(address)
        page.evaluate(AXE.read_text())
        result = page.evaluate("rules => axe.run(document, {runOnly: rules})", RULES)
        found[name] = [violation["id"] for violation in result["violations"]]
        wide = page.evaluate("document.documentElement.scrollWidth")
        found[name] += [f"{wide} px wide"] if wide > width else []
    assert not {name: faults for name, faults in found.items() if faults}


def test_new_points_reach_an_open_chart(open_as, ada, filled):
    run = filled.runs["running"]
    page = open_as(ada)
    page.goto(reverse("run", args=[run.uuid]))
    entropy = page.locator("[data-part=chart]", has=page.get_by_role("heading", name="Entropy"))
    expect(entropy.locator("canvas")).to_be_visible()
    expect(entropy.locator("[data-part=least-at]")).to_have_text("12")
    write_metrics(run, steps=3, start=13)
    expect(entropy.locator("[data-part=least-at]")).to_have_text("15")


def test_the_end_of_a_run_shows_on_its_open_page(open_as, ada, filled):
    run = filled.runs["running"]
    page = open_as(ada)
    page.goto(reverse("run", args=[run.uuid]))
    Run.objects.filter(pk=run.pk).update(state="finished", result={"final": {"reward_gain": 1.5}, "steps": 16})
    expect(page.locator("#status .tag")).to_have_text("finished")
    expect(page.get_by_role("button", name="Cancel…")).to_have_count(0)


def test_a_metric_without_a_chart_appears_under_other_while_one_looks(open_as, ada, filled):
    run = filled.runs["running"]
    page = open_as(ada)
    page.goto(reverse("run", args=[run.uuid]))
    expect(page.get_by_text("Other metrics: 1")).to_be_visible()
    line = {"attempt": 1, "step": 13, "kind": "eval", "values": {"brand_new": 1.0}, "clock": {"seconds": 1}}
    run.chunks.create(attempt=1, stream="metrics", offset=99, lines=json.dumps(line) + "\n")
    expect(page.get_by_text("Other metrics: 2")).to_be_visible()


def test_home_shows_a_run_that_was_queued_meanwhile(open_as, ada, filled):
    page = open_as(ada)
    page.goto("/")
    expect(page.locator("live-poll [data-part=said]")).to_contain_text("Updated")
    Run.objects.filter(pk=filled.runs["failed"].pk).update(state="queued")
    expect(page.get_by_role("row", name="Instruct run 6 queued")).to_be_visible()


def test_updates_can_be_paused(open_as, ada, filled):
    run = filled.runs["running"]
    page = open_as(ada)
    page.goto(reverse("run", args=[run.uuid]))
    page.get_by_role("button", name="Pause updates").click()
    expect(page.get_by_text("Updates are paused")).to_be_visible()


def test_a_run_is_cancelled_by_keys_alone(open_as, ada, filled):
    run = filled.runs["running"]
    page = open_as(ada)
    page.goto(reverse("run", args=[run.uuid]))
    page.get_by_role("button", name="Cancel…").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Cancel PPO run 7?")).to_be_visible()
    page.get_by_role("button", name="Cancel this run").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Cancelling: the run writes its checkpoint")).to_be_visible()
    run.refresh_from_db()
    assert run.cancel_requested_at is not None


def test_a_preset_fills_what_nobody_changed(open_as, ada, project, filled):
    page = open_as(ada)
    page.goto(reverse("launch", args=[project.uuid, "ppo"]))
    page.get_by_label("Price of KL").fill("0.1")
    page.get_by_label("Smoke").check()
    expect(page.get_by_label("Rollouts rollouts")).to_have_value("3")
    expect(page.get_by_label("Price of KL")).to_have_value("0.1")
    expect(page.get_by_text("Changed; the preset says 0.05")).to_be_visible()


def test_a_changed_field_goes_back_to_the_preset(open_as, ada, project, filled):
    page = open_as(ada)
    page.goto(reverse("launch", args=[project.uuid, "ppo"]))
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


def test_an_answer_streams_as_text_and_ends_as_blocks(open_as, rex, project, filled):
    page = open_as(rex)
    page.goto(reverse("playground", args=[project.uuid]))
    asked = chat(page, *ANSWER)
    page.get_by_label("Your message").fill("What does dedent do?")
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-part=turns] strong")).to_have_text("Removes")
    assert asked[0]["messages"] == [{"role": "user", "content": "What does dedent do?"}]
    assert asked[0]["settings"]["temperature"] == 0.7


def test_again_asks_the_same_question_anew(open_as, rex, project, filled):
    page = open_as(rex)
    page.goto(reverse("playground", args=[project.uuid]))
    asked = chat(page, *ANSWER)
    page.get_by_label("Your message").fill("What does dedent do?")
    page.get_by_role("button", name="Send").click()
    page.get_by_role("button", name="Again").click()
    expect(page.locator("[data-part=turns] li")).to_have_count(2)
    assert [len(one["messages"]) for one in asked] == [1, 1]


def test_settings_of_the_playground_stand_in_its_address(open_as, rex, project, filled):
    page = open_as(rex)
    page.goto(reverse("playground", args=[project.uuid]))
    page.get_by_text("Settings").click()
    page.get_by_label("Temperature").fill("1.2")
    page.get_by_label("Temperature").blur()
    expect(page).to_have_url(re.compile(r"temperature=1\.2"))


def test_what_a_model_refuses_is_said_where_its_answer_would_stand(open_as, rex, project, filled):
    page = open_as(rex)
    page.goto(reverse("playground", args=[project.uuid]))
    sentence = "The generator is not running; an operator can start it."
    problem = json.dumps({"code": "no_generator", "detail": sentence})
    page.route("**/playground/chat", lambda r: r.fulfill(status=503, content_type="application/json", body=problem))
    page.get_by_label("Your message").fill("Hello")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_text(sentence)).to_be_visible()


def test_smoothing_leaves_a_constant_as_it_is_and_a_gap_a_gap(open_as, ada, filled):
    # without bias at the start: 2, 2, gap, 2 at any weight
    page = open_as(ada)
    page.goto(reverse("run", args=[filled.runs["running"].uuid]))
    module = page.locator("script[src*='run-charts']").get_attribute("src")
    found = page.evaluate("async from => (await import(from)).smoothed([2, 2, null, 2], 0.9)", module)
    assert found == pytest.approx([2, 2, None, 2])


# without a script


def test_a_run_is_launched_without_a_script(open_as, ada, project, filled):
    page = open_as(ada, scripts=False)
    page.goto(reverse("launch", args=[project.uuid, "pretrain"]))
    page.get_by_label("Smoke").check()
    page.get_by_role("button", name="Fill the fields from this size").click()
    page.get_by_role("button", name=re.compile("^Queue Pretrain run")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Pretrain run 8")
    assert Run.objects.latest("pk").config["max_steps"] == 20


def test_a_run_is_cancelled_without_a_script(open_as, ada, filled):
    page = open_as(ada, scripts=False)
    page.goto(reverse("run", args=[filled.runs["running"].uuid]))
    page.get_by_role("button", name="Cancel…").click()
    page.get_by_role("button", name="Cancel this run").click()
    expect(page.get_by_text("Cancelling: the run writes its checkpoint")).to_be_visible()


def test_prompts_are_frozen_without_a_script(open_as, ada, project, filled):
    page = open_as(ada, scripts=False)
    page.goto(reverse("snapshot-new", args=[project.uuid, "prompt"]))
    page.get_by_role("button", name="Freeze prompts").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("prompt-5")
    assert Snapshot.objects.latest("pk").state == "freezing"


def test_a_chart_without_a_script_is_a_line_and_a_table(open_as, rex, filled):
    page = open_as(rex, scripts=False)
    page.goto(reverse("run", args=[filled.runs["running"].uuid]))
    expect(page.locator("polyline").first).to_be_visible()
    page.get_by_role("link", name="Table KL to reference").click()
    expect(page.get_by_role("row")).to_have_count(13)


def test_the_pipeline_of_a_phone_is_a_list(open_as, ana, project, filled):
    page = open_as(ana, width=360)
    page.goto("/")
    expect(page.locator(".pipeline > svg")).to_be_hidden()
    expect(page.locator(".pipeline .stages li")).to_have_count(8)
