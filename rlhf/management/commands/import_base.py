"""manage.py import_base: take a base model in from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotate.models import Project
from rlhf.bases import import_base
from rlhf.errors import LaunchError


class Command(BaseCommand):
    help = "Record a folder with safetensors, JSON and tokenizer files as a base model of a project."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("folder", type=Path)
        parser.add_argument("--project", required=True, help="its name")
        parser.add_argument("--name", default="", help="what people see; default: the folder's name")
        parser.add_argument("--licence", default="unknown")

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        folder: Path = options["folder"]
        name = options["name"] or folder.resolve().name
        try:
            model = import_base(
                project=project_named(options["project"]), folder=folder, name=name, licence=options["licence"]
            )
        except LaunchError as error:
            raise CommandError(error.sentence) from None
        self.stdout.write(f"{model} is base {model.number} of {options['project']}: {model.sha256}")


def project_named(name: str) -> Project:
    """The one project with this name, for an operator's command."""
    found = list(Project.objects.filter(name=name)[:2])
    if len(found) != 1:
        raise CommandError(f"{'No' if not found else 'More than one'} project is named {name}.")
    return found[0]
