"""manage.py fetch_model: take a base model in from the hub, at one commit."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from rlhf.bases import fetch_base
from rlhf.errors import LaunchError
from rlhf.management.commands.import_base import project_named


class Command(BaseCommand):
    help = "Fetch safetensors, JSON and tokenizer files of owner/name@<commit> and record them as a base model."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("hub_name", help="owner/name@ and the full commit hash")
        parser.add_argument("--project", required=True, help="its name")
        parser.add_argument("--licence", default="unknown")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        try:
            model = fetch_base(
                project=project_named(options["project"]), hub_name=options["hub_name"], licence=options["licence"]
            )
        except LaunchError as error:
            raise CommandError(error.sentence) from None
        self.stdout.write(f"{model} is base {model.number} of {options['project']}: {model.sha256}")
