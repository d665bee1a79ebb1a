"""Near duplicates: what is compared, and with whom."""

import random
import re
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from annotate.cleaning.duplicates import Entry, Placed, keys_of, lost_words, place
from annotate.cleaning.normalise import words
from annotate.cleaning.sketch import band_keys, jaccard, probability_of_candidate, shingles, signatures

VOCABULARY = [f"word{number}" for number in range(3000)]


class Shelf:
    """An index in memory."""

    def __init__(self) -> None:
        self.rows: dict[int, list[int]] = {}
        self.texts: dict[int, str] = {}

    def candidates(self, keys: Sequence[int]) -> Mapping[int, Sequence[int]]:
        return {key: self.rows[key] for key in keys if key in self.rows}

    def bodies(self, ids: Sequence[int]) -> Mapping[int, str]:
        return {text: self.texts[text] for text in ids}

    def take(self, entries: Sequence[Entry], placed: Placed) -> None:
        self.texts |= {entry.id: entry.body for entry in entries}
        for key, text in placed.new:
            self.rows.setdefault(key, []).append(text)


def prose(seed: int, size: int = 120) -> str:
    return " ".join(random.Random(seed).choices(VOCABULARY, k=size))


def changed(body: str, *, every: int) -> str:
    """body with every n-th word replaced."""
    return " ".join(f"new{nth}" if nth % every == every - 1 else word for nth, word in enumerate(body.split()))


def entries(*bodies: str, first: int = 1, salt: int = 1) -> list[Entry]:
    return [Entry(id=first + nth, body=body, salt=salt) for nth, body in enumerate(bodies)]


def plain_jaccard(one: str, other: str) -> float:
    def grams(body: str) -> set[tuple[str, ...]]:
        found = re.findall(r"\w+", body.lower())
        size = 5 if len(found) >= 20 else 2
        return {tuple(found[nth : nth + size]) for nth in range(len(found) - size + 1)}

    first, second = grams(one), grams(other)
    return len(first & second) / len(first | second)


@pytest.mark.parametrize(("value", "chance"), [(0.5, 0.270), (0.6, 0.615), (0.7, 0.918), (0.8, 0.998)])
def test_the_chance_of_meeting_is_that_of_twenty_bands_of_six(value, chance):
    assert probability_of_candidate(value) == pytest.approx(chance, abs=5e-4)


@pytest.mark.parametrize(("every", "low", "high"), [(1000, 1.0, 1.0), (60, 0.90, 0.91), (12, 0.3, 0.45), (1, 0.0, 0.0)])
def test_jaccard_is_exact(every, low, high):
    one = prose(1)
    other = changed(one, every=every)
    sets = shingles(words([one, other]))
    value, _ = jaccard(sets.of(0), sets.of(1))
    assert value == pytest.approx(plain_jaccard(one, other), abs=1e-12)
    assert low <= value <= high


@pytest.mark.parametrize(("size", "expected"), [(0, 0), (1, 1), (2, 1), (19, 18), (20, 16), (21, 17)])
def test_the_run_length_follows_the_length_of_the_text(size, expected):
    body = " ".join(VOCABULARY[:size])
    assert len(shingles(words([body])).of(0)) == expected


def test_bands_meet_as_often_as_jaccard_says():
    # 400 pairs, J near 0.68 to 0.71: the chance of a pair is 0.88 to 0.93; fewer than 0.80 has odds under 1 in 10^6
    pairs = [(body, changed(body, every=28)) for body in (prose(seed, 150) for seed in range(400))]
    bodies = [body for pair in pairs for body in pair]
    keys = band_keys(signatures(shingles(words(bodies))), salts=[1] * len(bodies))
    met = sum(bool(set(keys[nth].tolist()) & set(keys[nth + 1].tolist())) for nth in range(0, len(bodies), 2))
    values = [plain_jaccard(*pair) for pair in pairs]
    expected = np.mean([probability_of_candidate(value) for value in values])
    assert met / 400 == pytest.approx(expected, abs=0.08)


def test_a_signature_does_not_depend_on_its_batch():
    bodies = [prose(1), "short one", prose(2)]
    together = signatures(shingles(words(bodies)))
    assert (together[1] == signatures(shingles(words(bodies[1:2])))[0]).all()


def test_a_near_copy_points_at_its_representative_with_the_numbers():
    base = prose(1)
    copy = changed(base, every=60)  # words 60 and 120, in five 5-grams and in one: 110 of 116 shared
    placed = place(entries(base, prose(2), copy), index=Shelf(), limit=0.7)
    [near] = placed.near
    assert (near.text, near.representative) == (3, 1)
    assert near.jaccard == pytest.approx(plain_jaccard(base, copy), abs=1e-12)
    assert (near.shared, near.lost, near.words) == (110, 2, 120)
    assert near.overlap_of_text == pytest.approx(110 / 116)


