"""Django's `migrate`, which does not refuse a database for lacking what it is about to bring."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import migrate


class Command(migrate.Command):
    def check(self, *args: Any, **options: Any) -> None:  # Any: as Django calls it
        """The checks of settings alone: that every migration is applied can only be asked afterwards."""
        super().check(*args, **options | {"databases": None})
