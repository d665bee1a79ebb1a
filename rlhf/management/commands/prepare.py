"""manage.py prepare: bring the database and the static files to this version, before the service starts."""

from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser

from rlhf.models import Run, Snapshot


class Command(BaseCommand):
    requires_system_checks: list[str] = []  # each process checks when it starts, on the migrated database
    help = "Migrate, and collect static files; with --forget-messages, let what is queued be sent again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--forget-messages", action="store_true", help="for a Redis that has started empty")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        call_command("migrate", interactive=False, verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        if options["forget_messages"]:
            Run.objects.filter(state=Run.State.QUEUED).update(sent_at=None)
            Snapshot.objects.filter(state=Snapshot.State.FREEZING).update(sent_at=None)
