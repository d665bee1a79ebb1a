"""The keys that screens may use: a closed list, one meaning a key on each screen."""

from __future__ import annotations

from enum import Enum


class Key(Enum):
    """What the ? sheet shows, and the keys that a browser reports."""

    LETTER = ("A … I", ("A", "B", "C", "D", "E", "F", "G", "H", "I"))
    SIDE = ("A B", ("A", "B"))
    ACCEPT = ("A", ("A",))
    REJECT = ("X", ("X",))
    EDIT = ("E", ("E",))
    DIGIT = ("1 … 9", ("1", "2", "3", "4", "5", "6", "7", "8", "9"))
    SCALE = ("1 … 7", ("1", "2", "3", "4", "5", "6", "7"))
    RECALL = ("1 … 4", ("1", "2", "3", "4"))
    ZERO = ("0", ("0",))
    ENTER = ("Enter", ("Enter",))
    SEND = ("Ctrl Enter", ("Send",))
    UNDO = ("Z", ("Z",))
    BACKSPACE = ("Backspace", ("Backspace",))
    TIE = ("=", ("=",))
    LINE = ("L", ("L",))
    RATING = ("R", ("R",))
    NEXT = ("J", ("J",))
    PREVIOUS = ("K", ("K",))
    BACK = (",", (",",))
    FORWARD = (".", (".",))
    EARLIER = ("[", ("[",))
    LATER = ("]", ("]",))
    PROMPT = ("P", ("P",))
    OPEN = ("O", ("O",))
    COMPARE = ("V", ("V",))
    FLAGS = ("M", ("M",))
    CRITIQUE = ("N", ("N",))
    BETTER = ("W", ("W",))
    TABLE = ("T", ("T",))
    PLAY = ("Space", ("Space",))
    MOVE = ("← →", ("ArrowLeft", "ArrowRight"))
    PAN = ("← ↑ → ↓", ())  # the browser's own elsewhere: an element takes them while it has the focus
    ZOOM = ("+ −", ("+", "-"))
    SEARCH = ("/", ("/",))
    NEIGHBOUR = ("N", ("N",))
    SKIP = ("S", ("S",))
    GUIDELINES = ("Q", ("Q",))
    EXPLAIN = ("Y", ("Y",))
    HELP = ("?", ("?",))
    CLOSE = ("Esc", ("Escape",))

    def __init__(self, shown: str, names: tuple[str, ...]) -> None:
        self.shown = shown
        self.names = names


def names_of(keys: list[Key]) -> list[str]:
    """What the browser may report on a screen with these keys.

    Raises ValueError where one name has two meanings.
    """
    names = [name for key in keys for name in key.names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"Two meanings on one screen: {', '.join(twice)}")
    return names
