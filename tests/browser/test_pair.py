"""Comparing two answers in a real browser: by keys alone, by taps alone, on a phone, and with the choice that sends."""

import pytest
from playwright.sync_api import expect

from annotate.models import Revision, User
from tests.annotate.conftest import leased
from tests.browser.world import ANSWERS, ask_to_compare

SHORT = ["The least.", "The most."]


@pytest.fixture
def held(world, site):
    """A comparison of two short answers on ana's screen."""
    ask_to_compare(world, SHORT)
    slot = leased(world.queues["pair"], world.people["ana"])

    def open(**how):
        return site.visit(world.people["ana"], f"/slots/{slot.uuid}/", **how)

    return open


def said(world) -> tuple[str | None, int | None, bool | None]:
    """The one answer in the letters that ana saw: (prefer, strength, both_unacceptable)."""
    revision = Revision.objects.get(judgement__task__queue=world.queues["pair"], kind="submit")
    letters = dict(zip(revision.presentation.order, "AB", strict=True))
    body = revision.answer
    return letters.get(body["prefer"], body["prefer"]), body["strength"], body["both_unacceptable"]


def press(page, keys: str) -> None:
    for key in keys.split():
        page.keyboard.press(key)


@pytest.mark.parametrize(
    ("keys", "means"),
    [
        ("1 Enter", ("A", 3, None)),
        ("5 Enter", ("B", 1, None)),
        ("4 Enter", ("tie", None, None)),
        ("= Enter", ("tie", None, None)),
        ("B Enter", ("B", None, None)),
        ("0 Enter", (None, None, True)),
        ("0 A Enter", ("A", None, True)),
        ("7 2 Enter", ("A", 2, None)),
        ("1 0 Backspace Enter", (None, None, True)),
    ],
)
def test_a_comparison_takes_the_choice_and_enter(held, world, keys, means):
    page = held()
    press(page, keys)
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert said(world) == means


def test_enter_before_a_choice_says_what_is_missing(held):
    page = held()
    page.keyboard.press("Enter")
    expect(page.locator("[data-part=missing]")).to_contain_text("Say which answer is better")


def test_on_a_phone_both_answers_are_opened_before_a_vote(held, world):
    page = held(width=360, touch=True)
    expect(page.get_by_role("heading", name="B", exact=True)).to_be_hidden()
    page.get_by_role("radio", name="2 A better").tap()
    expect(page.locator("[data-part=missing]")).to_have_text("Look at B first.")
    expect(page.get_by_role("radio", name="2 A better")).not_to_be_checked()
    page.get_by_role("link", name="Answer B").tap()
    page.get_by_role("radio", name="6 B better").tap()
    page.get_by_role("checkbox", name="Both unacceptable").tap()
    page.get_by_role("button", name="Submit").tap()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert said(world) == ("B", 2, True)


def test_the_pointer_alone_chooses_without_strength(held, world):
    page = held()
    page.get_by_role("radio", name="B is better").click()
    expect(page.get_by_role("article", name="B", exact=True).locator("[data-part=place]")).to_have_text("better")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert said(world) == ("B", None, None)


def test_the_choice_sends_for_who_wants_that(held, world):
    User.objects.filter(pk=world.people["ana"].pk).update(choice_sends=True)
    page = held()
    page.keyboard.press("6")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert said(world) == ("B", 2, None)


def test_arrows_between_choices_send_nothing(held, world):
    User.objects.filter(pk=world.people["ana"].pk).update(choice_sends=True)
    page = held()
    page.get_by_role("radio", name="3 A slightly better").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="4 tie")).to_be_checked()
    assert not Revision.objects.filter(judgement__task__queue=world.queues["pair"]).exists()


def test_a_reload_and_an_undo_show_the_same_choice(held):
    page = held()
    press(page, "3 0")
    page.reload()
    expect(page.get_by_role("radio", name="3 A slightly better")).to_be_checked()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.keyboard.press("z")
    expect(page.get_by_role("radio", name="3 A slightly better")).to_be_checked()
    expect(page.get_by_role("checkbox", name="Both unacceptable")).to_be_checked()


def test_a_folded_answer_warns_once_and_o_opens_it(world, site):
    ask_to_compare(world, [ANSWERS[0], ANSWERS[3]])
    slot = leased(world.queues["pair"], world.people["ana"])
    page = site.visit(world.people["ana"], f"/slots/{slot.uuid}/")
    press(page, "2 Enter")
    expect(page.locator("[data-part=missing]")).to_contain_text("You have not opened all of")
    press(page, "o")
    expect(page.locator(".folded")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()


@pytest.mark.parametrize("width", [360, 1_280])
def test_v_shows_both_answers_word_by_word_also_the_one_behind_its_tab(held, width):
    page = held(width=width)
    page.keyboard.press("v")
    dialog = page.get_by_role("dialog", name="Word by word")
    for word in ["least", "most"]:
        expect(dialog.locator("word-diff")).to_contain_text(word)
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
