"""manage.py verify_rounds: play the finished rounds again that were too long for it when they ended."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from annotate.actions.play import verify
from annotate.models import GameRound


class Command(BaseCommand):
    help = "Play each finished round of the learning game again that has no verdict yet. Some 1 ms a step."

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        waiting = GameRound.objects.filter(finished_at__isnull=False, replay=GameRound.Replay.NONE)
        counts = dict.fromkeys((GameRound.Replay.SAME, GameRound.Replay.DIFFERS), 0)
        for round_ in waiting.select_related("paragraph__start").order_by("pk").iterator(chunk_size=100):
            verify(round_)
            counts[GameRound.Replay(round_.replay)] += 1
        self.stdout.write(f"{counts[GameRound.Replay.SAME]} the same, {counts[GameRound.Replay.DIFFERS]} differ")
