"""Put a trained start of the game before the people of a project, with the paragraphs that they play."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from annotate.models import GameItem, GameParagraph, GameStart, Project
from annotate.tinynet import start as starts
from annotate.tinynet.items import Paragraph, payload, reserved, theme
from annotate.tinynet.start import Start


@dataclass(frozen=True)
class Played:
    """A paragraph and where it comes from: the key of a corpus document, or a theme of the bundled set."""

    paragraph: Paragraph
    text: int | None
    theme: str = ""


@transaction.atomic
def publish_start(*, start: Start, practice: bytes, played: Sequence[Played], project: Project | None) -> GameStart:
    """The start as its file, its practice stream, paragraphs and items. The same start twice is one standing row."""
    data = starts.write(start)
    version = starts.version(data)
    header = {"held_out": start.held_out, "words": start.vocabulary.total, "v": len(start.vocabulary)}
    header |= {"corpus_sha256": start.corpus_sha256, "code": start.code, "seed": start.seed, "language": start.language}
    made, is_new = GameStart.objects.get_or_create(
        project=project,
        version=version,
        defaults={"file": starts.sent(data), "practice": starts.sent(practice), "header": header},
    )
    if is_new:
        _publish_paragraphs(made, start, played)
    elif made.retired_at:  # what it read is back, and nothing else changed
        made.retired_at = None
        made.save(update_fields=["retired_at"])
    return made


def _publish_paragraphs(made: GameStart, start: Start, played: Sequence[Played]) -> None:
    exam = set(reserved([one.paragraph.key for one in played]))
    rows = GameParagraph.objects.bulk_create(
        GameParagraph(
            start=made,
            key=one.paragraph.key,
            theme=one.theme or ", ".join(theme(one.paragraph, start.vocabulary)),
            body="\n".join(sentence.text for sentence in one.paragraph.sentences),
            shown=payload(one.paragraph, start.vocabulary),
            text_id=one.text,
            reserved=one.paragraph.key in exam,
        )
        for one in played
    )
    GameItem.objects.bulk_create(
        GameItem(
            paragraph=row,
            sentence=item.sentence,
            position=item.position,
            gold=item.gold,
            distractors=list(item.distractors),
        )
        for row, one in zip(rows, played, strict=True)
        for item in one.paragraph.items
    )
