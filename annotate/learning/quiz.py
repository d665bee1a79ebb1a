"""The questions of the quiz and how a try draws them. Which answer is right stays here and on the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from math import comb, floor, log10
from pathlib import Path
from random import Random

from annotate.learning.files import folder_of, read_yaml

DRAWN = 8
PASS = 7  # where a project sets no other mark


@dataclass(frozen=True)
class Option:
    """why: what is right or wrong about it."""

    answer: str
    why: str


@dataclass(frozen=True)
class Question:
    """options: the right one first; a try shows them in an order of its own. term: a slug of the glossary."""

    slug: str
    stage: str
    term: str
    ask: str
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Drawn:
    """One question of a try. order: places in Question.options, as shown; 0 is the right one."""

    slug: str
    order: tuple[int, ...]


def guessed(mark: int) -> int:
    """In how many tries guessing reaches the mark once, of two digits: the tail of a binomial with a quarter each."""
    tries: float = 4**DRAWN / sum(comb(DRAWN, right) * 3 ** (DRAWN - right) for right in range(mark, DRAWN + 1))
    return round(round(tries), 1 - floor(log10(tries)))


def version(language: str) -> str:
    """major.minor; a new major version asks people anew."""
    return str(read_yaml(folder_of(language) / "quiz.yaml")["version"])


def questions(language: str) -> Mapping[str, Question]:
    return _read(folder_of(language) / "quiz.yaml")


def draw(seed: int, language: str) -> list[Drawn]:
    """The questions of a try and the order of their options: a function of the seed and the file alone."""
    found, random = questions(language), Random(seed)
    slugs = random.sample(sorted(found), DRAWN)
    return [
        Drawn(slug, tuple(random.sample(range(len(found[slug].options)), len(found[slug].options)))) for slug in slugs
    ]


@cache
def _read(path: Path) -> Mapping[str, Question]:
    return {
        one["id"]: Question(
            slug=one["id"],
            stage=one["stage"],
            term=one["term"],
            ask=one["ask"],
            options=(
                Option(one["right"], one["why"]),
                *(Option(wrong["answer"], wrong["why"]) for wrong in one["wrong"]),
            ),
        )
        for one in read_yaml(path)["questions"]
    }
