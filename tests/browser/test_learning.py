"""Learning in a real browser: the drawer at its depths, cards and quiz by keys alone, and without a script."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from annotate.models import CardReview, QuizAnswer, QuizTry
from tests.annotate.conftest import leased
from tests.browser.site import findings, sideways
from tests.browser.world import ask_to_rank, ask_to_write


@pytest.fixture
def ranking(world, site):
    """A ranking task on ana's screen."""
    ask_to_rank(world)
    slot = leased(world.queues["rank"], world.people["ana"])

    def open(query: str = "", **how) -> Page:
        return site.visit(world.people["ana"], f"/slots/{slot.uuid}/{query}", **how)

    return open


@pytest.fixture
def see(world, site):
    def open(path: str, **how) -> Page:
        return site.visit(world.people["ana"], path, **how)

    return open


def test_y_opens_the_drawer_and_escape_closes_it(ranking):
    page = ranking()
    page.keyboard.press("y")
    expect(page.get_by_role("heading", name="Ranking")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("heading", name="Ranking")).to_be_hidden()


def test_another_depth_comes_without_losing_what_was_begun(ranking, world):
    page = ranking()
    page.keyboard.press("a")
    page.keyboard.press("y")
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        page.get_by_role("link", name="Detailed").click()
    expect(page.get_by_text("The Bradley-Terry model gives each answer")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("Placed 1 of 4").first).to_be_visible()
    world.people["ana"].refresh_from_db()
    assert world.people["ana"].explain_depth == "detailed"


def test_a_term_unfolds_in_the_drawer(ranking):
    page = ranking()
    page.keyboard.press("y")
    page.get_by_role("link", name="Detailed").click()
    page.locator("[data-part=text]").get_by_role("link", name="Bradley-Terry model").click()
    expect(page.get_by_text("A rule that turns two hidden strengths")).to_be_visible()
    expect(page).to_have_url(re.compile("/slots/"))


@pytest.mark.full
@pytest.mark.parametrize("depth", ["Basic", "Medium", "Detailed"])
@pytest.mark.parametrize("width", [360, 1_280])
def test_axe_finds_nothing_in_an_open_drawer(see, world, depth, width):
    ask_to_write(world)
    slot = leased(world.queues["write_answer"], world.people["ana"])
    page = see(f"/slots/{slot.uuid}/", width=width)
    page.get_by_role("button", name="Explain").click()
    page.get_by_role("link", name=depth).click()
    expect(page.get_by_role("link", name=depth)).to_have_attribute("aria-current", "true")
    assert (findings(page), sideways(page)) == ([], 0)


def test_without_a_script_a_depth_is_a_section_of_the_page(ranking):
    page = ranking("?depth=medium", scripts=False)
    page.get_by_role("link", name="Detailed").click()
    expect(page).to_have_url(re.compile(r"depth=detailed#explain$"))
    expect(page.get_by_text("The Bradley-Terry model gives each answer")).to_be_visible()


def test_a_lost_depth_says_so_and_keeps_the_text(ranking):
    page = ranking()
    page.route("**/api/v1/learn/texts/**", lambda route: route.abort())
    page.keyboard.press("y")
    page.get_by_role("link", name="Medium").click()
    expect(page.get_by_text("This could not be loaded. Try again.")).to_be_visible()
    expect(page.get_by_text("It is like tasting blind")).to_be_visible()


def test_a_card_is_turned_and_rated_by_keys(see, world):
    page = see("/learn/cards/")
    expect(page.get_by_role("button", name="Good")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Good")).to_be_visible()
    page.keyboard.press("3")
    expect(page.get_by_text("9 left for today")).to_be_visible()
    assert CardReview.objects.get(user=world.people["ana"]).rating == 3


def test_a_card_is_turned_and_rated_without_a_script(see, world):
    page = see("/learn/cards/", scripts=False)
    page.locator("summary").click()
    page.get_by_role("button", name="Again").click()
    expect(page.get_by_text("9 left for today")).to_be_visible()
    assert CardReview.objects.get(user=world.people["ana"]).rating == 1


def test_a_quiz_is_finished_by_keys_alone(see, world):
    page = see("/learn/quiz/")
    page.keyboard.press("Enter")
    for number in range(1, 9):
        expect(page.get_by_role("heading", name=f"Question {number} of 8")).to_be_visible()
        page.keyboard.press("b")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Read more:")).to_be_visible()
        page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=re.compile(r"of 8 right"))).to_be_visible()
    quiz = QuizTry.objects.get(user=world.people["ana"])
    assert set(QuizAnswer.objects.filter(quiz=quiz).values_list("option", flat=True)) == {1}
    assert quiz.right == QuizAnswer.objects.filter(quiz=quiz, right=True).count()


def test_a_question_is_answered_by_taps_without_a_script(see, world):
    page = see("/learn/quiz/", scripts=False, width=360, touch=True)
    page.get_by_role("button", name="Begin").tap()
    page.get_by_role("radio").first.tap()
    page.get_by_role("button", name="Answer").tap()
    expect(page.get_by_role("link", name="Next question")).to_be_visible()
