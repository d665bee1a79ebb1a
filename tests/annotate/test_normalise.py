"""The stored form of a text, and its words for comparing."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from annotate.cleaning.normalise import ngrams, stored, stored_values, words

ANYTHING = some.text(some.characters(codec=None, exclude_categories=()), max_size=60)
AWKWARD = some.text(
    some.sampled_from("ae\u0301\u0327\r\n\u2028\x0b\x00\x1b\ufeff\ufdd0\ud800\u200d\u202e \tﬁ²각"), max_size=40
)


@settings(deadline=None)
@given(ANYTHING | AWKWARD)
def test_the_stored_form_of_a_stored_form_is_itself(text):
    body = stored(text).body
    assert stored(body).body == body
    assert stored(body).removed == 0


@pytest.mark.parametrize(
    ("text", "body", "removed"),
    [
        ("a\r\nb\rc\u0085d\u2028e\u2029f\x0bg\x0ch", "a\nb\nc\nd\ne\nf\ng\nh", 0),
        ("e\u0301", "é", 0),
        ("a\x00b\x1b[31m\ufeff\ufdd0\U0001ffffc", "ab[31mc", 5),
        ("a\ud800b", "ab", 1),
        ("e\ufeff\u0301", "é", 1),
        ("a\u200d\u202e “B”  c\t", "a\u200d\u202e “B”  c\t", 0),
    ],
)
def test_only_line_ends_composition_and_controls_change(text, body, removed):
    assert (stored(text).body, stored(text).removed) == (body, removed)


def test_values_of_a_row_are_cleaned_at_any_depth():
    value = {"a\x00": ["b\ud800", {"c": "\ufeffd"}], "n": float("inf"), "k": 3}
    assert stored_values(value) == {"a": ["b", {"c": "d"}], "n": None, "k": 3}


def spans(text: str) -> list[str]:
    found = words([text])
    return [text[start:end] for start, end in zip(found.starts, found.ends, strict=True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It's a_b 12,5 — ok", ["It", "s", "a_b", "12", "5", "ok"]),
        ("😀 naïve 中文字 ไทย x", ["naïve", "中", "文", "字", "ไ", "ท", "ย", "x"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("ﬁne Ⅳ ½", ["ﬁne", "Ⅳ", "½", "½"]),
        ("", []),
        ("… !", []),
    ],
)
def test_words_are_runs_but_for_scripts_without_blanks(text, expected):
    assert spans(text) == expected


def test_case_and_compatibility_forms_are_one_word():
    assert len(set(words(["Fine ＦＩＮＥ ﬁne fine"]).hashes.tolist())) == 1


def test_equal_words_in_other_texts_have_equal_hashes():
    found = words(["one two", "", "two one!"])
    assert found.bounds.tolist() == [0, 2, 2, 4]
    assert found.hashes[0] == found.hashes[3]
    assert found.hashes[0] != found.hashes[1]


@settings(deadline=None)
@given(some.lists(some.text(some.sampled_from("ab1_ .é中\u0301😀ﬁ\n"), max_size=12), max_size=5))
def test_a_batch_has_the_words_of_its_texts(texts):
    together = words(texts)
    apart = [words([text]) for text in texts]
    assert together.hashes.tolist() == [value for one in apart for value in one.hashes.tolist()]
    assert together.starts.tolist() == [value for one in apart for value in one.starts.tolist()]
    assert together.counts().tolist() == [len(one.hashes) for one in apart]


@settings(deadline=None)
@given(some.text(some.characters(max_codepoint=0x24F), max_size=40))
def test_latin_words_are_those_of_a_plain_regular_expression(text):
    body = stored(text).body
    folded = unicodedata.normalize("NFKC", "".join(unicodedata.normalize("NFKC", c).lower() for c in body))
    expected = re.findall(r"[\w\u0300-\u036f]+", folded)
    by_hash = {int(words([word]).hashes[0]): word for word in expected}
    assert [by_hash.get(value) for value in words([folded]).hashes.tolist()] == expected


def test_the_size_of_a_run_is_part_of_its_hash():
    hashes = words(["a a a"]).hashes
    assert set(ngrams(hashes, 1).tolist()).isdisjoint(ngrams(hashes, 2).tolist())
    assert len(ngrams(hashes, 4)) == 0
