"""The keys that screens may use: a closed list, one meaning a key on each screen; a person may press others instead."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from itertools import combinations


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

    @property
    def is_changeable(self) -> bool:
        """Whether a person may press something else for it: one sign, and no digit, as digits are values."""
        return len(self.names) == 1 and len(self.names[0]) == 1 and not self.names[0].isdigit()

    def pressed(self, own: Mapping[str, str]) -> tuple[str, ...]:
        """What the browser reports, for somebody with these keys of their own."""
        return (own[self.name],) if self.is_changeable and self.name in own else self.names


def names_of(keys: list[Key]) -> list[str]:
    """What the browser may report on a screen with these keys.

    Raises ValueError where one name has two meanings.
    """
    names = [name for key in keys for name in key.names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"Two meanings on one screen: {', '.join(twice)}")
    return names


def clash_of(own: Mapping[str, str]) -> tuple[Key, Key] | None:
    """Two keys that would be pressed alike, or None.

    Keys that share a name in the registry stand on different screens, which `names_of` sees to; as long as neither is
    changed they may go on to. Any other two might meet on some screen.
    """
    for one, other in combinations(Key, 2):
        alike = set(one.pressed(own)) & set(other.pressed(own))
        unchanged = one.pressed(own) == one.names and other.pressed(own) == other.names
        if alike and not unchanged:
            return (one, other) if one.name in own else (other, one)
    return None
