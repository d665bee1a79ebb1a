"""The map in a real Chromium: keys, pointers, pictures and states, the list beneath, and its script's pure half."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.urls import reverse
from playwright.sync_api import Page, expect

from annotate.actions.play import record_consent
from annotate.models import User
from annotate.similarity import standing_votes
from rlhf import maps
from rlhf.models import Run
from tests.browser.site import HEIGHTS, Site, findings, sideways
from tests.browser.world import World, own_world
from tests.rlhf.mapped import make_map, words

STATIC = Path(__file__).parents[2] / "rlhf" / "static" / "rlhf"
SCRIPTS = [
    "similar-words.js",
    "map-scene.js",
    "map-canvas.js",
    "map-fingers.js",
    "map-picture.js",
    "map-list.js",
    "map-view.js",
]
WORDS = words(60)


@dataclass
class Room:
    """The page of a project with one map."""

    site: Site
    people: dict[str, User]
    address: str
    run: Run

    def visit(self, *, who: str = "rex", query: str = "", drawn: bool = True, **how) -> Page:
        page = self.site.visit(self.people[who], f"{self.address}{query}", **how)
        if drawn:
            expect(page.get_by_role("button", name="t-SNE")).to_have_attribute("aria-pressed", "true")
        return page

    def near(self, place: int) -> list[str]:
        return [one.label.text for one in maps.neighbours(self.run, place, most=10)]


@pytest.fixture(scope="module")
def world(server) -> World:
    """No test here changes anything."""
    return own_world("Map")


@pytest.fixture(scope="module")
def run(world) -> Run:
    return make_map(world.project, world.people["ada"])


@pytest.fixture
def room(world, run, site) -> Room:
    return Room(site, world.people, reverse("map", args=[world.project.uuid]), run)


def listed(page: Page) -> list[str]:
    return page.locator("[data-part=near] a").all_inner_texts()


def picked(page: Page) -> str:
    return page.locator("[data-part=text]").inner_text()


def pixels(page: Page) -> str:
    return page.locator("canvas").evaluate("canvas => canvas.toDataURL()")


def settled(page: Page) -> None:
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


# keys


def test_a_word_is_found_by_keys_alone_and_shows_its_true_neighbours(room):
    page = room.visit()
    page.keyboard.press("/")
    page.keyboard.type("ki")
    page.keyboard.press("Enter")
    expect(page.locator("[data-part=text]")).to_have_text("ki")
    assert listed(page) == room.near(WORDS.index("ki"))


def test_n_marks_the_next_neighbour_and_enter_picks_it(room):
    page = room.visit(query="?point=2")
    expect(page.get_by_role("button", name="Mark the next neighbour")).to_be_visible()
    page.keyboard.press("n")
    page.keyboard.press("n")
    second = room.near(2)[1]
    expect(page.locator("[data-marked]")).to_have_text(second)
    expect(page.get_by_text(f"Neighbour 2 of 10: {second}")).to_be_attached()
    page.keyboard.press("Enter")
    expect(page.locator("[data-part=text]")).to_have_text(second)
    assert listed(page) == room.near(WORDS.index(second))


def test_v_turns_to_the_other_picture_and_tells_what_it_keeps(room):
    page = room.visit()
    kept = page.locator("[data-part=kept]")
    expect(kept).to_have_text("This picture keeps 44 % of true neighbours; trust the list.")
    before = pixels(page)
    page.keyboard.press("v")
    expect(kept).to_have_text("This picture keeps 6.6 % of true neighbours; trust the list.")
    settled(page)
    assert pixels(page) != before


def test_brackets_go_through_the_states_and_tell_each_ones_figures(room):
    page = room.visit()
    page.keyboard.press("[")
    expect(page.locator("[data-part=state]")).to_have_text("after step 98")
    expect(page.locator("[data-part=kept]")).to_contain_text("keeps 31 % of the neighbours that the points had")
    page.keyboard.press("[")
    page.keyboard.press("[")
    expect(page.locator("[data-part=gap]")).to_have_text("+0.01")
    page.keyboard.press("]")
    expect(page.locator("[data-part=state]")).to_have_text("after step 98")


def test_plus_minus_and_arrows_move_the_picture(room):
    page = room.visit()
    page.locator("canvas").focus()
    seen = [pixels(page)]
    for key in ("+", "ArrowRight", "ArrowDown", "-"):
        page.keyboard.press(key)
        settled(page)
        seen.append(pixels(page))
    assert (len(set(seen)), seen[-1] == seen[0]) == (4, True)  # back at the whole, nothing is moved away


# pointers


def test_a_click_on_a_point_picks_it(room):
    page = room.visit()
    at = page.evaluate(
        """async () => {
          const map = document.querySelector("map-view").picture;
          const { toScreen } = await import("/static/rlhf/map-scene.js");
          return toScreen(map.view, ...map.position(5));
        }"""
    )
    page.locator("canvas").click(position={"x": at[0], "y": at[1]})
    expect(page.locator("[data-part=point]")).to_be_visible()
    assert page.url.endswith(f"point={WORDS.index(picked(page))}")
    nearest = page.evaluate("at => document.querySelector('map-view').picture.hit(...at)", at)
    assert picked(page) == WORDS[nearest]


def test_the_wheel_zooms_about_the_pointer_and_leaves_the_page_its_own_at_the_end(room):
    page = room.visit()
    box = page.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.wheel(0, -400)
    expect(page.get_by_role("button", name="Zoom out")).to_have_attribute("aria-disabled", "false")
    page.get_by_role("button", name="All").click()
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.wheel(0, 300)
    expect(page.get_by_role("heading", name="Language map")).not_to_be_in_viewport()
    expect(page.get_by_role("button", name="Zoom out")).to_have_attribute("aria-disabled", "true")


def test_a_drag_moves_the_map_and_picks_nothing(room):
    page = room.visit()
    page.get_by_role("button", name="Zoom in").click()
    box = page.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 260, box["y"] + 200, steps=4)
    page.mouse.up()
    assert page.evaluate("document.querySelector('map-view').picture.view.x") < 0
    expect(page.locator("[data-part=point]")).to_be_hidden()


def test_a_link_in_the_list_leads_to_that_point_and_the_page_stays(room):
    page = room.visit(query="?point=2")
    expect(page.get_by_role("button", name="Mark the next neighbour")).to_be_visible()
    page.evaluate("window.same = true")
    first = room.near(2)[0]
    page.locator("[data-part=near] a").first.click()
    expect(page.locator("[data-part=text]")).to_have_text(first)
    assert page.evaluate("window.same") is True
    expect(page.locator("[data-part=text]")).to_be_focused()


# which is the odd one


def test_a_vote_is_kept_and_taken_back_by_keys(room, world):
    record_consent(project=world.project, by=room.people["ana"], scopes=["annotation"])
    page = room.visit(who="ana")
    asked = page.locator("[name=odd]")
    before = asked.all_inner_texts()
    asked.nth(1).focus()
    page.keyboard.press("Enter")
    expect(page.locator("[data-part=similar-said]")).to_contain_text("Kept. To the model")
    expect(page.get_by_text("Votes of people: 1.")).to_be_visible()
    assert standing_votes(world.project)[0].odd == before[1]
    page.keyboard.press("z")
    expect(page.get_by_text("Your vote is taken back.")).to_be_visible()
    expect(asked).to_have_text(before)
    assert (standing_votes(world.project), findings(page)) == ([], [])


# what is said


def test_a_colour_has_its_legend(room):
    page = room.visit()
    page.get_by_label("Colour", exact=True).select_option("source")
    expect(page.locator("[data-part=legend] li")).to_have_text(["manual", "forum", "library"])


def test_what_is_not_on_the_map_is_said_while_one_types(room):
    page = room.visit()
    page.get_by_role("searchbox").fill("zzz")
    expect(page.get_by_text("Nothing is called that.")).to_be_visible()
    page.get_by_role("searchbox").fill("de")
    expect(page.locator("[data-part=matches] a").first).to_have_text("de")


def test_a_lost_picture_leaves_the_list_and_says_so(room):
    page = room.visit(drawn=False, query="?point=2")
    page.route("**/points?**", lambda route: route.abort())
    page.reload()
    expect(page.get_by_text("The picture could not be fetched.")).to_be_visible()
    expect(page.locator("canvas")).to_be_hidden()
    assert listed(page) == room.near(2)


def test_the_list_is_the_page_without_a_script(room):
    page = room.visit(scripts=False, drawn=False)
    page.get_by_role("searchbox").fill("ki")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("heading", name="ki", exact=True)).to_be_visible()
    assert listed(page) == room.near(2)
    page.locator("[data-part=near] a").first.click()
    expect(page.get_by_role("heading", name=room.near(2)[0], exact=True)).to_be_visible()
    expect(page.locator("canvas")).to_be_hidden()


def test_an_assessor_walks_the_map_too(room):
    page = room.visit(who="ana", query="?point=2")
    assert listed(page) == room.near(2)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_with_a_point_picked(room, theme):
    page = room.visit(query="?point=2", theme=theme)
    expect(page.get_by_role("button", name="Mark the next neighbour")).to_be_visible()
    page.keyboard.press("n")
    at_the_desk = (findings(page), sideways(page))
    page.set_viewport_size({"width": 360, "height": HEIGHTS[360]})
    assert (at_the_desk, (findings(page), sideways(page))) == (([], 0), ([], 0))


def test_a_phone_has_the_square_above_the_list(room):
    page = room.visit(width=360, touch=True)
    canvas, panel = page.locator("canvas").bounding_box(), page.locator(".panel").bounding_box()
    assert canvas["width"] == pytest.approx(canvas["height"])
    assert (canvas["width"] > 300, panel["y"] > canvas["y"] + canvas["height"]) == (True, True)


def test_a_tap_picks_a_point_on_a_phone(room):
    page = room.visit(width=360, touch=True)
    box = page.locator("canvas").bounding_box()
    script = """async () => {
      const { toScreen } = await import("/static/rlhf/map-scene.js");
      const { picture } = document.querySelector("map-view");
      return toScreen(picture.view, ...picture.position(5));
    }"""
    x, y = page.evaluate(script)
    page.touchscreen.tap(box["x"] + x, box["y"] + y)
    expect(page.locator("[data-part=point]")).to_be_visible()


def test_two_fingers_zoom(room):
    page = room.visit(width=360, touch=True)
    box = page.locator("canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    session = page.context.new_cdp_session(page)
    for kind, apart in (("touchStart", 20), ("touchMove", 40), ("touchMove", 80), ("touchEnd", 0)):
        fingers = [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}] if apart else []
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
    expect(page.get_by_role("button", name="Zoom out")).to_have_attribute("aria-disabled", "false")
    assert page.evaluate("document.querySelector('map-view').picture.view.zoom") == pytest.approx(4, rel=0.1)


def test_a_project_without_a_map_says_how_one_is_made(site, server):
    empty = own_world("No map")
    page = site.visit(empty.people["ada"], reverse("map", args=[empty.project.uuid]))
    expect(page.get_by_role("link", name="Set up a map run")).to_be_visible()
    assert (findings(page), sideways(page)) == ([], 0)


# the pure half


@pytest.fixture
def call(site, server):
    """call("hit", …) is what map-scene.js answers in an empty page; lists of numbers come as Float32Array."""
    page = site.visit(None, "/login/")
    script = """async ([name, points, given]) =>
      (await import('/static/rlhf/map-scene.js'))[name](...(points ? [Float32Array.from(points)] : []), ...given)"""
    return lambda name, *given, points=None: page.evaluate(script, [name, points, list(given)])


VIEW = {"x": 0, "y": 0, "zoom": 1, "size": 200}  # a unit is 94 pixels


def test_a_point_is_hit_within_reach_and_the_nearest_wins(call):
    points = [0, 0, 0.1, 0, -1, 1]
    assert call("hit", VIEW, 106, 100, points=points) == 1
    assert call("hit", VIEW, 103, 100, points=points) == 0
    assert call("hit", VIEW, 6, 6, points=points) == 2
    assert call("hit", VIEW, 150, 150, points=points) == -1


def test_what_lies_under_the_pointer_stays_there_in_a_zoom(call):
    closer = call("zoomed", VIEW, 2, 150, 60)
    spot = [(150 - 100) / 94, (100 - 60) / 94]
    assert call("toScreen", closer, *spot) == pytest.approx([150, 60])


def test_the_map_is_never_lost_from_sight(call):
    away = call("moved", {**VIEW, "zoom": 2}, -5_000, 5_000)
    assert (away["x"], away["y"]) == (0.5, 0.5)
    assert call("zoomed", away, 0.001) == {**VIEW}


def test_places_of_a_search_are_those_of_the_server(call):
    folded = ["bade", "de", "dedo", "x"]
    assert call("matching", folded, " DE ", 10) == [1, 2, 0]


def test_colours_go_to_the_most_frequent_and_the_rest_share_one(call):
    labels = [{"text": f"{letter}x", "count": 1, "source": "", "language": ""} for letter in "aaabbccddeeffgh"]
    found = call("grouped", labels, "letter", {"other": "others", "unnamed": "not named"})
    assert found["names"] == ["A", "B", "C", "D", "E", "others"]


def test_the_scripts_are_small():
    assert sum(len(gzip.compress((STATIC / name).read_bytes())) for name in SCRIPTS) <= 14_336
