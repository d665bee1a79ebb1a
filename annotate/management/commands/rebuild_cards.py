"""manage.py rebuild_cards: replay all card reviews into the states that are kept of them."""

from __future__ import annotations

from typing import Any  # Django's options

from django.core.management.base import BaseCommand

from annotate.actions.rebuild_cards import rebuild_cards


class Command(BaseCommand):
    help = "Replay all card reviews into the states that are kept of them."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{rebuild_cards()} card states.")
