"""The bundled paragraphs of the language game: their form, and that every played sentence gives an item."""

import re
from collections import Counter
from itertools import chain
from pathlib import Path

import pytest

import annotate

FOLDER = Path(annotate.__file__).parent / "bundled" / "game"
THEMES = [
    "bees",
    "bones",
    "bread",
    "bridges",
    "courts",
    "glass",
    "maps",
    "markets",
    "music",
    "rivers",
    "sleep",
    "tides",
]
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
COMMON = 120  # the most frequent words, which are no content
RARE = 5  # a playable word stands at least so often in the training paragraphs
FIRST_BLANK = 2  # there must be something to the left of a blank


def paragraphs(theme: str) -> list[list[str]]:
    """The five paragraphs of a theme; the fifth is the one to play."""
    text = (FOLDER / f"{theme}.txt").read_text("utf-8")
    return [block.split("\n") for block in text.removesuffix("\n").split("\n\n")]


def words(sentence: str) -> list[str]:
    return WORD.findall(sentence.lower())


def sentences(*, played: bool) -> list[str]:
    return [
        sentence
        for theme in THEMES
        for paragraph in (paragraphs(theme)[4:] if played else paragraphs(theme)[:4])
        for sentence in paragraph
    ]


def playable() -> set[str]:
    """The content words of the training paragraphs that are frequent enough to be blanked."""
    counts = Counter(chain.from_iterable(map(words, sentences(played=False))))
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return {word for word in ranked[COMMON:] if counts[word] >= RARE and len(word) >= 2}


def blanks(sentence: str, known: set[str]) -> set[str]:
    return known.intersection(words(sentence)[FIRST_BLANK:])


def openings(paragraph: list[str]) -> Counter[str]:
    return Counter(words(sentence)[0] for sentence in paragraph)


def test_the_folder_holds_twelve_themes_and_their_licence():
    assert sorted(path.name for path in FOLDER.iterdir()) == ["LICENSE.txt", *(f"{theme}.txt" for theme in THEMES)]
    licence = (FOLDER / "LICENSE.txt").read_text("utf-8")
    assert "CC0-1.0" in licence
    assert "Touchstone project" in licence


@pytest.mark.parametrize("theme", THEMES)
def test_a_theme_is_five_paragraphs_of_eight_sentences(theme):
    assert [len(paragraph) for paragraph in paragraphs(theme)] == [8] * 5


def test_every_sentence_has_eight_to_twenty_words():
    assert [one for one in sentences(played=False) + sentences(played=True) if not 8 <= len(words(one)) <= 20] == []


def test_every_sentence_is_one_plain_sentence():
    plain = re.compile(r"[A-Z][a-z]*(?:,? [a-z]+)*\.")
    assert [one for one in sentences(played=False) + sentences(played=True) if not plain.fullmatch(one)] == []


def test_no_sentence_stands_twice():
    assert [one for one, count in Counter(sentences(played=False) + sentences(played=True)).items() if count > 1] == []


@pytest.mark.parametrize("theme", THEMES)
def test_at_most_two_sentences_of_a_paragraph_open_alike(theme):
    assert max(max(openings(paragraph).values()) for paragraph in paragraphs(theme)) <= 2


def test_the_training_paragraphs_fit_the_network():
    known = set(chain.from_iterable(map(words, sentences(played=False))))
    assert len(known) <= 1_197  # 1,200 rows less <unk>, <num> and <s>
    assert len(playable()) >= 200


def test_an_item_can_be_drawn_from_every_played_sentence():
    known = playable()
    assert [one for one in sentences(played=True) if len(blanks(one, known)) < 2] == []


@pytest.mark.parametrize("theme", THEMES)
def test_a_word_that_can_be_blanked_comes_back_in_every_later_sentence_of_a_played_paragraph(theme):
    known, played = playable(), paragraphs(theme)[4]
    earlier = [set(words(" ".join(played[:number]))) for number in range(8)]
    assert [one for one, before in zip(played[1:], earlier[1:], strict=True) if not blanks(one, known) & before] == []
