"""The Language Model Trainer in a real browser: keys alone, taps alone, away from the network, and without scripts."""

import gzip
import re
from itertools import pairwise
from pathlib import Path
from time import monotonic, sleep

import pytest
from django.urls import reverse
from django.utils.timezone import now
from playwright.sync_api import Page, expect

from annotate.actions.play import record_consent
from annotate.actions.train_start import bundled_start
from annotate.models import GameAttempt, GameDoubt, GameRound
from tests.browser.site import findings, sideways

STATIC = Path(__file__).parents[2] / "annotate" / "static" / "annotate"
MODES = ["missing", "next", "correction"]
OTHERS = [pytest.param(mode, marks=pytest.mark.full) for mode in MODES[1:]]
FIRST_LOAD = 16 * 1_024  # bytes, gzip, of all that must be there before the first answer
TALLY = ("processed", "correct", "errors", "progress")


@pytest.fixture
def play(world, site):
    """Opens the game for one of the cast. ana allows that her answers are kept; the others do not."""
    record_consent(project=world.project, by=world.people["ana"], scopes=["annotation"])

    def open(who="abe", *, mode="missing", wait=True, before=None, **how) -> Page:
        address = reverse("game", args=[world.project.uuid]) + f"?mode={mode}"
        if before is None:
            page = site.visit(world.people[who], address, **how)
        else:
            page = site.visit(world.people[who], "/health/", **how)
            before(page)
            page.goto(address)
        if wait:
            expect(page.locator("net-view[data-state=ready]")).to_be_visible()
        return page

    return open


def eventually(look, wanted) -> None:
    until = monotonic() + 5
    while look() != wanted:
        assert monotonic() < until
        sleep(0.05)


def by_keys(page: Page, mode: str) -> None:
    """One answer; the focus is then on Next."""
    if mode == "correction":
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
    page.keyboard.press("2")
    expect(page.get_by_role("button", name="Next", exact=False)).to_be_focused()


def by_taps(page: Page, mode: str) -> None:
    if mode == "correction":
        page.locator(".pick").first.tap()
    page.locator(".option").nth(1).tap()


def tally(page: Page) -> list[str]:
    return [page.locator(f"[data-part={name}]").inner_text() for name in TALLY]


def answers(world) -> list[GameAttempt]:
    return list(GameAttempt.objects.filter(round__project=world.project).order_by("number"))


def result(page: Page):
    return page.locator("[data-part=network]")


@pytest.mark.parametrize("mode", [MODES[0], *OTHERS])
def test_keys_alone_play_a_paragraph(mode, play, world):
    page = play("ana", mode=mode)
    for _ in range(8):
        by_keys(page, mode)
        page.keyboard.press("Enter")
    expect(page.get_by_text("Verified: the server played this round again")).to_be_visible()
    expect(page.locator("[data-part=rows] tr")).to_have_count(8)
    assert (len(answers(world)), GameRound.objects.get(project=world.project).replay) == (8, "same")
    page.keyboard.press("Enter")
    expect(page.locator("[data-part=progress]")).to_have_text("0 / 8")


@pytest.mark.full
@pytest.mark.parametrize("mode", MODES)
def test_taps_alone_play_a_paragraph(mode, play, world):
    page = play("ana", mode=mode, width=360, touch=True)
    for _ in range(8):
        by_taps(page, mode)
        page.get_by_role("button", name="Next", exact=True).tap()
    expect(page.get_by_text("Verified: the server played this round again")).to_be_visible()
    assert len(answers(world)) == 8


def test_saving_off_sends_nothing_but_reads(play, world):
    sent: list[str] = []
    page = play("abe", before=lambda page: page.on("request", lambda request: sent.append(request.method)))
    for _ in range(8):
        by_keys(page, "missing")
        page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="The paragraph is finished")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.locator("[data-part=progress]")).to_have_text("0 / 8")
    assert (set(sent), answers(world)) == ({"GET"}, [])


@pytest.mark.parametrize("mode", MODES)
def test_before_the_answer_nothing_of_the_network_shows(mode, play):
    page = play(mode=mode)
    drawing = page.locator("[data-part=drawing]")
    options = drawing.locator("circle").evaluate_all("all => all.slice(-4).map(one => one.getAttribute('fill'))")
    assert options == ["rgb(255 255 255)"] * 4
    ends = drawing.locator("line").evaluate_all("all => all.map(one => parseFloat(one.getAttribute('x2')))")
    assert {one < 60 for one in ends} == {True}  # they reach the hidden nodes, at 57 %, and no option, at 79 %
    told = [
        page.locator(f"[data-part={name}]").text_content() for name in ("network", "odds", "step", "reasons", "said")
    ]
    assert [text.strip() for text in told] == [""] * 5
    page.keyboard.press("t")
    expect(page.locator("[data-part=option-rows] tr")).to_have_count(4)
    told = page.locator("[data-part=option-rows] td").all_inner_texts()
    assert (set(told), page.locator("[data-part=word-rows] tr").count()) == ({"–"}, 0)


