"""Ranking in a real browser, by keys alone and by taps alone."""

import pytest
from playwright.sync_api import expect

from annotate.models import Revision
from tests.annotate.conftest import leased
from tests.browser.world import ANSWERS, ask_to_rank

SHORT = ["The least.", "The most.", "A number.", "Nothing."]


@pytest.fixture
def held(world, site):
    """A ranking of four short answers on ana's screen."""
    ask_to_rank(world, SHORT)
    slot = leased(world.queues["rank"], world.people["ana"])

    def open(**how):
        return site.visit(world.people["ana"], f"/slots/{slot.uuid}/", **how)

    return open


def letters_of(world) -> list[list[str]]:
    """The groups of the one answer, in the letters that ana saw."""
    revision = Revision.objects.get(judgement__task__queue=world.queues["rank"], kind="submit")
    letters = dict(zip(revision.presentation.order, "ABCD", strict=True))
    return [[letters[pk] for pk in group] for group in revision.answer["groups"]]


def answered(world) -> Revision:
    return Revision.objects.get(judgement__task__queue=world.queues["rank"], kind="submit")


def press(page, keys: str) -> None:
    for key in keys.split():
        page.keyboard.press(key)


def chips(page) -> list[str]:
    """The strip as it reads: ["1 D", "2 A", "= C", "3 B last one left"]."""
    return [text for text in page.locator("[data-part=chips] > li").all_inner_texts()]


