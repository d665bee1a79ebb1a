"""Rating one answer and putting it right, in a real browser: by keys alone, by taps alone, on a phone."""

import pytest
from playwright.sync_api import expect

from annotate.models import Revision
from tests.annotate.conftest import leased
from tests.browser.world import ANSWERS, ask_to_rate, ask_to_repair

BODY = "There are many things to do, such as mountain biking."


def held(world, site, kind: str, **how):
    slot = leased(world.queues[kind], world.people["ana"])
    return site.visit(world.people["ana"], f"/slots/{slot.uuid}/", **how)


def sent(world, kind: str) -> dict:
    mine = Revision.objects.filter(judgement__task__queue=world.queues[kind], judgement__user=world.people["ana"])
    return mine.filter(kind="submit").latest("number").answer


def press(page, keys: str) -> None:
    for key in keys.split():
        page.keyboard.press(key)


@pytest.fixture
def rating(world, site):
    ask_to_rate(world, BODY)
    return lambda **how: held(world, site, "rate", **how)


@pytest.fixture
def repair(world, site):
    ask_to_repair(world, BODY)
    return lambda **how: held(world, site, "repair", **how)


def test_digits_rate_axis_after_axis_and_enter_sends(rating, world):
    page = rating()
    press(page, "6 7 5 4 Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert (sent(world, "rate")["overall"], sent(world, "rate")["axes"]) == (
        6,
        {"helpful": 7, "truthful": 5, "harmless": 4},
    )


def test_keys_reach_flags_and_critique_and_leave_the_rest_unanswered(rating, world):
    page = rating()
    press(page, "3 m 1 2 n")
    page.keyboard.type("It does not say which.")
    press(page, "Control+Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    found = sent(world, "rate")
    assert (found["overall"], set(found["axes"].values())) == (3, {None})
    assert [found["flags"][key] for key in ("fails_instruction", "misses_constraint", "off_topic")] == [
        True,
        False,
        None,
    ]
    assert found["critique"]["text"] == "It does not say which."


def test_an_untouched_rating_is_held_back(rating, world):
    page = rating()
    page.get_by_role("button", name="Submit").click()
    expect(page.locator("[data-part=missing]")).to_contain_text("Say something of the answer")
    assert not Revision.objects.filter(judgement__task__queue=world.queues["rate"]).exists()


def test_taps_alone_rate_and_flag_on_a_phone(rating, world):
    page = rating(width=360, touch=True)
    page.locator("input[name=rating-A-overall][value='2']").tap()
    page.locator("flag-set summary").tap()
    page.get_by_role("radiogroup", name="False claim").get_by_role("radio", name="Yes").tap()
    page.get_by_role("button", name="Submit").tap()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert (sent(world, "rate")["overall"], sent(world, "rate")["flags"]["false_claim"]) == (2, True)


def test_an_undone_rating_comes_back_as_it_was_sent(rating):
    page = rating()
    press(page, "2 m 1 Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    press(page, "z")
    expect(page.locator("input[name=rating-A-overall][value='2']")).to_be_checked()
    expect(page.locator("input[name=flag-A-fails_instruction][value=yes]")).to_be_checked()


def test_a_long_answer_warns_once_before_it_was_opened(world, site):
    ask_to_rate(world, ANSWERS[3] * 2)
    page = held(world, site, "rate")
    press(page, "4 r Enter")
    expect(page.locator("[data-part=missing]")).to_contain_text("You have not opened")
    press(page, "o Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()


def test_keys_alone_repair_beside_what_is_wrong_and_a_live_diff(repair, world):
    page = repair()
    expect(page.get_by_role("region", name="What is wrong with the answer")).to_contain_text("Misses a condition")
    press(page, "e Control+End")
    page.keyboard.type(" In summer.")
    expect(page.locator("ins")).to_contain_text("In summer.")
    page.keyboard.press("Tab")
    page.locator("#about").fill("The season was asked for.")
    press(page, "Control+Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    found = sent(world, "repair")
    assert (found["text"], found["distance"]) == (f"{BODY} In summer.", 2)
    assert found["note"] == "The season was asked for."


def test_a_repair_that_changes_nothing_is_told_so(repair):
    page = repair()
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("alert")).to_contain_text("The text is as it was")


def test_a_finger_alone_repairs_on_a_phone_and_undoes(repair, world):
    page = repair(width=360, touch=True)
    page.locator("[data-part=before] summary").tap()
    page.get_by_label("Repaired answer").fill("Ski.")
    page.get_by_role("button", name="Submit").tap()
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.get_by_role("button", name="Undo").tap()
    expect(page.get_by_label("Repaired answer")).to_have_value("Ski.")
