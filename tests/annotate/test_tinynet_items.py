"""Paragraphs, their blanks, and what a round takes of them."""

import random

import numpy as np
import pytest

from annotate.tinynet.items import (
    Paragraph,
    draw_round,
    ending,
    options,
    paragraph,
    payload,
    playable_places,
    reserved,
    theme,
    with_wrong_word,
)
from annotate.tinynet.net import Net
from annotate.tinynet.paragraphs import cloze_order, sentences, window
from annotate.tinynet.play import context_before, example, guess, suspect
from annotate.tinynet.words import Vocabulary
from tests.annotate.game import vocabulary, word

KEY = "ab" * 32


@pytest.fixture(scope="module")
def words():
    return vocabulary()


def text(seed: int = 1, count: int = 10) -> str:
    draws = random.Random(seed)
    lines = ["A title without an end"]
    for _ in range(count):
        chosen = [
            word(draws.randrange(120)) if draws.random() < 0.5 else word(draws.randrange(120, 1_100)) for _ in range(14)
        ]
        lines.append(" ".join(chosen).capitalize() + ".")
    return "\n".join(lines)


def made(document: str, words: Vocabulary, *, start: str = "s" * 64) -> Paragraph:
    """The document's paragraph; it has one."""
    chosen = window(sentences(document))
    assert chosen is not None
    found = paragraph(chosen, words, start=start, key=KEY)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def played(words) -> Paragraph:
    return made(text(), words)


def test_a_paragraph_is_the_first_eight_sentences_that_have_an_item(played):
    assert played.blanks() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert len(played.sentences) == 11


def test_a_text_with_seven_such_sentences_has_no_paragraph(words):
    dull = "The end of it is near now."  # no playable word
    found = window(sentences(f"{text(count=7)}\n{dull}"))
    assert found is not None
    assert paragraph(found, words, start="s" * 64, key=KEY) is None


def test_blanks_are_playable_words_with_something_to_the_left(played, words):
    for item in played.items:
        ids = played.ids[item.sentence]
        assert ids[item.position] == item.gold
        assert words.playable[item.gold]
        assert item.position >= 2


def test_a_sentence_has_at_most_four_blanks_each_once(played):
    for sentence in played.blanks():
        places = [item.position for item in played.items if item.sentence == sentence]
        assert len(places) == len(set(places)) <= 4


def test_wrong_words_are_four_others_that_the_sentence_does_not_have(played, words):
    for item in played.items:
        assert len({item.gold, *item.distractors}) == 5
        assert not set(item.distractors) & set(played.ids[item.sentence])
        assert all(words.playable[other] for other in item.distractors)


def test_wrong_words_are_about_as_common_and_end_alike(played, words):
    for item in played.items:
        for other in item.distractors:
            assert 0.606 <= words.counts[other] / words.counts[item.gold] <= 1.65  # e^±0.5
            assert ending(words.words[other]) == ending(words.words[item.gold])


@pytest.mark.parametrize(
    ("name", "which"),
    [
        ("running", 0),
        ("ring", -1),
        ("walked", 1),
        ("station", 3),
        ("nation", -1),
        ("tides", 4),
        ("its", -1),
        ("city", -1),
    ],
)
def test_an_ending_leaves_a_stem_of_three_letters(name, which):
    assert ending(name) == which


def test_the_same_start_and_text_give_the_same_items(played, words):
    assert made(text(), words) == played
    assert made(text(), words, start="t" * 64) != played


def test_the_wrong_word_of_correction_is_none_of_the_four_shown(played, words):
    item = played.items[0]
    ids = with_wrong_word(played.ids[item.sentence], item)
    assert ids[item.position] == item.wrong
    assert item.wrong not in item.shown
    assert item.position in playable_places(ids, words)


def test_a_round_has_one_item_a_sentence_in_reading_order(played):
    found = draw_round(played.items, seed=1, answers={}, met={})
    assert [item.sentence for item in found] == played.blanks()