def test_the_answer_shows_the_network_and_the_step(play):
    page = play()
    page.keyboard.press("1")
    expect(result(page)).to_contain_text(re.compile(r"Network: .+ %.+ % without context"))
    expect(page.locator("[data-part=step]")).to_contain_text(re.compile(r"loss \d\.\d → \d\.\d.+ numbers moved"))
    expect(page.locator("[data-part=reasons] tr")).to_have_count(4)
    expect(page.locator("[data-phase=accumulation]")).to_have_attribute("aria-current", "step")


def test_the_answer_is_painted_before_the_network_is_drawn(play):
    page = play()
    page.keyboard.press("1")
    expect(page.locator("[data-part=step]")).to_contain_text("numbers moved")  # what tells of an answer has come
    page.keyboard.press("Enter")
    white = page.evaluate("""() => {
      document.querySelector(".option").click();
      const told = document.querySelector("[data-part=step]").textContent.includes("numbers moved");
      const options = [...document.querySelectorAll("[data-part=drawing] circle")].slice(-4);
      return told && options.every((one) => one.getAttribute("fill") === "rgb(255 255 255)");
    }""")
    assert white
    page.wait_for_function("""() => [...document.querySelectorAll("[data-part=drawing] circle")].slice(-4)
      .some((one) => one.getAttribute("fill") !== "rgb(255 255 255)")""")


def test_z_takes_the_answer_and_its_step_back(play, world):
    page = play("ana")
    before = page.locator("[data-part=drawing] line").evaluate_all("all => all.map(one => one.outerHTML).sort()")
    page.keyboard.press("1")
    page.keyboard.press("z")
    assert tally(page) == ["0", "0", "0", "0 / 8"]
    after = page.locator("[data-part=drawing] line").evaluate_all("all => all.map(one => one.outerHTML).sort()")
    assert after == before
    for _ in range(8):
        by_keys(page, "missing")
        page.keyboard.press("Enter")
    expect(page.get_by_text("Verified: the server played this round again")).to_be_visible()
    assert [row.kind for row in answers(world)][:3] == ["answer", "undo", "answer"]


def test_a_typed_word_counts_where_it_is_the_right_one(play):
    page = play()
    page.keyboard.press("1")
    gold = page.locator(".sentence .gold").inner_text()
    page.keyboard.press("z")
    page.keyboard.press("0")
    page.keyboard.type(gold.upper())
    page.keyboard.press("Enter")
    expect(page.locator("[data-part=you]")).to_have_text("You: right")


def test_a_word_that_the_network_does_not_know_is_an_answer_too(play):
    page = play()
    page.keyboard.press("0")
    page.keyboard.type("zyzzyva")
    page.keyboard.press("Enter")
    expect(page.get_by_text("That word is not among the network's")).to_be_visible()
    assert tally(page) == ["1", "0", "1", "1 / 8"]


def test_o_plays_and_steps_without_the_context(play, world):
    page = play("ana")
    page.keyboard.press("o")
    with page.expect_response("**/attempts"):
        page.keyboard.press("1")
    assert [row.context_on for row in answers(world)] == [False]


def test_v_goes_through_the_views_and_t_shows_the_table_and_leads_back(play):
    page = play()
    shown = page.locator("[data-view][aria-pressed=true]")
    for name in ("Weights", "Change", "Table", "Values"):
        page.keyboard.press("v")
        expect(shown).to_contain_text(name)
    page.keyboard.press("t")
    expect(page.locator("[data-part=names] tr")).to_have_count(36 + 16)
    page.keyboard.press("t")
    expect(shown).to_contain_text("Values")


def test_without_the_network_the_quiz_goes_on_until_it_arrives(play):
    page = play(wait=False, before=lambda page: page.route("**/game/starts/*", lambda route: route.abort()))
    expect(page.get_by_text("The network could not be loaded.")).to_be_visible()
    page.keyboard.press("1")
    expect(page.locator("[data-part=you]")).to_be_visible()
    expect(result(page)).to_be_hidden()
    page.unroute("**/game/starts/*")
    page.get_by_role("button", name="Try again").click()
    expect(result(page)).to_be_visible()
    assert tally(page)[0] == "1"


