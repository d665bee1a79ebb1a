"""The replay of merges against the tokenizer library: the same ids for every text, and the order of the rules."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from rlhf.merges import NotReplayable, Rules, byte_letters, pieces_after, replay, rules_of
from rlhf.tokenizing import Loaded, encode, read, shown
from tests.rlhf.vocabularies import ENGLISH, MANY, written

SCRIPTS = (  # the first and last letter of some blocks: one for each kind of writing, and what is no letter
    *((0x20, 0x7E), (0xA1, 0xFF), (0x100, 0x17F), (0x370, 0x3FF), (0x400, 0x4FF), (0x531, 0x586), (0x5D0, 0x5EA)),
    *((0x620, 0x64A), (0x905, 0x939), (0x985, 0x9B9), (0xB85, 0xBB9), (0xE01, 0xE3A), (0x10A0, 0x10FF)),
    *((0x1200, 0x1248), (0x13A0, 0x13F4), (0x1780, 0x17B3), (0x3041, 0x3096), (0x30A1, 0x30FA), (0x4E00, 0x9FFF)),
    *((0xAC00, 0xD7A3), (0x300, 0x36F), (0x2000, 0x206F), (0x1F300, 0x1F64F), (0x10000, 0x100FA), (0x0, 0x1F)),
)


def ours(texts: list[str], *, size: int) -> str:
    """A tokenizer as the trainer makes it (T1, T2)."""
    from trainer.tokenizer import train_bpe  # its transformers costs a second that other tests need not pay

    return train_bpe(texts, size=size)._inner.backend_tokenizer.to_str()


MADE = {
    "ours, English": lambda: ours(ENGLISH, size=420),
    "ours, many scripts": lambda: ours(ENGLISH + MANY, size=700),
    "foreign": lambda: written("byte_level"),
    "foreign, with tokens of its own": lambda: written("with_tokens_of_its_own"),
    "foreign, normalised": lambda: written("normalised"),
    "foreign, whole words first": lambda: written("whole_words_first"),
}


@pytest.fixture(scope="module", params=MADE)
def tokenizer(request) -> Loaded:
    return read(MADE[request.param](), sha256=request.param)


def random_texts(count: int) -> list[str]:
    """Texts that mix words of the training texts with letters of every script; the same each time."""
    chance = random.Random(4)
    words = [word for text in ENGLISH[:3] + MANY[:5] for word in text.split(" ")]
    return [
        "".join(
            chance.choice(words) + chance.choice((" ", "", "\n", "  ", "\r\n", "\t"))
            if chance.random() < 0.5
            else chr(chance.randint(*chance.choice(SCRIPTS)))
            for _ in range(chance.randint(0, 30))
        )
        for _ in range(count)
    ]


def replayed(tokenizer: Loaded, text: str) -> list[int]:
    """The ids that the merges end in."""
    found = encode(tokenizer, text)
    assert found.why == ""
    ids, ends = [piece.id for piece in found.first], list(range(1, len(found.first) + 1))
    taken = set()
    for step in found.steps:
        right = ends[step.position]
        ids[step.position], ends[step.position] = step.id, ends[right]
        taken.add(right)
    return [id_ for at, id_ in enumerate(ids) if at not in taken]


def test_a_thousand_texts_of_all_scripts_end_in_the_librarys_own_ids(tokenizer):
    texts = random_texts(1_000)
    wanted = [tokenizer.inner.encode(text, add_special_tokens=False).ids for text in texts]
    assert [replayed(tokenizer, text) for text in texts] == wanted


@pytest.fixture(scope="module")
def own() -> Loaded:
    return read(ours(ENGLISH, size=420), sha256="own")


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=60))
def test_any_text_ends_in_the_librarys_own_ids(own, text):
    assert replayed(own, text) == own.inner.encode(text, add_special_tokens=False).ids


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=60))
def test_step_0_is_the_texts_own_bytes(own, text):
    assert b"".join(piece.bytes for piece in encode(own, text).first) == text.encode()


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=60))
def test_the_bytes_of_the_tokens_are_those_of_the_text(own, text):
    assert b"".join(token.bytes for token in encode(own, text).tokens) == text.encode()


@pytest.mark.parametrize(
    ("words", "steps"),
    [
        (["abc"], [(1, 0), (3, 0)]),  # a+b before b+c, although both could be merged
        (["bc", "ab"], [(1, 2), (2, 0)]),  # the lowest rank of the whole text first
        (["abab"], [(1, 0), (1, 2)]),  # of equal ranks the leftmost
        (["aaa"], [(4, 0)]),  # a+a leaves one a
        (["a", "b"], []),  # not across words
        (["", "ab"], [(1, 0)]),
        ([], []),
    ],
)
def test_the_lowest_rank_goes_first_and_then_the_leftmost(words, steps):
    assert [(step.rank, step.position) for step in replay(words, _rules())] == steps


def test_some_of_the_steps_leave_a_text_half_merged():
    steps = replay(["abc", "ab"], _rules())
    halves = [pieces_after("abcab", steps[:count]) for count in range(4)]
    assert halves == [["a", "b", "c", "a", "b"], ["ab", "c", "a", "b"], ["ab", "c", "ab"], ["abc", "ab"]]


def _rules() -> Rules:
    merges = [["a", "b"], ["b", "c"], ["ab", "c"], ["a", "a"]]
    return rules_of({"model": {"type": "BPE", "merges": merges}, "pre_tokenizer": {"type": "ByteLevel"}})


def test_merges_written_with_a_space_are_the_same_rules():
    merges = ["a b", "b c", "ab c", "a a"]
    assert rules_of({"model": {"type": "BPE", "merges": merges}, "pre_tokenizer": {"type": "ByteLevel"}}) == _rules()


BYTEWISE = {"type": "Sequence", "pretokenizers": [{"type": "Digits"}, {"type": "ByteLevel"}]}


@pytest.mark.parametrize(
    ("model", "pre_tokenizer", "code"),
    [
        ({"type": "Unigram"}, BYTEWISE, "other_model"),
        ({"type": "WordPiece"}, BYTEWISE, "other_model"),
        ({"type": "BPE", "merges": []}, {"type": "Metaspace"}, "not_bytes"),
        ({"type": "BPE", "merges": []}, None, "not_bytes"),
        ({"type": "BPE", "merges": [], "dropout": 0.1}, BYTEWISE, "random"),
        ({"type": "BPE", "merges": [], "end_of_word_suffix": "</w>"}, BYTEWISE, "affixes"),
    ],
)
def test_a_tokenizer_without_merges_from_bytes_says_why(model, pre_tokenizer, code):
    with pytest.raises(NotReplayable) as refusal:
        rules_of({"model": model, "pre_tokenizer": pre_tokenizer})
    assert refusal.value.code == code


def test_merges_that_end_elsewhere_are_not_shown():
    description = json.loads(written("whole_words_first"))
    description["model"]["merges"] = description["model"]["merges"][1:]  # the vocabulary still has what they made
    found = encode(read(json.dumps(description), sha256="cut"), "the tokenizer reads the text")
    assert (found.why, found.first, found.steps) == ("differs", [], [])
    assert found.tokens


def test_the_letters_of_bytes_are_the_librarys():
    assert sorted(byte_letters()) == sorted(pre_tokenizers.ByteLevel.alphabet())
    assert byte_letters()["Ġ"] == 0x20


@pytest.mark.parametrize(
    ("data", "sign"),
    [
        (b" a\n", "·a↵"),
        ("é🙂".encode(), "é🙂"),
        (b"\xe2\x82", "⟨e2⟩⟨82⟩"),
        (b"\x9f\x99\x82a", "⟨9f⟩⟨99⟩⟨82⟩a"),
        (b"\xed\xa0\x80", "⟨ed⟩⟨a0⟩⟨80⟩"),
        ("\u200b\xa0\t".encode(), "⟨e2⟩⟨80⟩⟨8b⟩⟨c2⟩⟨a0⟩⟨09⟩"),
        (b"", ""),
    ],
)
def test_bytes_read_as_characters_where_they_are_whole_and_visible(data, sign):
    assert shown(data) == sign


def test_the_replay_knows_neither_django_nor_the_library():
    names = {line.split()[1].split(".")[0] for line in _source().splitlines() if line.startswith(("import ", "from "))}
    assert names.isdisjoint({"django", "tokenizers", "transformers", "torch", "rlhf"})


def _source() -> str:
    return (Path(__file__).parents[2] / "rlhf" / "merges.py").read_text()
