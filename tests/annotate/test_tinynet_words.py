"""The game's words and sentences."""

import pytest

from annotate.tinynet.paragraphs import chosen, cloze_order, grams, sentences, window
from annotate.tinynet.words import Vocabulary, tokens
from tests.annotate.game import prose, vocabulary


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don’t stop", ["don't", "stop"]),
        ("rock 'n' roll's", ["rock", "n", "roll's"]),
        ("In 1984, 3rd", ["in", "<num>", "<num>", "rd"]),
        ("snake_case, well-known", ["snake", "case", "well", "known"]),
        ("Ältere Öfen", ["ältere", "öfen"]),
        ("… — !", []),
    ],
)
def test_a_word_is_a_run_of_letters_with_apostrophes_inside(text, words):
    assert [token.word for token in tokens(text)] == words


def test_a_word_knows_its_place_in_the_text():
    text = "So: “Don’t” 42"
    assert [text[token.start : token.end] for token in tokens(text)] == ["So", "Don’t", "42"]


def test_ids_go_by_count_and_then_by_alphabet():
    found = Vocabulary.of({"pear": 2, "apple": 2, "tree": 5, "<num>": 9, "rare": 1}, size=6)
    assert found.words == ("<unk>", "<num>", "<s>", "tree", "apple", "pear")
    assert (found.counts, found.total) == ((0, 0, 0, 5, 2, 2), 10)


def test_a_word_without_an_id_is_unknown():
    found = Vocabulary.of({"tree": 5})
    assert found.ids(tokens("Tree 7 moss")) == [3, 1, 0]


def test_the_120_most_frequent_words_and_single_letters_have_no_content():
    counts = {f"w{chr(97 + rank // 26)}{chr(97 + rank % 26)}": 1_000 - rank for rank in range(120)}
    found = Vocabulary.of(counts | {"x": 50, "shore": 40, "rare": 4})
    assert [found.words[word] for word in range(len(found)) if found.content[word]] == ["shore", "rare"]
    assert [found.words[word] for word in range(len(found)) if found.playable[word]] == ["shore"]


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("One two. Three four! 5 six? Seven", ["One two.", "Three four!", "5 six?", "Seven"]),
        ("He said “Stop.” Then he left.", ["He said “Stop.”", "Then he left."]),
        ("About 3.5 km, e.g. here and there.", ["About 3.5 km, e.g. here and there."]),
        ("A title\nThe text.\n\n- A point", ["A title", "The text.", "- A point"]),
        ("Before.\n```python\nx = 1. A\n```\nAfter.", ["Before.", "After."]),
        ("Before.\n~~~\nnever closed. A\n", ["Before."]),
        ("***\nOne.", ["One."]),
    ],
)
def test_sentences_end_at_line_ends_and_before_capitals(text, cut):
    assert [sentence.text for sentence in sentences(text)] == cut


def test_a_sentence_knows_where_it_begins_in_the_document():
    text = "First one.\n```\ncode\n```\n  Second one. Third."
    assert [text[found.start :][: len(found.text)] for found in sentences(text)] == [
        "First one.",
        "Second one.",
        "Third.",
    ]


def test_a_document_needs_eight_sentences_of_five_to_thirty_words():
    assert window(sentences(prose(0, sentences=8, seed=1))) is not None
    assert window(sentences(prose(0, sentences=7, seed=1))) is None


def test_short_long_and_open_sentences_do_not_count():
    open_, short, long = "No end is in sight here", "Far too short.", f"{'Word ' * 31}end."
    assert not any(found.may_be_played() for found in sentences(f"{open_}\n{short}\n{long}"))


def test_the_first_window_of_sixteen_that_holds_eight_counts():
    found = sentences("\n".join(["Title"] * 20) + "\n" + prose(0, sentences=8, seed=1) + "\nEnd")
    chosen = window(found) or []
    assert [sentence.text for sentence in chosen] == ["Title"] * 8 + [sentence.text for sentence in found[20:28]]


def test_documents_that_share_thirteen_words_are_found_whatever_stands_between():
    words = [f"word{chr(97 + nth)}" for nth in range(13)]
    held, copy, other = " ".join(words), "So: " + ", ".join(words).upper() + "!", " ".join(words[1:])
    assert grams(held) & grams(copy)
    assert not grams(held) & grams(other)


def test_the_order_of_held_out_documents_depends_on_the_text_alone():
    assert cloze_order("ab" * 32) == cloze_order("ab" * 32) != cloze_order("cd" * 32)


def test_documents_are_held_out_in_their_order_up_to_a_number_and_to_so_many_words():
    candidates = {f"{number:064x}": 100 for number in range(20)}
    order = sorted(candidates, key=cloze_order)
    assert chosen(candidates, wanted=3, most_words=10_000) == order[:3]
    assert chosen(candidates, wanted=12, most_words=550) == order[:5]


def test_counts_of_the_special_words_are_zero():
    assert vocabulary().counts[:3] == (0, 0, 0)
