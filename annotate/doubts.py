"""Blanks that players doubt: most choose another word than the text has, or several ask for a fix."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from annotate.cloze import Blank
from annotate.models import GameDoubt, GameItem, GameParagraph, Project

LEAST_PEOPLE = 5
LEAST_AGAINST = 0.6  # share of them
LEAST_FIXES = 2  # people who suggest one


@dataclass(frozen=True)
class Doubt:
    """people, against: of the mode in which more of them are against the gold; fixes: notes of who suggest one."""

    item: GameItem
    paragraph: GameParagraph
    gold: str
    sentence: str
    people: int
    against: int
    fixes: Sequence[str]

    @property
    def is_doubted(self) -> bool:
        many = self.people >= LEAST_PEOPLE and self.against >= LEAST_AGAINST * self.people
        return many or len(self.fixes) >= LEAST_FIXES

    @property
    def score(self) -> float:
        """Share against the gold; 1 where people suggest a fix."""
        return 1.0 if len(self.fixes) >= LEAST_FIXES else self.against / self.people


def doubts(project: Project, found: Iterable[Blank]) -> list[Doubt]:
    """Of these blanks those that are doubted, and those for which anybody suggests a fix, in order of play."""
    fixes: dict[int, list[str]] = defaultdict(list)
    standing = GameDoubt.objects.standing().filter(project=project)
    for item, note in standing.order_by("pk").values_list("item", "note"):
        fixes[item].append(note)
    by_item: dict[int, list[Blank]] = defaultdict(list)
    for blank in found:
        by_item[blank.item.pk].append(blank)
    made = [_doubt(same, fixes.get(key, [])) for key, same in by_item.items()]
    return [one for one in made if one.is_doubted or one.fixes]


def _doubt(same: Sequence[Blank], fixes: Sequence[str]) -> Doubt:
    """same: one blank in each mode."""
    enough = [blank for blank in same if blank.people >= LEAST_PEOPLE]
    worst = max(enough or same, key=lambda blank: blank.against / max(1, blank.people))
    sentence = worst.paragraph.shown["sentences"][worst.item.sentence]["text"]
    return Doubt(worst.item, worst.paragraph, worst.row["gold"], sentence, worst.people, worst.against, fixes)
