"""The thematic paragraphs that come with the service, for projects with too little text of their own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from annotate.tinynet.net import Net
from annotate.tinynet.paragraphs import sentences
from annotate.tinynet.play import BOLD
from annotate.tinynet.stream import Document, Practice, practise
from annotate.tinynet.words import Vocabulary, tokens

FOLDER = Path(__file__).parents[1] / "bundled" / "game"
SEED = 1  # of the newborn that reads them, and of the order in which it does
STEPS = 1_500  # by 6,000 it knows them by heart and the gain of context halves


@dataclass(frozen=True)
class Theme:
    """train: paragraphs that networks read; play: the one that people play. A sentence a line."""

    name: str
    train: tuple[str, ...]
    play: str


def themes(folder: Path = FOLDER) -> list[Theme]:
    """By name. Of each file the last paragraph is to play."""
    found = []
    for path in sorted(folder.glob("*.txt")):
        if path.stem.islower():
            *train, play = path.read_text(encoding="utf-8").strip().split("\n\n")
            found.append(Theme(path.stem, tuple(train), play))
    return found


def vocabulary(found: Sequence[Theme]) -> Vocabulary:
    """The words of the training paragraphs, at most 1,200."""
    counts = Counter(token.word for theme in found for text in theme.train for token in tokens(text))
    return Vocabulary.of(counts)


def documents(found: Sequence[Theme], known: Vocabulary) -> list[Document]:
    return [[known.ids(sentence.tokens) for sentence in sentences(text)] for theme in found for text in theme.train]


def reader(found: Sequence[Theme]) -> Net:
    """The newborn after it has read them, as a browser does in sight of the player. 1 to 2 s; keep what it returns."""
    known = vocabulary(found)
    net = Net.newborn(SEED, known.u)
    practice = Practice.of(documents(found, known), known)
    practise(net, practice, seed=SEED, numbers=range(STEPS), reading="missing", eta=BOLD)
    return net
