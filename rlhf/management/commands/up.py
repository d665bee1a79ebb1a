"""manage.py up: the whole service on this machine, until Ctrl-C."""

from __future__ import annotations

import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotate.models import User
from rlhf.service import Service, ServiceError

LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Command(BaseCommand):
    help = "Start web, workers, beat and generator, with an embedded Redis where none is set; stop them on Ctrl-C."
    requires_system_checks: list[str] = []  # each child checks, after migrations

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        if settings.DEV and options["host"] not in LOOPBACK:
            raise CommandError("APP_ENV=dev serves on loopback only; choose --host 127.0.0.1, or unset APP_ENV.")
        asked: list[int] = []
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda number, frame: asked.append(number))
        try:
            with Service(host=options["host"], port=options["port"]) as service:
                self.stdout.write(
                    f"Touchstone is up: {service.address}   (state and logs: {service.home}; Ctrl-C stops it)"
                )
                if not User.objects.exists():
                    self.stdout.write("Nobody can sign in yet; make the first account: manage.py createsuperuser")
                service.watch(lambda: bool(asked), say=self.stdout.write)
                self.stdout.write("Stopping; a run in progress writes its checkpoint first.")
        except ServiceError as error:
            raise CommandError(str(error)) from None
