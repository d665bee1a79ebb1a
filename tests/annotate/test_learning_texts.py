"""The texts to learn from keep their own rules: depths, lengths, names, links."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from annotate.learning import files, glossary, linking, quiz, schedule, texts
from annotate.rendering import blocks, html, html_of
from trainer.contract import configs

TERMS = list(glossary.terms("en").values())
QUESTIONS = list(quiz.questions("en").values())
SECTIONS = [(stage, depth) for stage in texts.STAGES for depth in texts.DEPTHS]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def section(stage: str, depth: str) -> str:
    return texts.stage_text(stage, "en").sections[depth]


def test_every_file_is_a_stage_and_every_stage_a_file():
    folder = files.folder_of("en", below="texts")
    assert sorted(path.stem for path in folder.iterdir()) == sorted(texts.STAGES)


@pytest.mark.parametrize("stage", texts.STAGES)
def test_a_stage_is_told_at_three_depths(stage):
    assert tuple(texts.stage_text(stage, "en").sections) == texts.DEPTHS


@pytest.mark.parametrize(("stage", "depth"), SECTIONS)
def test_a_section_is_as_short_as_its_depth_asks(stage, depth):
    assert 0 < len(section(stage, depth).split()) <= texts.MOST_WORDS[depth]


@pytest.mark.parametrize("stage", texts.STAGES)
def test_basic_has_one_picture_from_daily_life(stage):
    assert len(re.findall(r"\b[Ii]t is like\b", section(stage, "basic"))) == 1


@pytest.mark.parametrize("stage", texts.STAGES)
def test_medium_has_numbers_of_the_project_by_known_names(stage):
    names = texts.placeholders(section(stage, "medium"))
    assert names
    assert names <= texts.NUMBERS


@pytest.mark.parametrize(("stage", "depth"), [one for one in SECTIONS if one[1] != "medium"])
def test_only_medium_asks_for_numbers(stage, depth):
    assert texts.placeholders(section(stage, depth)) == set()


def test_every_number_is_used_by_a_text():
    assert set().union(*(texts.placeholders(section(stage, "medium")) for stage in texts.STAGES)) == texts.NUMBERS


@pytest.mark.parametrize("stage", texts.STAGES)
def test_detailed_names_its_source(stage):
    assert "**Source.**" in section(stage, "detailed")


@pytest.mark.parametrize("stage", texts.STAGES)
def test_detailed_has_a_formula(stage):
    assert "```" in section(stage, "detailed")


@pytest.mark.parametrize("stage", texts.STAGES)
def test_what_stands_as_code_is_a_field_of_the_stages_config(stage):
    text = texts.stage_text(stage, "en")
    plain = re.sub(r"```.*?```", "", text.sections["detailed"], flags=re.DOTALL)
    known = {field.name for one in text.run_stages for field in configs.fields_for_form(one)}
    assert set(re.findall(r"`([^`]+)`", plain)) - known == set()


@pytest.mark.parametrize("stage", ["pretraining", "instruction_tuning", "ranking", "reward_model", "ppo"])
def test_a_trained_stage_names_fields_of_its_config(stage):
    assert len(re.findall(r"`[a-z_]+`", section(stage, "detailed"))) >= 5


# the glossary


def test_the_glossary_has_sixty_terms_at_least():
    assert len(TERMS) >= 60


def test_no_two_terms_share_a_form():
    forms = Counter(form.lower() for one in TERMS for form in (one.term, *one.aliases))
    assert [form for form, n in forms.items() if n > 1] == []


@pytest.mark.parametrize("one", TERMS, ids=lambda one: one.slug)
def test_a_term_is_whole(one):
    assert all([one.term, one.definition, one.example, one.aid, one.see])
    assert one.stage in texts.STAGES


@pytest.mark.parametrize("one", TERMS, ids=lambda one: one.slug)
def test_a_definition_is_one_sentence(one):
    assert re.fullmatch(r"(?:[^.!?]|\.(?=\d))+\.", one.definition)


@pytest.mark.parametrize("one", TERMS, ids=lambda one: one.slug)
def test_a_term_leads_to_terms_that_exist_and_not_to_itself(one):
    assert set(one.see) <= set(glossary.terms("en")) - {one.slug}


def test_every_term_is_used_by_a_text_a_question_or_another_definition():
    used = {slug for stage, depth in SECTIONS for slug in linked(section(stage, depth))}
    used |= {one.term for one in QUESTIONS}
    used |= {slug for one in TERMS for slug in linked(one.definition) if slug != one.slug}
    assert sorted(set(glossary.terms("en")) - used) == []


def linked(text: str) -> list[str]:
    return linking.linked(blocks(text), language="en", address="#")[1]


def links(text: str, **more: str) -> str:
    return html_of(linking.linked(blocks(text), language="en", address="#", **more)[0])


def test_a_term_is_linked_where_it_first_stands_and_only_there():
    assert links("A token, two tokens.") == (
        '<p>A <a class="term" href="#token" data-term="token">token</a>, two tokens.</p>'
    )


def test_the_longest_form_wins():
    assert linked("A reward model gives it.") == ["reward-model"]


def test_a_term_inside_a_word_is_no_term():
    assert linked("Tokenish things, and a policyholder.") == []


def test_a_hyphen_makes_another_word():
    assert linked("token-free") == []


def test_code_and_headings_stay_without_links():
    assert linked("# Token\n\n`token`\n\n```\ntoken\n```") == []


def test_a_link_is_not_linked_again():
    assert linked("[token](https://example.org/)") == []


def test_a_term_in_emphasis_and_in_a_list_is_linked():
    assert linked("- **policy**\n- *entropy*") == ["policy", "entropy"]


def test_a_definition_does_not_link_to_itself():
    assert "data-term" not in links("A token is a token.", leave="token")


def test_what_people_write_gets_no_links():
    assert "data-term" not in html("A token and a policy.")


def test_a_language_without_texts_reads_english():
    assert texts.stage_text("ppo", "pt-br") == texts.stage_text("ppo", "en")


def test_a_number_that_nobody_supplies_is_a_dash():
    assert texts.filled("{documents} of {prompts}", {"documents": 1204}) == "1,204 of –"


# the quiz


def test_there_are_thirty_questions_at_least():
    assert len(QUESTIONS) >= 30


@pytest.mark.parametrize("one", QUESTIONS, ids=lambda one: one.slug)
def test_a_question_has_four_answers_that_differ_each_with_a_reason(one):
    assert len({option.answer for option in one.options}) == 4
    assert all(option.why for option in one.options)


@pytest.mark.parametrize("one", QUESTIONS, ids=lambda one: one.slug)
def test_a_question_names_a_term_and_a_stage(one):
    assert one.term in glossary.terms("en")
    assert one.stage in texts.STAGES


def test_equal_seeds_draw_equal_tries():
    assert quiz.draw(7, "en") == quiz.draw(7, "en")
    assert quiz.draw(7, "en") != quiz.draw(8, "en")


def test_a_try_has_eight_questions_each_once_with_all_options():
    drawn = quiz.draw(7, "en")
    assert len({one.slug for one in drawn}) == len(drawn) == 8
    assert all(sorted(one.order) == [0, 1, 2, 3] for one in drawn)


def test_the_right_answer_stands_in_each_place_about_equally_often():
    # 2,000 questions, a quarter each: 500 ± 19 is one deviation, so 100 off has odds below 1 in a million
    places = Counter(one.order.index(0) for seed in range(250) for one in quiz.draw(seed, "en"))
    assert all(400 < places[place] < 600 for place in range(4))


# the schedule


def test_the_same_ratings_give_the_same_dates():
    ratings = [(3, NOON), (3, NOON + timedelta(minutes=10)), (4, NOON + timedelta(days=3))]
    assert schedule.replayed(ratings) == schedule.replayed(ratings)


def test_good_twice_comes_back_in_days_and_again_in_a_minute():
    # FSRS's default steps: 1 and 10 minutes; then the first stability of Good, 2.3 days, rounds to 2
    good = schedule.replayed([(3, NOON), (3, NOON + timedelta(minutes=10))])
    again = schedule.replayed([(1, NOON)])
    assert good is not None
    assert again is not None
    assert (good.due_at - good.last_at, again.due_at - again.last_at) == (timedelta(days=2), timedelta(minutes=1))


def test_a_better_rating_comes_back_later():
    due = [schedule.reviewed(None, rating=rating, at=NOON).due_at for rating in schedule.RATINGS]
    assert due == sorted(set(due))


def test_no_ratings_are_no_memory():
    assert schedule.replayed([]) is None
