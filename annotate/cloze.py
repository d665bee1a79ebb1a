"""What people answered in the learning game, as a benchmark of models: one row a blank and mode.

Which answers count is `annotate.played`'s business (`spec/learning_game.md` 8).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from annotate.exports.settings import settings_of
from annotate.game import around, read_start
from annotate.models import GameAttempt, GameItem, GameParagraph, GameRound, GameStart, Project
from annotate.played import READINGS, first_answers, words_decided

Json = dict[str, Any]  # Any: a JSON object

LEAST_TYPISTS = 2  # people who type a word before it may be a second gold


@dataclass(frozen=True)
class Blank:
    """One blank in one mode, as a row, and the typed words that wait for a reviewer: {word: people}.

    current: it is played now; blanks of earlier starts are kept for what people answered there.
    """

    row: Json
    item: GameItem
    paragraph: GameParagraph
    mode: str
    waiting: dict[str, int]
    current: bool

    @property
    def people(self) -> int:
        counts: list[int] = [*self.row["people"].values(), *self.row["free"].values()]
        return sum(counts)

    @property
    def against(self) -> int:
        """How many chose or typed none of the right words."""
        said: Counter[str] = Counter(self.row["people"]) + Counter(self.row["free"])
        return self.people - sum(said[gold] for gold in self.row["golds"])

    def why_not(self, least: int) -> str:
        """Why it is not in the benchmark; empty where it is."""
        if self.people < least:
            return "too_few_people"
        return "waits_for_a_reviewer" if self.waiting else ""


def cloze_rows(project: Project, settings: Mapping[str, Any]) -> Iterator[Json]:
    """The blanks of the project's own paragraphs and of the bundled ones that at least min_people answered.

    With min_people 0 each blank that is played now is a row: models can be scored before anyone has played.
    """
    least = settings_of("cloze", settings)["min_people"]
    return (blank.row for blank in blanks(project) if not blank.why_not(least))


def cloze_counts(project: Project, settings: Mapping[str, Any]) -> dict[str, int]:
    least = settings_of("cloze", settings)["min_people"]
    return dict(Counter(why for blank in blanks(project) if (why := blank.why_not(least))))


def blanks(project: Project, only: GameParagraph | None = None) -> Iterator[Blank]:
    """All that people may be asked, paragraph by paragraph, and what they answered in earlier starts.

    only: those of one paragraph, even where it is played no more.
    """
    answers, decided = first_answers(project, only), words_decided(project)
    starts = GameStart.objects.filter(Q(project=project) | Q(project=None)).order_by("pk")
    newest = {start.project_id: start.pk for start in starts if start.retired_at is None}
    for start in starts:
        current = newest.get(start.project_id) == start.pk
        for paragraph in _paragraphs(start, only):
            for item in sorted(paragraph.items.all(), key=lambda item: (item.sentence, item.position)):
                for mode in READINGS:
                    said = answers.get((item.pk, mode), [])
                    if said or current:
                        words = decided.get((item.pk, mode), {})
                        yield _blank(start, paragraph, item, mode, said, words, current=current)


def _paragraphs(start: GameStart, only: GameParagraph | None) -> QuerySet[GameParagraph]:
    """Those that are played: the exam's are not."""
    found = start.paragraphs.filter(reserved=False)
    wanted = found.filter(pk=only.pk) if only else found.filter(retired_at=None)
    return wanted.select_related("text").prefetch_related("items").order_by("key")


def _blank(
    start: GameStart,
    paragraph: GameParagraph,
    item: GameItem,
    mode: GameRound.Mode,
    answers: list[GameAttempt],
    decided: Mapping[str, bool],
    *,
    current: bool,
) -> Blank:
    words = read_start(start).vocabulary.words
    sentences = paragraph.shown["sentences"]
    gold = words[item.gold]
    options = [gold, *(words[word] for word in item.distractors[:3])]
    said = Counter(row.free if row.choice is None else words[row.choice] for row in answers)
    free = {word: count for word, count in sorted(said.items()) if word and word not in options}
    row = {
        "id": f"{item.pk}-{mode}",
        "split": "heldout",
        "paragraph": paragraph.key,
        "document": str(paragraph.text_id) if paragraph.text_id else None,
        "mode": str(mode),
        "context": [sentence["text"] for sentence in sentences[: item.sentence]],
        "sentence": list(around(sentences[item.sentence], item.position)),
        "options": options,
        "gold": gold,
        "golds": [gold, *(word for word, accepted in sorted(decided.items()) if accepted)],
        "people": {word: count for word, count in sorted(said.items()) if word in options},
        "free": free,
    }
    waiting = {word: count for word, count in free.items() if count >= LEAST_TYPISTS and word not in decided}
    return Blank(row, item, paragraph, str(mode), waiting, current)
