"""manage.py demo: the service, and the whole loop through it, by scripted people."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotate.models import Project
from rlhf.demo import cast, material, verdict
from rlhf.demo.client import Refused
from rlhf.demo.loop import Loop, StageFailed
from rlhf.service import Service, ServiceError
from trainer.contract import configs


class Command(BaseCommand):
    help = "Run the whole loop, from a dirty document to a PPO answer, on the standard library's text or on your own."
    requires_system_checks: list[str] = []  # each child checks, after migrations

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--data", type=Path, help="a folder with your own documents and pairs")
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--preset", choices=configs.PRESETS, default="demo", help="how much each stage learns")
        parser.add_argument("--no-serve", action="store_true", help="end after the table")
        parser.add_argument("--again", action="store_true", help="run the loop once more, in a project of its own")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args: Any, **options: Any) -> None:  # Any: Django's signature
        data: Path | None = options["data"]
        if data is not None and not data.is_dir():
            raise CommandError(f"{data} is no folder; DATA names one with *.txt, *.md, *.html or *.jsonl files.")
        began = time.monotonic()
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with Service(port=0 if options["no_serve"] else options["port"]) as service:
                self.stdout.write(f"Touchstone is up: {service.address}")
                shown = None if options["again"] or data else verdict.newest()
                if shown is None:
                    shown = self.run_loop(service, data, options, began)
                self.stdout.write(shown.text)
                if not options["no_serve"]:
                    self.stdout.write(cast.log_ins(service.address))
                    self.stdout.write("The service stays up; Ctrl-C stops it.")
                    serve(service, say=self.stdout.write)
        except (ServiceError, Refused, StageFailed, material.NoMaterial) as error:
            raise CommandError(str(error)) from None
        except KeyboardInterrupt:
            raise CommandError("Stopped. `make demo` starts the loop anew, in a project of its own.") from None
        if shown.missed:
            raise CommandError("Missed: " + "; ".join(shown.missed))

    def run_loop(
        self, service: Service, data: Path | None, options: dict[str, Any], began: float
    ) -> verdict.Shown:  # Any: as above
        folder = Path(settings.HOME) / "demo"
        folder.mkdir(mode=0o700, exist_ok=True)
        own = material.from_folder(data, folder) if data else material.from_library(folder)
        title = f"Demo {Project.objects.count() + 1}" if Project.objects.exists() else "Demo"
        project, people = cast.assemble(title, port=service.port)
        loop = Loop(
            project=str(project.uuid), cast=people, material=own, seed=options["seed"], preset=options["preset"]
        )
        loop.run()
        return verdict.record(project, loop, seconds=time.monotonic() - began, own_texts=data is not None)


def serve(service: Service, *, say: Callable[[str], None]) -> None:
    """Keep the service up until someone asks it to stop."""
    with suppress(KeyboardInterrupt):
        service.watch(lambda: False, say=say)
