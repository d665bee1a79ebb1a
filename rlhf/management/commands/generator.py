"""manage.py generator: the process that answers the playground."""

from __future__ import annotations

import signal
from typing import Any

from django.core.management.base import BaseCommand

from rlhf.checks import refuse_unsafe
from rlhf.generator import serve


class Command(BaseCommand):
    help = "Answer what people ask in the playground, until SIGTERM."

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        refuse_unsafe(accounts=False)
        asked: list[int] = []
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda number, frame: asked.append(number))
        serve(lambda: bool(asked))