def test_three_letters_and_enter_rank_four_answers(held, world):
    page = held()
    press(page, "D A C Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert letters_of(world) == [["D"], ["A"], ["C"], ["B"]]


def test_an_equals_sign_ties_the_next_letter(held, world):
    page = held()
    press(page, "D A = C Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert letters_of(world) == [["D"], ["A", "C"], ["B"]]


def test_the_line_stands_under_the_letter_typed_last(held, world):
    page = held()
    press(page, "D A L C Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert answered(world).answer["acceptable_groups"] == 2


def test_zero_says_that_none_is_acceptable(held, world):
    page = held()
    press(page, "D A C 0 Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert answered(world).answer["acceptable_groups"] == 0


def test_backspace_takes_back_the_step_that_came_by_itself_first(held):
    page = held()
    press(page, "D A C Backspace")
    expect(page.locator("[data-part=count]")).to_have_text("Placed 3 of 4")
    page.keyboard.press("Backspace")
    expect(page.locator("[data-part=count]")).to_have_text("Placed 2 of 4")


def test_digits_rate_and_move_on(held, world):
    page = held()
    press(page, "6 7 5")
    assert page.locator("input[name^=rating]:checked").evaluate_all("all => all.map(one => one.name + one.value)") == [
        "rating-A-helpful6",
        "rating-A-truthful7",
        "rating-B-helpful5",
    ]
    expect(page.locator("#rating-B-truthful input").first).to_be_focused()


def test_a_letter_ranks_while_a_rating_has_the_focus(held):
    page = held()
    press(page, "6 B 7")
    expect(page.locator("[data-part=count]")).to_have_text("Placed 1 of 4")
    expect(page.locator("input[name=rating-A-truthful][value='7']")).to_be_checked()


def test_enter_with_answers_unplaced_says_which(held):
    page = held()
    press(page, "D Enter")
    expect(page.locator("[data-part=missing]")).to_have_text("Every answer needs a place; none yet: A, B, C.")


def test_taps_alone_rank_tie_and_submit_on_a_phone(held, world):
    page = held(width=360, touch=True)
    page.get_by_role("button", name="Place C 1st").tap()
    page.get_by_role("button", name="Place A 2nd").tap()
    page.get_by_role("button", name="2 of 4 placed").tap()
    page.get_by_role("button", name="Tie", exact=True).tap()
    page.get_by_role("button", name="2 of 4 placed").tap()
    page.get_by_role("button", name="Tie D with 2nd").tap()
    page.get_by_role("button", name="Submit").tap()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert letters_of(world) == [["C"], ["A", "D"], ["B"]]


def test_a_chip_moves_an_answer_up(held):
    page = held()
    press(page, "D A C")
    page.get_by_role("button", name="Move C up").click()
    assert [text.replace("\n", " ") for text in chips(page)][:3] == ["1 D", "2 C", "3 A"]


def test_a_reload_shows_the_same_ranking(held):
    page = held()
    press(page, "B 6")
    page.reload()
    expect(page.locator("[data-part=count]")).to_have_text("Placed 1 of 4")
    expect(page.locator("input[name=rating-A-helpful][value='6']")).to_be_checked()


def test_z_brings_the_ranking_back_as_it_was_sent(held, world):
    page = held()
    press(page, "D A = C L Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    page.keyboard.press("z")
    expect(page.locator("[data-part=count]")).to_have_text("Placed 4 of 4")
    assert answered(world).judgement.revisions.count() == 2


FULL = pytest.mark.full


@pytest.mark.parametrize("k", [2, *(pytest.param(k, marks=FULL) for k in range(3, 9)), 9])
def test_a_ranking_of_k_takes_k_keys_at_most(k, world, site):
    ask_to_rank(world, answers=[f"{SHORT[1]} {n}" for n in range(k)])
    slot = leased(world.queues["rank"], world.people["ana"])
    page = site.visit(world.people["ana"], f"/slots/{slot.uuid}/")
    keys = [*"ABCDEFGHI"[: k - 1], "Enter"]
    press(page, " ".join(keys))
    expect(page.get_by_text("Everything in that queue is answered.")).to_be_visible()
    assert len(keys) <= k
    assert [len(group) for group in answered(world).answer["groups"]] == [1] * k


@pytest.mark.parametrize(("keys", "more"), [("A = B C Enter", 1), ("A L B C Enter", 1), ("A = B L C Enter", 2)])
def test_a_tie_and_the_line_take_one_key_more_each(held, world, keys, more):
    page = held()
    press(page, keys)
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert len(keys.split()) == 4 + more


def test_a_long_answer_folds_and_enter_warns_once_that_it_was_not_opened(world, site):
    ask_to_rank(world, ANSWERS)
    slot = leased(world.queues["rank"], world.people["ana"])
    page = site.visit(world.people["ana"], f"/slots/{slot.uuid}/")
    press(page, "D A C Enter")
    expect(page.locator("[data-part=missing]")).to_contain_text("You have not opened all of")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()


def test_o_opens_long_answers_and_folds_them_again(world, site):
    ask_to_rank(world, ANSWERS)
    slot = leased(world.queues["rank"], world.people["ana"])
    page = site.visit(world.people["ana"], f"/slots/{slot.uuid}/")
    folded = page.locator("[data-part=text].folded")
    expect(folded).to_have_count(1)
    page.keyboard.press("o")
    expect(folded).to_have_count(0)
    page.keyboard.press("o")
    expect(folded).to_have_count(1)
    press(page, "D A C Enter")  # it was opened once, so that nothing warns
    expect(page.get_by_text("Saved.")).to_be_visible()


@pytest.fixture
def partial(world, held):
    world.queues["rank"].partial = True
    world.queues["rank"].save(update_fields=["partial"])
    return held


def test_a_partial_ranking_places_nothing_by_itself_and_is_sent_as_it_stands(partial, world):
    page = partial()
    press(page, "D A B")
    expect(page.locator("[data-part=count]")).to_have_text("Placed 3 of 4")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert letters_of(world) == [["D"], ["A"], ["B"]]
    assert len(answered(world).answer["unplaced"]) == 1


def test_an_untouched_screen_is_no_ranking_even_where_some_may_stay_unplaced(partial, world):
    page = partial()
    page.keyboard.press("Enter")
    expect(page.locator("[data-part=missing]")).to_contain_text("none yet: A, B, C, D")
    assert not Revision.objects.filter(judgement__task__queue=world.queues["rank"]).exists()


@pytest.fixture
def drawn(world, held):
    world.queues["rank"].line_required = True
    world.queues["rank"].save(update_fields=["line_required"])
    return held


@pytest.mark.parametrize(("keys", "line"), [("L Enter", 3), ("Enter Enter", 3), ("0 Enter", 0)])
def test_enter_asks_where_acceptable_ends_and_the_line_then_sends(drawn, world, keys, line):
    page = drawn()
    press(page, "D A C Enter")
    expect(page.locator("[data-part=missing]")).to_have_text("Where does acceptable end?")
    expect(page.locator("[data-part=line]")).to_be_focused()
    assert chips(page)[-1] == "Where does acceptable end?"
    assert not Revision.objects.filter(judgement__task__queue=world.queues["rank"]).exists()
    press(page, keys)
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert answered(world).answer["acceptable_groups"] == line


def test_a_phone_is_asked_where_acceptable_ends_in_its_sheet(drawn, world):
    page = drawn(width=360, touch=True)
    for letter in "DAC":
        page.get_by_role("button", name=f"Place {letter}").tap()
    page.get_by_role("button", name="Submit").tap()
    expect(page.locator(".asked")).to_be_in_viewport()
    page.get_by_role("button", name="Line", exact=True).tap()
    expect(page.locator(".asked")).to_have_count(0)
    page.get_by_role("button", name="Submit").tap()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert answered(world).answer["acceptable_groups"] == 3


def drag(page, letter: str, to, *, x: float = 0.5, release: bool = True) -> None:
    """Moves the letter of a card, by the pointer, to a share of the width of what it is let go on."""
    page.locator(f"#h-{letter}").hover()
    page.mouse.down()
    box = to.bounding_box()
    page.mouse.move(box["x"] + x * box["width"], box["y"] + box["height"] / 2, steps=4)
    if release:
        page.mouse.up()


def chip(page, letter: str):
    return page.locator(f".chip[data-letter={letter}]")


def test_dragging_places_before_after_and_ties(held, world):
    page = held()
    drag(page, "A", page.locator("[data-part=chips]"))
    drag(page, "D", chip(page, "A"), x=0.1)
    drag(page, "C", chip(page, "A"), x=0.5)
    assert [text.replace("\n", " ") for text in chips(page)][:3] == ["1 D", "2 A", "= C"]
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert letters_of(world) == [["D"], ["A", "C"], ["B"]]


def test_a_drag_acts_on_release_and_escape_or_a_drop_elsewhere_leaves_all_as_it_was(held):
    page = held()
    press(page, "A")
    drag(page, "D", chip(page, "A"), release=False)
    expect(page.locator("[data-part=count]")).to_have_text("Placed 1 of 4")
    page.keyboard.press("Escape")
    page.mouse.up()
    drag(page, "C", page.locator("#h-B"))
    expect(page.locator("[data-part=count]")).to_have_text("Placed 1 of 4")
    expect(page.locator(".ghost")).to_have_count(0)


def test_v_shows_two_answers_word_by_word(held):
    page = held()
    press(page, "D A v")
    box = page.get_by_role("dialog", name="Word by word")
    sides = box.locator("select")
    assert [side.input_value() for side in sides.all()] == ["D", "A"]
    sides.nth(1).select_option("B")
    card = page.locator("[data-letter=B] [data-part=text]").inner_text()
    expect(box.locator("word-diff")).to_contain_text(card.split()[-1])
    expect(box.locator("ins").nth(1)).to_contain_text("only in B")
    page.keyboard.press("Escape")
    expect(box).to_be_hidden()
