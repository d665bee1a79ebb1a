"""Made-up material of the game: words by rank, documents that keep to their theme, examples."""

from __future__ import annotations

import random

from annotate.tinynet.net import Example
from annotate.tinynet.words import EDGE, Vocabulary

LETTERS = "bdfgklmnprstvz"


def word(rank: int) -> str:
    """A word of letters only, another for each rank."""
    return "".join(LETTERS[rank // len(LETTERS) ** place % len(LETTERS)] + "aeiou"[place % 5] for place in range(3))


def vocabulary(size: int = 1_200) -> Vocabulary:
    """Counts fall with the rank, as in a language; a tenth of all words has no id."""
    counts = {word(rank): 40_000 // (rank + 5) for rank in range(size - 3)}
    made = Vocabulary.of(counts, size=size)
    return Vocabulary(made.words, made.counts, made.total + made.total // 9)


def examples(count: int, *, seed: int, size: int = 1_200, context: int = 60) -> list[tuple[Example, int]]:
    """Examples with their golds: short and long sides, words twice, contexts from none to full."""
    draws = random.Random(seed)
    found = []
    for _ in range(count):
        left = [draws.randrange(size) for _ in range(draws.randrange(6))]
        right = [draws.randrange(size) for _ in range(draws.randrange(6))] if draws.random() < 0.6 else []
        seen = [draws.randrange(123, size) for _ in range(draws.randrange(context + 1))]
        if len(left) > 2:
            left[2] = left[0]
        if len(seen) > 1:
            seen[-1] = seen[0]
        sides = [tuple(side) if len(side) == 5 else (*side, EDGE) for side in (left, right)]
        gold = seen[0] if seen and draws.random() < 0.3 else draws.randrange(3, size)
        found.append((Example(sides[0], sides[1] if right else (), tuple(seen)), gold))
    return found


def prose(theme: int, *, sentences: int, seed: int) -> str:
    """Sentences of twelve words, half of them from eight that belong to the theme."""
    draws = random.Random(seed)
    own = [word(140 + 8 * theme + nth) for nth in range(8)]
    lines = []
    for _ in range(sentences):
        words = [draws.choice(own) if draws.random() < 0.5 else word(draws.randrange(100)) for _ in range(12)]
        lines.append(" ".join(words).capitalize() + ".")
    return " ".join(lines)
