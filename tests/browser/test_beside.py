"""Flags and critiques on the ranking screen: by keys, by taps, without scripts."""

import gzip
from pathlib import Path

import pytest
from playwright.sync_api import expect

from annotate.flags import DEFAULT
from annotate.models import Revision
from rlhf.static_files import without_comments
from tests.annotate.conftest import leased
from tests.browser.site import findings, sideways
from tests.browser.test_rank import press
from tests.browser.world import ask_to_rank

STATIC = Path("annotate/static")
SHORT = ["The least of all.", "The most.", "A number."]


@pytest.fixture
def held(world, site):
    """A ranking of three answers that also asks for flags and critiques, on ana's screen."""
    queue = world.queues["rank"]
    queue.flags, queue.critique_least, queue.axes = [*DEFAULT, "x_rude"], 10, ["overall"]
    queue.save(update_fields=["flags", "critique_least", "axes"])
    ask_to_rank(world, SHORT)
    slot = leased(queue, world.people["ana"])

    def open(**how):
        return site.visit(world.people["ana"], f"/slots/{slot.uuid}/", **how)

    return open


@pytest.fixture
def all_asked(held, world):
    """The same, with better answers and places left empty too."""
    queue = world.queues["rank"]
    queue.better = queue.partial = True
    queue.save(update_fields=["better", "partial"])
    return held


def test_a_page_that_asks_for_all_loads_at_most_18_kb_of_scripts(all_asked):
    page = all_asked()
    page.wait_for_load_state("networkidle")
    loaded = page.evaluate("performance.getEntriesByType('resource').map(one => new URL(one.name).pathname)")
    scripts = [STATIC / path.removeprefix("/static/") for path in loaded if path.endswith(".js")]
    assert len(scripts) > 15
    assert sum(len(gzip.compress(without_comments(one.read_text()).encode())) for one in scripts) <= 18 * 1_024


def answered(world) -> Revision:
    return Revision.objects.get(judgement__task__queue=world.queues["rank"], kind="submit")


def flags_of(revision, letter):
    said = revision.answer["flags"][str(revision.presentation.order["ABC".index(letter)])]
    return {key: value for key, value in said.items() if value is not None}


def critique_of(revision, letter):
    return revision.answer["critique"][str(revision.presentation.order["ABC".index(letter)])]


def test_flags_are_answered_by_keys_and_nothing_is_preset(held, world):
    page = held()
    press(page, "B M 1 2 J 1 K 0 M A C Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert flags_of(answered(world), "B") == {"fails_instruction": True, "misses_constraint": False}
    assert flags_of(answered(world), "A") == {}


def test_a_flag_is_set_and_cleared_by_taps(held, world):
    page = held(width=360, touch=True)
    card = page.locator("[data-part=card]").first
    card.locator("summary").filter(has_text="Flags").tap()
    for flag in ("Off topic, A", "Rude, A"):
        page.get_by_role("radiogroup", name=flag).get_by_label("Yes").tap()
    expect(card.get_by_text("2 of 21 answered")).to_be_visible()
    page.get_by_role("button", name="Clear Rude, A").tap()
    for letter in "AB":
        page.get_by_role("button", name=f"Place {letter}").tap()
    page.get_by_role("button", name="Submit").tap()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert flags_of(answered(world), "A") == {"off_topic": True}


def test_what_is_selected_becomes_a_quotation(held, world):
    page = held()
    card = page.locator("[data-part=card]").filter(has_text=SHORT[0])
    letter = card.get_attribute("data-letter")
    card.locator("[data-part=text] p").select_text()
    page.keyboard.press("n")
    field = page.get_by_label(f"Critique of {letter}")
    expect(field).to_be_focused()
    page.keyboard.type("Of what?")
    expect(field).to_have_value("> The least of all.\nOf what?")
    field.evaluate("field => field.blur()")
    press(page, "A B Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert [(one["start"], one["end"]) for one in critique_of(answered(world), letter)["spans"]] == [(0, 16)]


def test_a_low_rating_without_reasons_opens_the_critique(held, world):
    page = held()
    press(page, "2 A B Enter")
    expect(page.get_by_text("A is rated 2: say why")).to_be_visible()
    expect(page.get_by_label("Critique of A")).to_be_focused()
    page.keyboard.type("It says nothing of use.")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert critique_of(answered(world), "A")["text"] == "It says nothing of use."


def test_flags_and_a_critique_are_sent_without_scripts(held, world):
    page = held(scripts=False)
    for place, letter in enumerate("ABC", start=1):
        page.get_by_label(f"Place of {letter}").select_option(str(place))
    for summary in page.locator("[data-part=card]").first.locator("summary").all():
        summary.click()
    page.get_by_role("radiogroup", name="False claim, A").get_by_label("No").check()
    page.get_by_label("Critique of A").fill("> least\nOf what?")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert flags_of(answered(world), "A") == {"false_claim": False}
    assert critique_of(answered(world), "A")["text"] == "> least\nOf what?"


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.full)])
@pytest.mark.parametrize("width", [360, 1_280])
def test_open_flags_and_critiques_fit_and_axe_finds_nothing(held, width, theme):
    page = held(width=width, theme=theme)
    page.locator("details").evaluate_all("all => all.forEach((one) => (one.open = true))")
    press(page, "A M 1 2")
    assert (findings(page), sideways(page)) == ([], 0)


@pytest.fixture
def improvable(world, site):
    """A ranking that takes better answers, on ana's screen."""
    queue = world.queues["rank"]
    queue.better, queue.axes = True, []
    queue.save(update_fields=["better", "axes"])
    ask_to_rank(world, SHORT)
    slot = leased(queue, world.people["ana"])

    def open(**how):
        return site.visit(world.people["ana"], f"/slots/{slot.uuid}/", **how)

    return open


def test_w_opens_a_copy_that_shows_what_changes_and_is_sent(improvable, world):
    page = improvable()
    press(page, "A B w")
    field = page.get_by_label("Better than B")
    expect(field).to_be_focused()
    page.keyboard.press("Control+End")
    page.keyboard.type(" Of all items.")
    expect(page.locator("word-diff ins")).to_contain_text("Of all items.")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    revision = answered(world)
    better = {key: text for key, text in revision.answer["better"].items() if text}
    assert list(better) == [str(revision.presentation.order[1])]
    assert better.popitem()[1].endswith(" Of all items.")


def test_a_better_answer_is_kept_over_a_reload_and_copies_stay_out_of_the_draft(improvable, world):
    page = improvable()
    press(page, "w")
    page.get_by_label("Better than A").fill("The least item.")
    page.reload()
    expect(page.get_by_label("Better than A")).to_have_value("The least item.")
    assert page.evaluate("[...new FormData(document.getElementById('answer')).keys()].join()").count("better") == 1


def test_a_better_answer_is_sent_without_scripts(improvable, world):
    page = improvable(scripts=False)
    for place, letter in enumerate("ABC", start=1):
        page.get_by_label(f"Place of {letter}").select_option(str(place))
    page.locator("[data-part=card]").nth(1).locator("summary").click()
    page.get_by_label("Better than B").fill("The least item.")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert sorted(answered(world).answer["better"].values(), key=str) == [None, None, "The least item."]