def test_answers_that_the_server_missed_are_sent_with_the_next(play, world):
    page = play("ana")
    page.route("**/attempts", lambda route: route.abort())
    by_keys(page, "missing")
    expect(page.get_by_text("The server does not answer.")).to_be_visible()
    page.keyboard.press("Enter")
    page.unroute("**/attempts")
    with page.expect_response("**/attempts"):
        by_keys(page, "missing")
    expect(page.get_by_text("The server does not answer.")).to_be_hidden()
    assert [row.number for row in answers(world)] == [1, 2]


def test_auto_play_answers_until_any_key_stops_it(play):
    page = play()
    page.get_by_label("10", exact=True).check()
    page.get_by_role("button", name="Auto-play").click()
    expect(page.get_by_text(re.compile("[2-9] by the network itself"))).to_be_visible()
    page.keyboard.press("3")
    expect(page.get_by_role("button", name="Auto-play")).to_have_attribute("aria-pressed", "false")
    assert tally(page)[:3] == ["0", "0", "0"]


def test_a_thousand_a_second_are_one_row_and_one_undo(play, world):
    page = play("ana")
    page.get_by_label("1,000").check()
    page.get_by_role("button", name="Auto-play").click()
    expect(page.locator("[data-part=losses-rows] tr")).not_to_have_count(0)
    with page.expect_response("**/attempts"):
        page.get_by_role("button", name="Auto-play").click()
    assert [(row.kind, bool(row.count)) for row in answers(world)] == [("auto", True)]
    with page.expect_response("**/attempts"):
        page.get_by_role("button", name="Undo").click()
    expect(page.locator("[data-part=auto-count]")).to_have_text("")


def test_what_was_taught_is_forgotten_and_comes_back(play):
    page = play()
    for _ in range(8):
        by_keys(page, "missing")
        page.keyboard.press("Enter")
    page.get_by_role("button", name="Forget what I taught it").click()
    expect(page.locator("[data-part=said]")).to_have_text("The network is as it was at the start.")
    page.keyboard.press("z")
    expect(page.get_by_role("button", name="Forget what I taught it")).to_be_visible()
    page.get_by_role("button", name="Replay with the adjusted network").click()
    expect(page.locator("[data-part=progress]")).to_have_text("0 / 8")


def to_the_end(page: Page) -> None:
    for _ in range(8):
        by_keys(page, "missing")
        page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="The paragraph is finished")).to_be_visible()


def test_a_fix_is_suggested_at_the_end_by_keys(play, world):
    page = play("ana")
    to_the_end(page)
    page.locator("[data-part=doubt] summary").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#doubt-item option")).to_have_count(8)
    page.locator("#doubt-item").select_option("3")
    page.locator("#doubt-note").focus()
    page.keyboard.type("No verb.")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Thank you. Reviewers see")).to_be_visible()
    [doubt] = GameDoubt.objects.filter(project=world.project)
    assert (doubt.item_id, doubt.note) == (doubt.round.items[3], "No verb.")
    page.keyboard.press("z")
    expect(page.get_by_text("The suggestion is taken back.")).to_be_visible()
    expect(page.locator("#doubt-note")).to_have_value("No verb.")
    page.keyboard.press("Enter")  # the focus is on Send again
    expect(page.get_by_text("Thank you. Reviewers see")).to_be_visible()
    rows = GameDoubt.objects.filter(project=world.project).order_by("pk").values_list("note", "withdrawn")
    assert list(rows) == [("No verb.", False), ("", True), ("No verb.", False)]


def test_a_suggestion_that_the_server_missed_can_be_sent_again(play, world):
    page = play("ana")
    to_the_end(page)
    page.locator("[data-part=doubt] summary").click()
    page.route("**/doubts", lambda route: route.abort())
    page.get_by_role("button", name="Send the suggestion").click()
    expect(page.get_by_text("The suggestion could not be sent.")).to_be_visible()
    page.unroute("**/doubts")
    page.get_by_role("button", name="Send the suggestion").click()
    expect(page.get_by_text("Thank you.")).to_be_visible()
    assert GameDoubt.objects.filter(project=world.project).count() == 1


def test_what_is_not_kept_cannot_be_doubted(play):
    page = play("abe")
    to_the_end(page)
    expect(page.locator("[data-part=doubt]")).to_be_hidden()


