"""Everything finishes with JavaScript off."""

import pytest
from playwright.sync_api import expect

from annotate.models import Import, Judgement, Membership, Objection, Revision
from tests.annotate.conftest import answer, leased
from tests.browser.world import (
    ask_for_pairs,
    ask_to_clean,
    ask_to_compare,
    ask_to_rank,
    ask_to_rate,
    ask_to_repair,
    ask_to_write,
    write,
)


@pytest.fixture
def plain(world, site):
    """A page without scripts, as one of the cast."""

    def open(who, path):
        return site.visit(world.people[who], path, scripts=False)

    return open


def start(world, kind, who):
    return f"/slots/{leased(world.queues[kind], world.people[who]).uuid}/"


def sent(world, kind: str) -> dict:
    return Revision.objects.get(judgement__task__queue=world.queues[kind], kind="submit").answer


def test_a_log_in_leads_to_where_one_was(world, site):
    page = site.visit(None, f"/p/{world.project.uuid}/work/", scripts=False)
    page.get_by_label("Name").fill(world.people["ana"].name)
    page.locator("#password").fill(f"{world.people['ana'].name} has a long password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Work")).to_be_visible()


def test_work_starts_and_a_document_is_rejected(plain, world):
    ask_to_clean(world)
    page = plain("rex", f"/p/{world.project.uuid}/work/")
    page.get_by_role("button", name="Start").first.click()
    page.get_by_label("Licence").check()
    page.locator("input[name=evidence-1][value=wrong]").check()
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert (sent(world, "clean")["decision"], sent(world, "clean")["reasons"]) == ("reject", ["licence"])


def test_a_returned_answer_is_objected_for(plain, world):
    write(world, "What does zip do?", "It pairs items.")
    answer(world.queues["review_answer"], world.people["rex"], {"decision": "return", "comment": "Of what?"})
    page = plain("ana", start(world, "write_answer", "ana"))
    page.get_by_role("button", name="Object instead").click()
    page.get_by_label("Why your answer should stand").fill("The prompt asks no more.")
    page.get_by_role("button", name="Object", exact=True).click()
    expect(page.get_by_text("Another reviewer decides about it.")).to_be_visible()
    assert Objection.objects.get(task__queue__project=world.project).reason == "The prompt asks no more."


def test_a_rejection_without_a_reason_comes_back_with_what_was_chosen(plain, world):
    ask_to_clean(world)
    page = plain("rex", start(world, "clean", "rex"))
    page.locator("input[name=evidence-2][value=right]").check()
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_role("alert").first).to_contain_text("A rejection needs a reason")
    expect(page.locator("input[name=evidence-2][value=right]")).to_be_checked()


def test_an_answer_is_kept_as_a_draft_and_sent(plain, world):
    ask_to_write(world)
    page = plain("ana", start(world, "write_answer", "ana"))
    page.get_by_label("Your answer").fill("It removes blanks.")
    page.get_by_role("button", name="Save draft").click()
    expect(page.get_by_text("Draft saved.")).to_be_visible()
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert Judgement.objects.filter(user=world.people["ana"]).count() == 1


def test_an_instruction_and_its_answer_are_written(plain, world):
    queue = ask_for_pairs(world)
    page = plain("ana", f"/slots/{leased(queue, world.people['ana']).uuid}/")
    page.get_by_label("Your instruction").fill("Name three fruits.")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_label("Your answer")).to_have_accessible_description("The text is empty.")
    expect(page.get_by_label("Your instruction")).to_have_value("Name three fruits.")
    page.get_by_label("Your answer").fill("Apples, pears and plums.")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert Revision.objects.get(judgement__task__queue=queue).answer["instruction"] == "Name three fruits."


def test_an_answer_is_returned(plain, world):
    write(world, "What does zip do?", "It pairs items.")
    page = plain("rex", start(world, "review_answer", "rex"))
    page.get_by_label("Incomplete").check()
    page.get_by_label("Comment to the author").fill("And unequal lengths?")
    page.get_by_role("button", name="Return").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert sent(world, "review_answer")["comment"] == "And unequal lengths?"


def test_answers_are_ranked_with_a_tie_a_line_and_a_rating(plain, world):
    ask_to_rank(world, ["The least.", "The most.", "A number."])
    page = plain("ana", start(world, "rank", "ana"))
    for letter, place in [("A", "1"), ("B", "3"), ("C", "3")]:
        page.locator(f"#place-{letter}").select_option(place)
    page.locator("#acceptable").select_option("1")
    page.locator("input[name=rating-A-helpful][value='6']").check()
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    answer = sent(world, "rank")
    assert ([len(group) for group in answer["groups"]], answer["acceptable_groups"]) == ([1, 2], 1)


