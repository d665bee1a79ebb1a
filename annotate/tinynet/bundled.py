"""The thematic paragraphs that come with the service, for projects with too little text of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from annotate.tinynet.net import Net
from annotate.tinynet.play import BOLD
from annotate.tinynet.stream import Practice, practise
from annotate.tinynet.train import counted, documents

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


def training(found: Sequence[Theme]) -> list[str]:
    """What is read. Words and counts are those of these paragraphs: `train.counted`."""
    return [text for theme in found for text in theme.train]


def reader(found: Sequence[Theme], *, seed: int = SEED) -> Net:
    """The newborn after it has read them, as a browser does in sight of the player. 1 to 2 s; keep what it returns."""
    texts = training(found)
    known = counted(texts)
    net = Net.newborn(seed, known.u)
    practice = Practice.of(documents(texts, known), known)
    practise(net, practice, seed=seed, numbers=range(STEPS), reading="missing", eta=BOLD)
    return net
