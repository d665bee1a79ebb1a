"""Cleaning in a real browser: one key keeps, two reject, an edit replaces, Z takes back."""

import pytest
from playwright.sync_api import expect

from annotate.models import Revision, Text
from tests.annotate.conftest import leased
from tests.browser.world import ask_to_clean


@pytest.fixture
def held(world, site):
    """A flagged document on rex's screen."""
    ask_to_clean(world)
    slot = leased(world.queues["clean"], world.people["rex"])

    def open(**how):
        return site.visit(world.people["rex"], f"/slots/{slot.uuid}/", **how)

    return open


def body_of(world) -> dict:
    """The one answer's body; its evidence as a list of verdicts."""
    body = Revision.objects.get(judgement__task__queue=world.queues["clean"], kind="submit").answer
    return {**body, "evidence": list(body["evidence"].values())}


def test_one_key_keeps(held, world):
    page = held()
    page.keyboard.press("a")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert body_of(world) == {"decision": "keep", "reasons": [], "evidence": [None, None, None]}


def test_two_keys_reject_with_a_reason(held, world):
    page = held()
    page.keyboard.press("x")
    page.keyboard.press("1")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert body_of(world)["reasons"] == ["duplicate"]


def test_x_twice_collects_several_reasons_until_enter(held, world):
    page = held()
    for key in ["x", "x", "1", "6", "Enter"]:
        page.keyboard.press(key)
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert body_of(world)["reasons"] == ["duplicate", "boilerplate"]


def test_digits_before_x_judge_the_evidence(held, world):
    page = held()
    for key in ["1", "j", "2"]:
        page.keyboard.press(key)
    expect(page.locator("[data-part=answered]")).to_have_text("2 of 3 answered")
    page.keyboard.press("a")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert body_of(world)["evidence"] == ["right", "wrong", None]


def test_an_edit_shows_its_difference_and_becomes_a_text(held, world):
    page = held()
    page.keyboard.press("e")
    field = page.get_by_label("Edited text")
    expect(field).to_be_focused()
    field.fill(field.input_value().replace("the school nurse", "a nurse"))
    expect(page.locator("word-diff[data-part=diff] ins")).to_have_text(" added: a")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert "a nurse gave" in Text.objects.get(pk=body_of(world)["text_id"]).body


def test_an_unsafe_word_is_covered_until_o(held):
    page = held()
    expect(page.locator("mark.under")).to_be_hidden()
    page.keyboard.press("o")
    expect(page.locator("mark.under")).to_be_visible()


def test_v_compares_with_the_kept_text(held):
    page = held()
    page.keyboard.press("v")
    expect(page.locator("[data-part=duplicate] del").first).to_have_text(" only there: our")


def test_taps_alone_reject_on_a_phone(held, world):
    page = held(width=360, touch=True)
    page.get_by_label("Boilerplate").tap()
    page.get_by_role("button", name="Reject").tap()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert body_of(world)["reasons"] == ["boilerplate"]


def test_a_tap_on_reject_without_a_reason_asks_for_one(held):
    page = held(width=360, touch=True)
    page.get_by_role("button", name="Reject").tap()
    expect(page.locator("[data-part=missing]")).to_contain_text("Choose a reason")


def test_z_brings_the_document_back_with_its_verdicts(held, world):
    page = held()
    page.keyboard.press("1")
    page.keyboard.press("a")
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.keyboard.press("z")
    expect(page.locator("input[name=evidence-1][value=right]")).to_be_checked()
    assert Revision.objects.filter(judgement__task__queue=world.queues["clean"], kind="undo").count() == 1


def test_keys_turned_off_do_nothing(held, world):
    rex = world.people["rex"]
    rex.keys_on = False
    rex.save(update_fields=["keys_on"])
    page = held()
    page.keyboard.press("a")
    expect(page.get_by_role("button", name="Keep")).to_be_visible()
    assert not Revision.objects.filter(judgement__task__queue=world.queues["clean"]).exists()


def test_s_skips_with_a_reason(held, world):
    page = held()
    page.keyboard.press("s")
    page.get_by_label("A text is broken").check()
    page.get_by_role("button", name="Skip task").click()
    expect(page.get_by_text("Skipped; others get it.")).to_be_visible()
    assert world.queues["clean"].tasks.get().exclusions.get().skip == "broken_text"