def test_copies_under_the_limit_are_not_flagged():
    # five inner words of 120 changed: 91 of 116 runs shared, J = 91 / 141 = 0.645
    bases = [prose(seed) for seed in range(40)]
    copies = [changed(base, every=21) for base in bases]
    assert plain_jaccard(bases[0], copies[0]) == pytest.approx(91 / 141)
    assert place(entries(*bases, *copies), index=Shelf(), limit=0.7).near == []


def test_a_copy_is_found_in_a_later_batch_and_is_not_shelved():
    shelf, base = Shelf(), prose(1)
    first = entries(base)
    shelf.take(first, place(first, index=shelf, limit=0.7))
    second = entries(changed(base, every=60), first=2)
    placed = place(second, index=shelf, limit=0.7)
    assert [(near.text, near.representative) for near in placed.near] == [(2, 1)]
    assert placed.new == []


def test_clusters_are_stars_and_never_chains():
    # B differs from A in 4 of 120 words, C from B in 4 more: J(A,B) and J(B,C) over 0.7, J(A,C) under it
    first = prose(1)
    second = " ".join(f"x{n}" if n in (10, 40, 70, 100) else w for n, w in enumerate(first.split()))
    third = " ".join(f"y{n}" if n in (25, 55, 85, 115) else w for n, w in enumerate(second.split()))
    assert plain_jaccard(first, second) > 0.7 < plain_jaccard(second, third)
    assert plain_jaccard(first, third) < 0.7
    placed = place(entries(first, second, third), index=Shelf(), limit=0.7)
    assert [(near.text, near.representative) for near in placed.near] == [(2, 1)]
    assert {text for _, text in placed.new} == {1, 3}


@pytest.mark.parametrize("salts", [(1, 2)])
def test_texts_of_other_projects_never_meet(salts):
    body = prose(1)
    both = [Entry(id=nth, body=body, salt=salt) for nth, salt in enumerate(salts)]
    assert place(both, index=Shelf(), limit=0.7).near == []


def test_a_text_is_not_compared_with_what_it_must_never_meet():
    body = prose(1)
    both = [Entry(id=1, body=body, salt=1), Entry(id=2, body=body, salt=1, never=frozenset([1]))]
    assert place(both, index=Shelf(), limit=0.7).near == []


def test_a_key_holds_64_texts_and_the_65th_is_counted_and_still_compared():
    body = prose(1)
    shelf = Shelf()
    keys = sorted(set(keys_of(entries(body))[0]))
    shelf.rows = {key: list(range(1000, 1064)) for key in keys}
    shelf.texts = {text: prose(text) for text in range(1000, 1064)}
    placed = place(entries(body), index=shelf, limit=0.7)
    assert placed.new == []
    assert placed.hot == dict.fromkeys(keys, 1)
    shelf.texts[1003] = body
    assert place(entries(body), index=shelf, limit=0.7).near[0].representative == 1003


def test_texts_without_words_are_near_nothing():
    placed = place(entries("…", "…", ""), index=Shelf(), limit=0.7)
    assert (placed.near, placed.new) == ([], [])


def test_a_chinese_copy_with_two_words_changed_is_found():
    body = "".join(chr(0x4E00 + nth * 7) for nth in range(126))
    copy = body[:40] + "猫狗" + body[42:90] + "鸟" + body[91:]
    [near] = place(entries(body, copy), index=Shelf(), limit=0.7).near
    assert near.jaccard == pytest.approx(111 / 133)  # 122 shingles each, 6 and 5 of them changed


def test_words_that_stand_in_no_shared_run_are_lost():
    # the 3-grams of the member that touch x or y are new: no other word stands in those alone
    assert lost_words("a b c x d e f y", "a b c d e f") == (2, 8)
    assert lost_words("a b c", "a b c d") == (0, 3)
    assert lost_words("z", "a b c d") == (1, 1)


def test_every_flag_is_exact_and_every_close_copy_found():
    # 120 bases with a copy of each of four strengths, in random order
    bodies = [
        body for seed in range(120) for body in (prose(seed), *(changed(prose(seed), every=e) for e in (90, 60, 40, 9)))
    ]
    random.Random(5).shuffle(bodies)
    placed = place(entries(*bodies), index=Shelf(), limit=0.7)
    body = dict(enumerate(bodies, start=1))
    for near in placed.near:
        assert near.jaccard == pytest.approx(plain_jaccard(body[near.text], body[near.representative]), abs=1e-12)
        assert near.jaccard >= 0.7
    representatives = [text for text in body if text not in {near.text for near in placed.near}]
    missed = [
        (one, other)
        for nth, one in enumerate(representatives)
        for other in representatives[nth + 1 :]
        if len(set(body[one].split()) & set(body[other].split())) > 80 and plain_jaccard(body[one], body[other]) >= 0.8
    ]
    assert missed == []
