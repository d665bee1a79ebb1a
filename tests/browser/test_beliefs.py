"""What a model believes in a real Chromium: slider, checkpoints, what arrives; and the game's second opinion."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from annotate.models import User
from rlhf.beliefs import columns, table
from rlhf.models import Model, Probe, Run
from tests.browser.site import Site, findings, sideways
from tests.browser.world import World, own_world
from tests.rlhf.believed import finish, leave_items, leave_milestones, make_probe, tops
from tests.rlhf.conftest import make_model, make_snapshot
from tests.rlhf.filled import make_run

STATIC = Path(__file__).parents[2] / "rlhf" / "static" / "rlhf"
SCRIPTS = ["beliefs.js", "belief-view.js"]
LARGEST = 8 * 1_024  # bytes, gzip, above what every page loads


@dataclass
class Room:
    """The page of a project whose models have been asked."""

    site: Site
    world: World
    people: dict[str, User]
    probe: Probe

    def visit(self, *, who: str = "rex", more: str = "", **how) -> Page:
        address = reverse("beliefs", args=[self.world.project.uuid])
        return self.site.visit(self.people[who], f"{address}?probe={self.probe.uuid}{more}", **how)


@pytest.fixture(scope="module")
def world(server) -> World:
    return own_world("Beliefs")


@pytest.fixture(scope="module")
def base(world) -> Model:
    ada = world.people["ada"]
    run = make_run(world.project, ada, stage="pretrain", state="finished", inputs={}, final={})
    model = make_model(world.project, Path(mkdtemp()), run=run)
    leave_milestones(model, 14, 98, 1_350)
    return model


@pytest.fixture
def asked(world, base):
    """A text that the base and its checkpoints are asked; the run waits."""
    sft = world.project.models.filter(kind="sft").first()
    sft = sft or make_model(world.project, Path(mkdtemp()), kind="sft", base=base)
    states = [(base, f"step-{step:08d}") for step in (14, 98, 1_350)]
    models = {"base": base, "sft": sft}
    return make_probe(world.project, world.people["ana"], models=models, checkpoints=states)


@pytest.fixture
def room(site, world, asked) -> Room:
    probe, run = asked
    finish(run, told={"base": tops(other=0.25)})
    return Room(site, world, world.people, probe)


def cells(page: Page) -> list[list[str]]:
    rows = page.locator("belief-view tbody tr, belief-view tfoot tr")
    return [row.locator("th, td").all_inner_texts() for row in rows.all()]


def slide(page: Page, temperature: float) -> None:
    slider = page.get_by_label("Temperature")
    slider.evaluate("(one, value) => { one.value = value; one.dispatchEvent(new Event('input')); }", str(temperature))


def test_the_slider_shows_what_the_server_would(room):
    page = room.visit()
    slide(page, 0.5)
    by_script = cells(page)
    assert cells(room.visit(more="&temperature=0.5")) == by_script
    slide(page, 1)
    assert cells(page) == cells(room.visit())


def test_a_key_steps_through_the_checkpoints(room):
    page = room.visit()
    expect(page.locator("belief-view thead th").nth(1)).to_contain_text("step 1,350")
    page.keyboard.press("[")
    expect(page.locator("belief-view thead th").nth(1)).to_contain_text("step 98")
    page.keyboard.press("[")
    page.keyboard.press("[")  # there is none before the first
    expect(page.locator("[data-part=step]")).to_have_text("14")
    assert "step=14" in page.url
    assert cells(page) == cells(room.visit(more="&step=14"))


def test_the_pure_half_agrees_with_python(room):
    page = room.visit()
    found = [one for one in columns(room.probe) if one.step in (None, 98)]
    given = [{"label": "", "step": one.step, "entropy": 0, "other": one.other, "next": one.next} for one in found]
    module = json.dumps(page.locator("script[src*='belief-view']").get_attribute("src"))
    for temperature in (0.3, 1.0, 1.7):
        got = page.evaluate(
            f"""async ([columns, temperature]) => {{
                const here = {module}.replace(/belief-view[^/]*$/, "beliefs.js");
                return (await import(here)).tableOf(columns, temperature);
            }}""",
            [given, temperature],
        )
        wanted = table(found, temperature)
        assert [row["text"] for row in got["rows"]] == [row.text for row in wanted.rows]
        for row, same in zip(got["rows"], wanted.rows, strict=True):
            assert row["cells"] == [pytest.approx(cell) if cell is not None else None for cell in same.cells]
        assert got["others"] == [pytest.approx(one) if one is not None else None for one in wanted.others]


def test_what_arrives_is_shown(site, world, asked):
    probe, run = asked
    page = Room(site, world, world.people, probe).visit(who="ana")
    expect(page.get_by_text("Nothing has arrived yet.")).to_be_visible()
    finish(Run.objects.get(pk=run.pk))
    expect(page.locator("belief-view tbody tr")).to_have_count(14, timeout=15_000)
    expect(page.locator("belief-view thead th").nth(1)).to_contain_text("after step 1,350")


def test_without_a_script_the_form_steps_and_slides(room):
    page = room.visit(scripts=False)
    page.get_by_role("link", name="Earlier").click()
    expect(page.locator("belief-view thead th").nth(1)).to_contain_text("step 98")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("belief-view thead th").nth(1)).to_contain_text("step 98")


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("tab", ["next", "tokens", "reward"])
def test_it_fits_and_axe_finds_nothing(room, width, tab):
    page = room.visit(more=f"&tab={tab}", width=width)
    assert sideways(page) == 0
    assert findings(page) == []


def test_the_scripts_stay_small():
    assert sum(len(gzip.compress((STATIC / name).read_bytes())) for name in SCRIPTS) < LARGEST


# the game


@pytest.fixture
def game(site, world):
    return lambda: site.visit(world.people["ana"], reverse("game", args=[world.project.uuid]))


def answer_first(page: Page) -> None:
    expect(page.locator("net-view[data-state=ready]")).to_be_visible()
    page.locator(".option").first.click()
    expect(page.locator("[data-part=result]")).to_be_visible()


def test_the_second_opinion_is_asked_for_only_after_the_answer_and_a_press(game, base, world):
    page = game()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    expect(page.get_by_role("button", name="Second opinion")).to_be_hidden()
    answer_first(page)
    assert not [url for url in asked if "opinion" in url]
    page.get_by_role("button", name="Second opinion").click()
    expect(page.get_by_text("The larger model was not asked about this blank yet.")).to_be_visible()


def test_the_second_opinion_is_what_the_base_stored(game, base, world):
    page = game()
    dealt = json.loads(page.locator("#game-data").text_content() or "{}")
    words, item = dealt["words"], dealt["items"][0]
    options = [words[str(word)] for word in (item["gold"], *item["distractors"][:3])]
    shares = dict(zip(options, (0.64, 0.2, 0.1, 0.06), strict=True))
    alone = dict(zip(options, (0.41, 0.3, 0.2, 0.09), strict=True))
    folder = Path(mkdtemp())
    cloze = make_snapshot(
        world.project, world.people["ada"], folder, kind="cloze", type="ClozeRow", name="c", rows=[{"split": "heldout"}]
    )
    inputs = {"base": base, "cloze": cloze}
    run = make_run(world.project, world.people["ada"], stage="evaluate", state="finished", inputs=inputs, final={})
    leave_items(run, folder, [{"id": f"{item['id']}-missing", "with": shares, "without": alone}])
    answer_first(page)
    page.get_by_role("button", name="Second opinion").click()
    expect(page.get_by_text(f"Larger model: {options[0]} 64 % (41 % without context)")).to_be_visible()
