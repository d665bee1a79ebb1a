"""Prompts of several turns: the newest open, the others one key away, in every direction of writing."""

import pytest
from playwright.sync_api import expect

from annotate.actions.build_tasks import TaskItem
from tests.annotate.conftest import build, leased, make_prompt, make_text
from tests.browser.site import findings, sideways

FIRST, SAID, NEWEST = (
    "What is a fast?",
    "צום הוא הימנעות מאוכל.\n\nA day without food.",
    "ומתי הוא מתחיל? When does it begin?",
)
ANSWERS = ["At sunset.", "בשקיעה, with `sunset`.", "In the evening. " * 60]


@pytest.fixture
def asked(world):
    """The newest turn of a conversation of three."""
    first = make_prompt(world.project, FIRST)
    return make_prompt(world.project, NEWEST, parent=make_text(world.project, SAID, parent=first))


def show(world, site, kind, who, texts, **how):
    build(world.queues[kind], TaskItem(texts=texts))
    slot = leased(world.queues[kind], world.people[who])
    return site.visit(world.people[who], f"/slots/{slot.uuid}/", **how)


@pytest.fixture
def ranking(world, site, asked):
    texts = [(asked, "prompt"), *((make_text(world.project, one, parent=asked), "answer") for one in ANSWERS)]
    return lambda **how: show(world, site, "rank", "ana", texts, **how)


def test_the_newest_turn_is_open_and_p_opens_and_folds_the_others(ranking):
    page = ranking()
    expect(page.get_by_text("When does it begin?")).to_be_visible()
    expect(page.get_by_text(FIRST)).to_be_hidden()
    page.keyboard.press("p")
    expect(page.get_by_text(FIRST)).to_be_visible()
    expect(page.get_by_text("A day without food.")).to_be_visible()
    page.keyboard.press("p")
    expect(page.get_by_text(FIRST)).to_be_hidden()


@pytest.mark.parametrize(("kind", "who"), [("write_answer", "ana"), ("review_answer", "rex")])
def test_p_opens_turns_elsewhere_too(kind, who, world, site, asked):
    texts = [(asked, "prompt")]
    if kind == "review_answer":
        texts.append((make_text(world.project, ANSWERS[0], parent=asked), "answer"))
    page = show(world, site, kind, who, texts)
    expect(page.get_by_text(FIRST)).to_be_hidden()
    page.locator("body").evaluate("body => document.activeElement.blur()")
    page.keyboard.press("p")
    expect(page.get_by_text(FIRST)).to_be_visible()
    assert (findings(page), sideways(page)) == ([], 0)


def test_earlier_turns_open_without_scripts(ranking):
    page = ranking(scripts=False)
    page.get_by_text("Earlier turns: 2").click()
    expect(page.get_by_text(FIRST)).to_be_visible()


EDGES = """all => all.map((one) => {
  const range = document.createRange();
  range.selectNodeContents(one);
  const [text, box] = [range.getBoundingClientRect(), one.getBoundingClientRect()];
  return text.left - box.left > box.right - text.right ? "right" : "left";
})"""


def test_each_paragraph_stands_at_the_side_where_its_script_begins(ranking):
    page = ranking()
    page.keyboard.press("p")
    paragraphs = page.locator(".turn.assistant p:not(.muted)")
    assert paragraphs.evaluate_all(EDGES) == ["right", "left"]


@pytest.mark.parametrize("width", [360, 1_280])
def test_an_open_conversation_fits_and_axe_finds_nothing(ranking, width):
    page = ranking(width=width)
    page.keyboard.press("p")
    assert (findings(page), sideways(page)) == ([], 0)