def test_who_has_met_every_blank_is_told_and_nothing_is_sent(play, world):
    ana, start = world.people["ana"], bundled_start()
    paragraph = start.paragraphs.filter(reserved=False)[0]
    start.paragraphs.exclude(pk=paragraph.pk).filter(reserved=False).update(retired_at=now())
    try:
        page = play("ana")
        for nth in range(4):
            to_the_end(page)
            expect(page.get_by_text("Verified: the server played this round again")).to_be_visible()
            eventually(lambda: ana.game_rounds.filter(replay="same").count(), nth + 1)  # not the last round's words
            page.keyboard.press("Enter")
            expect(page.locator("[data-part=progress]")).to_have_text("0 / 8")
        expect(page.get_by_text("This one is a repetition")).to_be_visible()
        by_keys(page, "missing")
        assert GameAttempt.objects.filter(round__user=ana).count() == 32
    finally:
        start.paragraphs.update(retired_at=None)


def test_a_change_of_mode_deals_again_without_leaving_the_page(play):
    page = play()
    page.get_by_label("Correction").check()
    expect(page.locator(".pick").first).to_be_visible()
    assert page.url.endswith("mode=correction&start=trained&step=gentle")


def test_saving_without_consent_says_where_to_allow_it(play):
    page = play("abe")
    page.get_by_label("Save my answers").click()
    expect(page.get_by_role("link", name="Read what is kept, and decide")).to_be_visible()
    expect(page.get_by_label("Save my answers")).not_to_be_checked()


@pytest.mark.parametrize("mode", MODES)
def test_without_scripts_the_form_plays(mode, play, world):
    page = play("ana", mode=mode, scripts=False, wait=False)
    if mode == "correction":
        page.get_by_role("radio").nth(-1).check()
    page.locator(".option").first.click()
    expect(result(page)).to_contain_text("Network:")
    page.get_by_role("link", name="Next").click()
    expect(page.locator("[data-part=progress]")).to_have_text("1 / 8")
    assert len(answers(world)) == 1


def test_what_the_first_answer_needs_is_small():
    """The loop, the round and what every page loads; the drawing and the rest come after it, with the network."""
    wanted, found = ["keys.js", "toast.js", "lm-trainer.js"], {}
    while wanted:
        path = (STATIC / wanted.pop()).resolve()
        if path in found:
            continue
        found[path] = len(gzip.compress(path.read_bytes()))
        names = re.findall(r'^import (?:[^;]*? from )?"(\./[^"]+|\.\./[^"]+)";', path.read_text(), re.MULTILINE)
        wanted += [str((path.parent / name).relative_to(STATIC.resolve())) for name in names]
    assert sum(found.values()) <= FIRST_LOAD


def states(page: Page, mode: str, state: str) -> None:
    if state == "mid":
        by_keys(page, mode)
    if state == "table":
        page.keyboard.press("t")
    if state == "end":
        for _ in range(8):
            by_keys(page, mode)
            page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="The paragraph is finished")).to_be_visible()
    if state == "fix":
        to_the_end(page)
        page.locator("[data-part=doubt] summary").click()
        expect(page.locator("#doubt-item option")).to_have_count(8)


LONG = ["mushrooms", "commonwealth", "wonderful", "neighbourhoods"]
WRITE = """(words) => {
  const view = document.querySelector("net-view");
  view.labels.forEach(({ word, seen }, at) => {
    word.textContent = view.short(words[at]);
    seen.textContent = "seen 12×";
  });
  return view.labels.flatMap(({ word, seen }) => [word, seen]).map((text) => text.getBoundingClientRect().toJSON());
}"""


@pytest.mark.full
@pytest.mark.parametrize("width", [320, 360])
def test_long_words_stand_side_by_side_in_the_drawing(width, play):
    page = play(width=width, touch=True)
    boxes = page.evaluate(WRITE, LONG)
    words = boxes[::2]
    around = page.locator("[data-part=drawing] svg").bounding_box()
    assert all(one["right"] <= other["left"] for one, other in pairwise(words))
    assert (words[0]["left"] >= around["x"], words[-1]["right"] <= around["x"] + around["width"]) == (True, True)
    assert max(one["bottom"] for one in boxes) <= around["y"] + around["height"]


@pytest.mark.full
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 360, 768, 1_280])
@pytest.mark.parametrize("state", ["mid", "table", "end", "fix"])
def test_a_state_fits_and_axe_finds_nothing(state, width, theme, play):
    page = play("ana" if state == "fix" else "abe", width=width, theme=theme)
    states(page, "missing", state)
    assert (findings(page), sideways(page)) == ([], 0)