def test_two_answers_are_compared(plain, world):
    ask_to_compare(world, ["The least.", "The most."])
    page = plain("ana", start(world, "pair", "ana"))
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("alert").first).to_contain_text("Say which answer is better")
    page.get_by_role("radio", name="5 B slightly better").check()
    page.get_by_role("checkbox", name="Both unacceptable").check()
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert (sent(world, "pair")["strength"], sent(world, "pair")["both_unacceptable"]) == (1, True)


def test_one_answer_is_rated_with_a_flag_and_a_critique(plain, world):
    ask_to_rate(world, "The least.")
    page = plain("ana", start(world, "rate", "ana"))
    page.locator("input[name=rating-A-overall][value='3']").check()
    page.locator("flag-set summary").click()
    page.get_by_role("radiogroup", name="Off topic").get_by_role("radio", name="No").check()
    page.locator("critique-box summary").click()
    page.get_by_label("Critique of A").fill("> least\nOf what?")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    found = sent(world, "rate")
    assert (found["overall"], found["flags"]["off_topic"], len(found["critique"]["spans"])) == (3, False, 1)


def test_an_answer_is_repaired(plain, world):
    ask_to_repair(world, "The least.")
    page = plain("ana", start(world, "repair", "ana"))
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("alert").first).to_contain_text("The text is as it was")
    page.get_by_label("Repaired answer").fill("The least of all.")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert sent(world, "repair")["distance"] == 3


def test_a_task_is_skipped_and_undo_stands_in_my_answers(plain, world):
    ask_to_write(world)
    page = plain("ana", start(world, "write_answer", "ana"))
    page.get_by_role("button", name="Skip").click()
    page.get_by_label("It upsets me").check()
    page.get_by_role("button", name="Skip task").click()
    expect(page.get_by_text("Skipped; others get it.")).to_be_visible()


def test_an_answer_is_undone_from_my_answers(plain, world):
    write(world, "What does zip do?", "It pairs items.")
    page = plain("ana", f"/p/{world.project.uuid}/mine/")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_label("Your answer")).to_have_value("It pairs items.")


def test_a_file_is_imported(plain, world, broker, tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("Some words of a document.")
    page = plain("ada", f"/p/{world.project.uuid}/data/import/")
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_label("Source").fill("a folder")
    page.get_by_label("Licence").fill("CC0")
    page.get_by_role("button", name="Import file").click()
    expect(page.get_by_role("heading", name="words.txt")).to_be_visible()
    assert Import.objects.get(label="words.txt").source.licence == "CC0"


def test_a_role_is_given_taken_and_undone(plain, world):
    page = plain("ada", f"/p/{world.project.uuid}/people/")
    page.get_by_role("row", name=world.people["abe"].name).get_by_role("button").click()
    expect(page.get_by_text("is no assessor any more.")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("is assessor now.")).to_be_visible()
    assert Membership.objects.filter(user=world.people["abe"], role="assessor").count() == 1


def test_a_token_is_shown_once(plain, world):
    page = plain("ana", "/me/")
    page.get_by_label("Name", exact=True).fill("my script")
    page.get_by_label("read").check()
    page.get_by_role("button", name="Make token").click()
    expect(page.get_by_text("ts_").first).to_be_visible()
    page.goto("/me/")
    expect(page.get_by_text("Copy this key now")).to_have_count(0)


def test_the_dark_theme_is_rendered_by_the_server(plain, world):
    page = plain("ana", "/me/")
    page.get_by_label("dark").check()
    page.get_by_role("button", name="Save").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_home_starts_the_first_of_what_needs_one(plain, world):
    ask_to_write(world)
    page = plain("ana", f"/p/{world.project.uuid}/")
    page.get_by_role("button", name="Write").click()
    expect(page.get_by_label("Your answer")).to_be_visible()


def test_people_are_sorted_by_a_link(plain, world):
    write(world, "What does zip do?", "It pairs items.")
    page = plain("rex", f"/p/{world.project.uuid}/progress/")
    page.get_by_role("link", name="Counted").click()
    expect(page.get_by_role("columnheader", name="Counted")).to_have_attribute("aria-sort", "descending")


def test_words_find_a_page_and_a_task_to_start(plain, world):
    ask_to_write(world)
    page = plain("ana", f"/p/{world.project.uuid}/work/")
    page.get_by_role("link", name="Find").first.click()
    page.get_by_label("Words of its name").fill("start write")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("button", name="Start: Write answers").click()
    expect(page.get_by_label("Your answer")).to_be_visible()


def test_a_key_of_ones_own_is_saved_and_undone(plain, world):
    page = plain("ana", "/me/")
    page.get_by_text("Press something else").click()
    page.get_by_label("Skip").fill("u")
    page.get_by_role("button", name="Save keys").click()
    expect(page.get_by_text("Your keys are changed.")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    world.people["ana"].refresh_from_db()
    assert world.people["ana"].own_keys == {}
