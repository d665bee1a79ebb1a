"""Writing an answer and reviewing it, drafts, and what a lost connection costs: nothing."""

import json

import pytest
from playwright.sync_api import expect

from annotate.models import Draft, Judgement, Revision, Slot, Text
from tests.annotate.conftest import leased
from tests.browser.world import ask_to_write, write

ANSWER = "It removes the blanks that all lines have in common."


@pytest.fixture
def writing(world, site):
    """A prompt on ana's screen."""
    ask_to_write(world)
    slot = leased(world.queues["write_answer"], world.people["ana"])

    def open(**how):
        return site.visit(world.people["ana"], f"/slots/{slot.uuid}/", **how)

    return open


@pytest.fixture
def reviewing(world, site):
    """An answer of ana's on rex's screen."""
    write(world, "What does zip do?", "It pairs items.")
    slot = leased(world.queues["review_answer"], world.people["rex"])
    return site.visit(world.people["rex"], f"/slots/{slot.uuid}/")


def sent(world, kind: str) -> dict:
    return Revision.objects.filter(judgement__task__queue=world.queues[kind], kind="submit").latest("pk").answer


def test_what_is_written_goes_to_a_reviewer(writing, world, site):
    page = writing()
    page.get_by_label("Your answer").fill(ANSWER)
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    slot = leased(world.queues["review_answer"], world.people["rex"])
    review = site.visit(world.people["rex"], f"/slots/{slot.uuid}/")
    expect(review.get_by_text(ANSWER).first).to_be_visible()
    review.keyboard.press("a")
    expect(review.get_by_text("Saved.")).to_be_visible()
    assert sent(world, "review_answer")["decision"] == "accept"


def test_a_notice_comes_and_goes_with_what_is_typed_and_blocks_nothing(writing, world):
    page = writing()
    notice = page.locator("[data-notice=short]")
    page.get_by_label("Your answer").fill("It dedents.")
    expect(notice).to_be_visible()
    page.get_by_label("Your answer").fill(ANSWER)
    expect(notice).to_be_hidden()
    page.get_by_label("Your answer").fill("It dedents.")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()


def test_a_return_needs_a_comment_and_comes_back_to_its_author(reviewing, world, site):
    reviewing.keyboard.press("x")
    reviewing.keyboard.press("1")
    reviewing.keyboard.press("Enter")
    comment = reviewing.get_by_label("Comment to the author")
    expect(comment).to_be_focused()
    comment.fill("Say what happens with unequal lengths.")
    reviewing.keyboard.press("Control+Enter")
    expect(reviewing.get_by_text("Saved.")).to_be_visible()
    mine = site.visit(world.people["ana"], f"/p/{world.project.uuid}/mine/")
    mine.get_by_role("button", name="Write it again").click()
    expect(mine.get_by_text("Say what happens with unequal lengths.")).to_be_visible()
    expect(mine.get_by_role("textbox", name="Your answer")).to_have_value("It pairs items.")


def test_an_edit_of_an_answer_becomes_a_text(reviewing, world):
    reviewing.keyboard.press("e")
    reviewing.get_by_label("Edited answer").fill("It pairs the items of iterables.")
    reviewing.get_by_role("button", name="Edit").click()
    expect(reviewing.get_by_text("Saved.")).to_be_visible()
    assert Text.objects.get(pk=sent(world, "review_answer")["text_id"]).body == "It pairs the items of iterables."


def test_typed_text_survives_a_reload_at_once(writing):
    page = writing()
    page.get_by_label("Your answer").fill(ANSWER)
    page.reload()
    expect(page.get_by_label("Your answer")).to_have_value(ANSWER)


def test_a_draft_reaches_the_server_and_stands_in_another_browser(writing, world):
    page = writing()
    page.get_by_label("Your answer").fill(ANSWER)
    expect(page.get_by_text("Draft saved")).to_be_visible()
    expect(writing(fresh=True).get_by_label("Your answer")).to_have_value(ANSWER)
    assert Draft.objects.get(user=world.people["ana"]).body["form"]["text"] == [ANSWER]


def test_a_draft_that_another_tab_saved_is_not_overwritten(writing, world):
    page = writing()
    Draft.objects.create(slot=Slot.objects.get(user=world.people["ana"]), user=world.people["ana"], body={}, version=3)
    page.get_by_label("Your answer").fill(ANSWER)
    expect(page.get_by_text("Another tab has saved a different draft")).to_be_visible()
    assert Draft.objects.get(user=world.people["ana"]).body == {}


def test_a_failed_send_keeps_the_answer_and_counts_once(writing, world):
    page = writing()
    seen = []

    def lose(route):
        seen.append(route.request.post_data)
        route.continue_() if len(seen) > 1 else route.fetch() and route.abort()

    page.route("**/submit/", lose)
    page.get_by_label("Your answer").fill(ANSWER)
    page.keyboard.press("Control+Enter")
    page.get_by_role("button", name="Try now").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert Judgement.objects.filter(user=world.people["ana"]).count() == 1


def test_a_lost_log_in_says_so_and_loses_nothing(writing):
    page = writing()
    page.get_by_label("Your answer").fill(ANSWER)
    page.context.clear_cookies()
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    assert ANSWER in json.dumps(page.evaluate("Object.values(localStorage)"))


def test_an_empty_answer_is_refused_in_words(writing):
    page = writing()
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("alert").filter(has_text="The text is empty.")).to_be_visible()


def test_a_lease_near_its_end_offers_more(writing, world):
    slot = Slot.objects.filter(user=world.people["ana"])
    slot.update(lease_until=slot.get().leased_at)
    page = writing()
    page.clock.install()
    page.reload()
    page.clock.run_for(6_000)
    expect(page.get_by_text("Your time for this task is over")).to_be_visible()


def test_leaving_hands_the_task_back(writing, world):
    page = writing()
    page.get_by_role("button", name="Leave").click()
    expect(page.get_by_role("heading", name="Work")).to_be_visible()
    assert world.queues["write_answer"].slots.get().status == Slot.Status.OPEN


def test_a_pause_shows_how_the_answer_will_look(writing):
    page = writing()
    page.get_by_label("Your answer").fill("It removes **common** blanks.")
    preview = page.get_by_role("region", name="Preview")
    expect(preview.locator("strong")).to_have_text("common")
    page.get_by_label("Your answer").fill("")
    expect(preview).to_be_hidden()


PASTE = """(field, text) => {
  const clipboardData = new DataTransfer();
  clipboardData.setData("text/plain", text);
  field.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
}"""


@pytest.mark.parametrize(("characters", "asked"), [(201, True), (200, False)])
def test_a_long_paste_is_asked_for_its_source(writing, characters, asked):
    page = writing()
    page.get_by_label("Your answer").evaluate(PASTE, "x" * characters)
    expect(page.get_by_label("Source of what you pasted")).to_be_visible(visible=asked)


def test_the_source_of_a_paste_is_kept_over_a_reload_and_with_the_answer(writing, world):
    page = writing()
    page.get_by_label("Your answer").fill(ANSWER)
    page.get_by_label("Your answer").evaluate(PASTE, "x" * 300)
    page.get_by_label("Source of what you pasted").fill("docs.python.org")
    page.reload()
    expect(page.get_by_label("Source of what you pasted")).to_have_value("docs.python.org")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert sent(world, "write_answer")["pasted"] == "docs.python.org"


def test_a_long_paste_may_be_sent_without_a_source(writing, world):
    page = writing()
    page.get_by_label("Your answer").fill(ANSWER)
    page.get_by_label("Your answer").evaluate(PASTE, "x" * 300)
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert sent(world, "write_answer")["pasted"] is None
