"""Writing an instruction and its answer on one screen."""

import pytest
from playwright.sync_api import expect

from annotate.models import Draft, Revision
from tests.annotate.conftest import leased
from tests.browser.world import ask_for_pairs

INSTRUCTION = "Name three fruits that ripen in autumn."
ANSWER = "Apples, quinces and medlars all ripen in autumn."


@pytest.fixture
def pairs(world):
    return ask_for_pairs(world)


@pytest.fixture
def writing(world, pairs, site):
    """A task without a prompt on ana's screen."""
    slot = leased(pairs, world.people["ana"])

    def open(**how):
        return site.visit(world.people["ana"], f"/slots/{slot.uuid}/", **how)

    return open


def test_a_pair_is_written_by_keyboard_and_reviewed_as_any_answer(writing, world, pairs, site):
    page = writing()
    for _ in ("Guidelines", "Explain", "Keys", "Your instruction"):
        page.keyboard.press("Tab")
    expect(page.get_by_label("Your instruction")).to_be_focused()
    page.keyboard.type(INSTRUCTION)
    page.keyboard.press("Tab")
    expect(page.get_by_label("Your answer")).to_be_focused()
    page.keyboard.type(ANSWER)
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    stored = Revision.objects.get(judgement__task__queue=pairs).answer
    assert (stored["instruction"], stored["text"]) == (INSTRUCTION, ANSWER)
    slot = leased(world.queues["review_answer"], world.people["rex"])
    review = site.visit(world.people["rex"], f"/slots/{slot.uuid}/")
    expect(review.get_by_role("region", name="Prompt")).to_contain_text(INSTRUCTION)
    expect(review.get_by_role("article", name="Answer")).to_contain_text(ANSWER)


def test_an_instruction_is_sent_from_its_own_field_too(writing):
    page = writing()
    page.get_by_label("Your answer").fill(ANSWER)
    page.get_by_label("Your instruction").fill(INSTRUCTION)
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()


def test_a_missing_instruction_is_refused_in_words_at_its_field(writing):
    page = writing()
    page.get_by_label("Your answer").fill(ANSWER)
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("alert").filter(has_text="The instruction is empty.")).to_be_visible()
    expect(page.get_by_label("Your instruction")).to_be_focused()


def test_both_halves_survive_a_reload_at_once(writing):
    page = writing()
    page.get_by_label("Your instruction").fill(INSTRUCTION)
    page.get_by_label("Your answer").fill(ANSWER)
    page.reload()
    expect(page.get_by_label("Your instruction")).to_have_value(INSTRUCTION)
    expect(page.get_by_label("Your answer")).to_have_value(ANSWER)


def test_a_draft_of_both_reaches_the_server_and_stands_in_another_browser(writing, world):
    page = writing()
    page.get_by_label("Your answer").fill(ANSWER)
    page.get_by_label("Your instruction").fill(INSTRUCTION)
    expect(page.get_by_text("Draft saved")).to_be_visible()
    elsewhere = writing(fresh=True)
    expect(elsewhere.get_by_label("Your instruction")).to_have_value(INSTRUCTION)
    expect(elsewhere.get_by_label("Your answer")).to_have_value(ANSWER)
    form = Draft.objects.get(user=world.people["ana"]).body["form"]
    assert (form["instruction"], form["text"]) == ([INSTRUCTION], [ANSWER])


def test_a_notice_of_an_instruction_comes_before_any_answer_and_goes_with_it(writing, world, pairs, site):
    page = writing()
    page.get_by_label("Your answer").fill(ANSWER)
    page.get_by_label("Your instruction").fill(INSTRUCTION)
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    notice = page.get_by_text("An instruction much like this one exists already.")
    page.get_by_label("Your instruction").fill(INSTRUCTION)
    expect(notice).to_be_visible()
    page.get_by_label("Your instruction").fill("What is a quince?")
    expect(notice).to_be_hidden()
