"""Bars 9, 11 and 12 of the interface on every page: focus seen at each stop, room for large text, other themes."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from annotate.models import User
from tests.annotate.conftest import leased
from tests.browser import pages
from tests.browser.pages import PAGES
from tests.browser.site import HEIGHTS, findings, sideways
from tests.browser.world import ask_to_write

MOST_STOPS = 250
WITHIN_SECONDS = {"home", "work", "progress", "me"}  # walked in `make test`; the rest in `make test-all`
OPENED = {
    "rank-explained",
    "launch-explained",
}  # a drawer lies over the page; Esc closes it and leaves the focus
# What is wrong with the focus now: empty where it is seen and nothing lies over it, null where it has left the page.
STOP = """() => {
  const one = document.activeElement;
  if (!one || one === document.body || one === document.documentElement) return null;
  const id = one.outerHTML.slice(0, 120);
  const shown = one.closest("label") && one.matches(".visually-hidden") ? one.closest("label") : one;
  const boxes = [...shown.getClientRects()].filter((box) => box.width > 1 && box.height > 1);
  if (!boxes.length) return `no box: ${id}`;
  const places = boxes.flatMap((box) => [.5, .15, .85].flatMap((at) =>
    [.5, .25].map((down) => [box.x + box.width * at, box.y + box.height * down])));  // of a tall one its caret
  const inside = places.filter(([x, y]) => x >= 0 && y >= 0 && x < innerWidth && y < innerHeight);
  const hits = inside.map(([x, y]) => document.elementFromPoint(x, y)).filter(Boolean);
  if (!hits.some((hit) => shown.contains(hit) || hit.contains(shown) || hit.closest("label")?.control === one))
    return `covered by ${hits[0]?.outerHTML.slice(0, 60)}: ${id}`;
  const ringed = (el) => {
    const style = getComputedStyle(el);
    return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  };
  const drawn = one instanceof SVGElement && [...one.querySelectorAll("rect")].some((rect) =>
    parseFloat(getComputedStyle(rect).strokeWidth) >= 2);
  return ringed(one) || ringed(shown) || drawn ? "" : `no ring: ${id}`;
}"""
# Texts that their own box cuts, where nothing scrolls or folds it by design.
CUT = """() => [...document.querySelectorAll("body *")].filter((el) => {
  const style = getComputedStyle(el);
  const hides = [style.overflowX, style.overflowY].some((one) => ["hidden", "clip"].includes(one));
  const words = [...el.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  const meant = el.closest(".visually-hidden, .folded, [class*=fold], kbd, svg, noscript") || style.clipPath !== "none";
  return words && hides && !meant && (el.scrollWidth > el.clientWidth + 1 || el.scrollHeight > el.clientHeight + 1);
}).map((el) => el.outerHTML.slice(0, 120))"""
STYLE = """css => { const sheet = new CSSStyleSheet(); sheet.replaceSync(css);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet]; }"""
SPACED = """* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important }
p { margin-block-end: 2em !important }"""  # WCAG 2.2, 1.4.12
# Words of the interface 40 % longer, as a pseudo locale has them; what people wrote (dir=auto) stays.
LONGER = """() => {
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const nodes = [];
  while (walk.nextNode()) nodes.push(walk.currentNode);
  for (const node of nodes) {
    if (node.parentElement.closest("[dir=auto], script, noscript, textarea, code, kbd, time")) continue;
    node.data = node.data.replace(/\\p{L}{4,}/gu, (word) => word + word.slice(0, Math.ceil(word.length * .4)));
  }
}"""
CONTROLS = "button, summary, select, input:not([type=hidden]), textarea, a.button, .nav a"
SMALL = """controls => [...document.querySelectorAll(controls)]
  .filter((el) => el.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
  .filter((el) => !el.closest(".visually-hidden"))
  .map((el) => ["radio", "checkbox"].includes(el.type) ? el.closest("label") ?? el : el)
  .filter((el) => { const box = el.getBoundingClientRect(); return box.width > 1 && box.height < 43.5; })
  .map((el) => `${Math.round(el.getBoundingClientRect().height)}: ${el.outerHTML.slice(0, 120)}`)"""


BARE = """() => [...document.querySelectorAll(".button, .input, .tag, .banner")]
  .filter((el) => el.checkVisibility() && !el.matches(".quiet, .close"))
  .filter((el) => ["borderStyle", "outlineStyle"].every((name) => getComputedStyle(el)[name] === "none"))
  .map((el) => el.outerHTML.slice(0, 120))"""


def named(*wanted: str) -> list[pages.Page]:
    return [page for page in PAGES if page.name in wanted]


def stops(page: Page) -> list[str]:
    """What is wrong at each stop of a walk by Tab from the top to the end."""
    wrong: list[str] = []
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        found = page.evaluate(STOP)
        if found is None:
            return wrong
        if found:
            wrong.append(found)
    return wrong


def walk(page: pages.Page, width: int, full, site) -> list[str]:
    return stops(site.visit(full.people.get(page.who), page.address(full), width=width))


@pytest.mark.parametrize("width", [360, 1_280])
@pytest.mark.parametrize("page", named(*WITHIN_SECONDS), ids=lambda page: page.name)
def test_the_focus_is_seen_and_uncovered_at_each_stop(page, width, full, site):
    assert walk(page, width, full, site) == []


@pytest.mark.full
@pytest.mark.parametrize("width", [360, 1_280])
@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name not in WITHIN_SECONDS | OPENED], ids=lambda page: page.name
)
def test_the_focus_is_seen_and_uncovered_at_each_stop_of_every_page(page, width, full, site):
    assert walk(page, width, full, site) == []


@pytest.mark.full
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_finger_has_room_on_every_control(page, full, site):
    shown = site.visit(full.people.get(page.who), page.address(full), width=360, touch=True)
    assert shown.evaluate("matchMedia('(pointer: coarse)').matches")
    assert shown.evaluate(SMALL, CONTROLS) == []


@pytest.mark.full
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_contrast_breaks_no_rule_and_forced_colours_leave_an_edge_on_every_button(page, full, site):
    shown = site.visit(full.people.get(page.who), page.address(full))
    shown.emulate_media(forced_colors="active")
    bare = shown.evaluate(BARE)
    shown.emulate_media(forced_colors="none")
    shown.evaluate("document.documentElement.dataset.theme = 'contrast'")
    light = findings(shown)
    shown.emulate_media(color_scheme="dark")
    assert (bare, light, findings(shown)) == ([], [], [])


@pytest.mark.full
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_larger_spaced_and_longer_text_is_cut_nowhere(page, full, site):
    shown = site.visit(full.people.get(page.who), page.address(full), width=320)
    found = {}
    shown.evaluate("document.documentElement.dataset.size = '125'")
    found["larger"] = (sideways(shown), shown.evaluate(CUT))
    shown.evaluate("delete document.documentElement.dataset.size")
    shown.evaluate(STYLE, SPACED)
    found["spaced"] = (sideways(shown), shown.evaluate(CUT))
    shown.evaluate("document.adoptedStyleSheets = []")
    shown.set_viewport_size({"width": 360, "height": HEIGHTS[360]})
    shown.evaluate("document.documentElement.dir = 'rtl'")
    shown.evaluate(LONGER)
    found["longer, from right to left"] = (sideways(shown), shown.evaluate(CUT))
    assert {kind: wrong for kind, wrong in found.items() if wrong != (0, [])} == {}


def test_a_long_queue_name_leaves_the_bar_of_a_phone_as_high_as_it_is_and_stands_whole_in_the_guidelines(world, site):
    queue = world.queues["write_answer"]
    queue.name = "Helpfulness of long answers about gardens, houses and the north"
    queue.save(update_fields=["name"])
    ask_to_write(world)
    slot = leased(queue, world.people["ana"])
    page = site.visit(world.people["ana"], f"/slots/{slot.uuid}/", width=360)
    assert page.locator(".task-bar").bounding_box()["height"] == 48
    assert sideways(page) == 0
    page.get_by_role("button", name="Guidelines").click()
    expect(page.locator("#guideline").get_by_text(queue.name)).to_be_in_viewport(ratio=1)


# a person's own screen


@pytest.fixture
def held_task(world, site):
    ask_to_write(world)
    who = world.people["ana"]
    slot = leased(world.queues["write_answer"], who)
    page = site.visit(who, f"/slots/{slot.uuid}/")
    page.locator("h1").focus()
    return page, who


def test_a_key_of_ones_own_acts_and_is_shown_and_the_old_one_rests(held_task):
    page, who = held_task
    User.objects.filter(pk=who.pk).update(own_keys={"SKIP": "U"})
    page.reload()
    assert page.get_by_role("button", name="Skip").get_attribute("aria-keyshortcuts") == "U"
    page.keyboard.press("s")
    assert not page.locator("#skip").is_visible()
    page.keyboard.press("u")
    assert page.locator("#skip").is_visible()


def test_the_palette_goes_by_keys_where_its_words_lead(world, site):
    page = site.visit(world.people["ana"], f"/p/{world.project.uuid}/work/")
    page.locator("h1").focus()
    page.keyboard.press("/")
    expect(page.get_by_role("button", name="Start: Rank answers")).to_be_visible()
    page.keyboard.type("my ans")
    expect(page.get_by_role("button", name="Start: Rank answers")).to_have_count(0)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("My answers")


@pytest.mark.parametrize("width", [360, 1_280])
def test_the_open_palette_breaks_no_rule(width, full, site):
    page = site.visit(full.people["ada"], f"/p/{full.project.uuid}/runs/", width=width)
    if width == 1_280:
        page.get_by_role("link", name="Find").click()
    else:
        page.keyboard.press("/")
    expect(page.get_by_role("link", name="Import a file")).to_be_visible()
    assert (findings(page), sideways(page)) == ([], 0)


def test_enter_starts_the_first_of_what_needs_one(world, site):
    ask_to_write(world)
    page = site.visit(world.people["ana"], f"/p/{world.project.uuid}/")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Your answer")).to_be_visible()
