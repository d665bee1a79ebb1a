"""Three words of a map, which of them people find the odd one, and which the model's cosines leave over.

A map keeps 20 neighbours of a word with their cosines. Of a pair that it does not hold, both lists give a bound: that
is enough wherever the nearest pair of three is held and no bound exceeds it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from annotate.actions.vote_similarity import vote_similarity
from annotate.errors import AnnotateError
from annotate.models import User
from annotate.similarity import standing_votes
from rlhf import maps
from rlhf.models import Run

FREQUENT = 1_000  # words that are asked about: rare ones are known to nobody
TRIES = 500
ALIKE = 3  # letters at the beginning that no two of them share


@dataclass(frozen=True)
class Agreement:
    """votes: of people. told: those on words whose odd one this map knows. agreed: with it."""

    votes: int
    told: int
    agreed: int


def three(run: Run, *, seed: int) -> list[str]:
    """Two words that list each other and one that neither lists, shuffled; empty where none are found.

    Raises LaunchError with code map_missing.
    """
    found, draw = maps.loaded(run), Random(seed)
    if found.kind != maps.WORDS:
        return []
    near, most = maps.near(run), min(FREQUENT, len(found.labels))
    for _ in range(TRIES):
        one, odd = draw.randrange(most), draw.randrange(most)
        mutual = [int(at) for at in near.true[one] if at < most and near.holds(int(at), one)]
        other = draw.choice(mutual) if mutual else one
        words = [found.labels[at].text for at in (one, other, odd)]
        apart = len({word.casefold()[:ALIKE] for word in words}) == 3
        if apart and not near.holds(one, odd) and not near.holds(other, odd):
            draw.shuffle(words)
            return words
    return []


def odd_one(run: Run, words: Sequence[str]) -> str | None:
    """The word outside the nearest pair; None where the map lacks a word, or does not hold enough of their cosines.

    Raises LaunchError with code map_missing.
    """
    found, near = maps.loaded(run), maps.near(run)
    places = [found.places[word.casefold()] for word in words if word.casefold() in found.places]
    if len(set(places)) != 3:
        return None
    pairs = [near.cosine_of(*(place for place in places if place != odd)) for odd in places]
    best = max(cosine for cosine, _ in pairs)
    nearest = [word for word, (cosine, held) in zip(words, pairs, strict=True) if cosine == best and held]
    return nearest[0] if len(nearest) == 1 else None


def agreement(run: Run) -> Agreement:
    """How often this map's model and the people of its project leave the same word over. One query."""
    votes = standing_votes(run.project)
    told = [(own, vote.odd) for vote in votes if (own := odd_one(run, vote.words))]
    return Agreement(len(votes), len(told), sum(own == theirs for own, theirs in told))


def vote(run: Run, words: Sequence[str], *, odd: str, by: User) -> str | None:
    """Keep by's vote on words of the map; what its model leaves over, where that is known.

    Raises AnnotateError 422 with code bad_words where the map has not all of them, and what `vote_similarity` raises.
    """
    if not _stand_on(run, words):
        raise AnnotateError("bad_words", "These words do not all stand on this map.", status=422, field="words")
    vote_similarity(project=run.project, words=words, odd=odd, by=by)
    return odd_one(run, words)


def _stand_on(run: Run, words: Sequence[str]) -> bool:
    """Whether this is a map of words and these are among them, as it writes them."""
    found = maps.loaded(run)
    written = (found.places.get(word.casefold()) for word in words)
    both = zip(words, written, strict=True)
    return found.kind == maps.WORDS and all(at is not None and found.labels[at].text == word for word, at in both)