def test_a_round_takes_what_fewest_people_have_answered(played):
    fresh = played.items[1]
    answers = {item: 3 for item in played.items if item != fresh}
    assert fresh in draw_round(played.items, seed=1, answers=answers, met={})


def test_nobody_meets_an_item_again_before_all_of_its_sentence_are_used(played):
    met: dict = {}
    first = [item for item in played.items if item.sentence == played.blanks()[0]]
    for seed in range(len(first)):
        chosen = draw_round(played.items, seed=seed, answers=dict.fromkeys(first[1:], 9), met=met)[0]
        met[chosen] = met.get(chosen, 0) + 1
    assert met == dict.fromkeys(first, 1)


def test_ties_go_by_the_seed(played):
    rounds = {tuple(draw_round(played.items, seed=seed, answers={}, met={})) for seed in range(5)}
    assert len(rounds) == 5  # about 3 blanks in each of 8 sentences: two equal rounds have odds of 1 in 600


def test_options_are_the_gold_and_three_others_in_an_order_of_seed_and_number(played):
    item = played.items[0]
    assert sorted(options(item, seed=7, number=1)) == sorted(item.shown)
    assert options(item, seed=7, number=2) == options(item, seed=8, number=1)
    assert len({tuple(options(item, seed=7, number=number)) for number in range(50)}) > 10


def test_the_exam_takes_one_paragraph_in_seven_and_at_most_eight():
    keys = [f"{number:064x}" for number in range(80)]
    assert reserved(keys[:14]) == sorted(keys[:14], key=cloze_order)[-2:]
    assert len(reserved(keys)) == 8
    assert reserved(keys[:6]) == []


def test_the_theme_is_what_comes_back_and_is_rare_elsewhere(words):
    often = word(900)
    sentence = " ".join([often, *(word(rank) for rank in range(6)), word(700), word(800)]).capitalize() + "."
    assert often in theme(made("\n".join([sentence] * 8), words), words)


def test_spans_count_as_javascript_does(words):
    line = "😀 Abc " + " ".join(word(rank) for rank in (1, 2, 700, 800)) + " end."
    first = payload(made("\n".join([line] * 8), words), words)["sentences"][0]
    units = first["text"].encode("utf-16-le")
    start, end = first["spans"][0]
    assert units[2 * start : 2 * end].decode("utf-16-le") == "Abc"


def test_correction_offers_every_playable_word_of_the_wrong_sentence(played, words):
    item = payload(played, words)["items"][0]
    ids = with_wrong_word(played.ids[item["sentence"]], played.items[0])
    assert item["choices"] == [place for place in range(len(ids)) if words.playable[ids[place]]]


def test_the_next_word_is_asked_for_without_what_follows(played, words):
    item = played.items[0]
    assert example(played, item, words, mode="next").right == ()
    assert example(played, item, words, mode="missing").right != ()
    assert example(played, item, words, mode="correction") == example(played, item, words, mode="missing")


def test_the_context_holds_the_content_words_of_all_sentences_before(played, words):
    expected = [one for ids in played.ids[:4] for one in ids if words.content[one]][-60:]
    assert context_before(played, 4, words) == tuple(expected)
    assert context_before(played, 0, words) == ()


def test_the_network_guesses_the_likeliest_of_the_four(played, words):
    net = Net.newborn(1, words.u)
    item = played.items[0]
    net.b2[item.distractors[1]] = 9
    assert guess(net, example(played, item, words, mode="missing"), item.shown) == item.distractors[1]


def test_the_network_suspects_what_is_least_likely_for_how_common_it_is(played, words):
    net = Net.newborn(1, words.u)
    item = max(played.items, key=lambda item: words.counts[item.wrong])  # rarer words stand beside it
    ids = with_wrong_word(played.ids[item.sentence], item)
    net.b2[:] = np.log(np.maximum(words.u, 1e-5))
    net.b2[item.wrong] -= 1.5
    assert suspect(net, words, ids, ()) == item.position
