"""manage.py reconcile_queue [--fix]: report, or mend, tasks whose state is not what their slots say."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any  # Django's options

from django.core.management.base import BaseCommand, CommandError

from annotate.actions.reconcile_queue import reconcile_queue


class Command(BaseCommand):
    help = "Report tasks whose state is not what their slots say; exit code 1 where there are any left."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--fix", action="store_true", help="mend them")

    def handle(self, *args: Any, **options: Any) -> None:
        found = reconcile_queue(fix=options["fix"])
        for difference in found:
            self.stdout.write(str(difference))
        if found and not options["fix"]:
            raise CommandError(f"{len(found)} differences; --fix mends them.")
        self.stdout.write(f"{len(found)} mended." if found else "Nothing differs.")
