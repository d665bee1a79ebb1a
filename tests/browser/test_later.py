"""What a person does to an answer after it was sent, and how long it is said to have taken."""

import pytest
from playwright.sync_api import expect

from annotate.models import Hiding, Judgement, Presentation
from tests.annotate.conftest import answer, leased
from tests.browser.world import LESSON, ask_to_clean, ask_to_write

HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => Boolean(hidden) });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture
def skipping(world, site):
    """Two prompts; ana has one on her screen."""
    ask_to_write(world)
    ask_to_write(world, "What does zip do?")
    slot = leased(world.queues["write_answer"], world.people["ana"])
    return site.visit(world.people["ana"], f"/slots/{slot.uuid}/"), slot


def test_a_skip_by_keys_is_taken_back_by_one(skipping):
    page, slot = skipping
    page.keyboard.press("s")
    page.get_by_label("It upsets me").check()
    page.get_by_role("button", name="Skip task").click()
    expect(page.get_by_text("Skipped; others get it.")).to_be_visible()
    page.keyboard.press("z")
    page.wait_for_url(f"**/slots/{slot.uuid}/")
    assert not slot.task.exclusions.exists()


def test_what_upsets_is_hidden_by_keys_until_ones_own_midnight(world, site):
    ask_to_clean(world)
    ask_to_clean(world, LESSON.replace("Every year", "Each year"))
    slot = leased(world.queues["clean"], world.people["rex"])
    page = site.visit(world.people["rex"], f"/slots/{slot.uuid}/")
    page.keyboard.press("s")
    offer = page.get_by_label("tasks marked “sexual”")
    expect(offer).to_be_hidden()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("It upsets me")).to_be_checked()
    page.keyboard.press("Tab")
    expect(offer).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.get_by_text("What is left is marked as what you have hidden for today.")).to_be_visible()
    until = page.evaluate("new Date(new Date().setHours(24, 0, 0, 0)).getTime()")
    assert Hiding.objects.get(project=world.project).until.timestamp() * 1_000 == until
    page.keyboard.press("z")
    page.wait_for_url(f"**/slots/{slot.uuid}/")
    assert not Hiding.objects.filter(project=world.project).exists()


def test_a_skip_for_another_reason_asks_for_words_in_place(skipping):
    page, slot = skipping
    page.keyboard.press("s")
    page.get_by_role("radio", name="Something else").check()
    page.get_by_role("button", name="Skip task").click()
    expect(page.locator("#note:invalid")).to_be_focused()
    page.locator("#note").fill("The prompt is about a person.")
    page.get_by_role("button", name="Skip task").click()
    expect(page.get_by_text("Skipped; others get it.")).to_be_visible()
    assert slot.task.exclusions.get().note == "The prompt is about a person."


def test_an_answer_is_changed_by_keys_and_the_change_taken_back(world, site):
    ask_to_write(world)
    judgement = answer(world.queues["write_answer"], world.people["ana"], {"text": "It pairs items."}).judgement
    page = site.visit(world.people["ana"], f"/p/{world.project.uuid}/mine/")
    page.get_by_role("link", name="Edit").click()
    expect(page.get_by_label("Your answer")).to_have_value("It pairs items.")
    page.get_by_label("Your answer").fill("It pairs the items of several iterables.")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Changed.")).to_be_visible()
    page.keyboard.press("z")
    expect(page.get_by_text("what stood before stands again")).to_be_visible()
    said = [one.answer["text"] for one in judgement.revisions.order_by("number")]
    assert said == ["It pairs items.", "It pairs the items of several iterables.", "It pairs items."]


def test_what_was_typed_into_a_change_outlives_a_reload(world, site):
    ask_to_write(world)
    judgement = answer(world.queues["write_answer"], world.people["ana"], {"text": "It pairs items."}).judgement
    page = site.visit(world.people["ana"], f"/judgements/{judgement.uuid}/edit/")
    page.get_by_label("Your answer").fill("It pairs the items")
    page.reload()
    expect(page.get_by_label("Your answer")).to_have_value("It pairs the items")


def test_the_time_that_is_stored_is_that_of_a_visible_and_touched_tab(world, site):
    ask_to_write(world)
    slot = leased(world.queues["write_answer"], world.people["ana"])
    page = site.visit(world.people["ana"], f"/slots/{slot.uuid}/", fresh=True)
    page.clock.install(time=1_800_000_000)
    page.reload()
    page.get_by_label("Your answer").fill("It removes common blanks.")
    page.clock.pause_at(1_800_003_600)  # an hour, of which the first minute counts: opening is input, nothing follows
    page.keyboard.press("Shift")
    page.clock.run_for(30_000)
    page.keyboard.press("Shift")
    page.clock.run_for(90_000)  # 60 s of them count
    page.evaluate(HIDE, 1)
    page.clock.run_for(20_000)
    page.evaluate(HIDE, 0)
    page.clock.run_for(10_000)
    page.keyboard.press("Control+Enter")
    page.wait_for_url("**/work/**")
    found = Presentation.objects.get(revision__judgement=Judgement.objects.get(task=slot.task))
    assert 160_000 <= (found.active_ms or 0) < 175_000  # beside the minute, what loading and filling took
    assert found.hidden_ms == 20_000
    assert found.by == "keyboard"
