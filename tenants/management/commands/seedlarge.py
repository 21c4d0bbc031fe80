"""`manage.py seedlarge`: the tables of a large service, for measuring; on a database of its own."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tenants.management import large
from tenants.models import UsageEvent


class Command(BaseCommand):
    help = "Lay 1,000 tenants and 10 million usage events with what is derived from them. For measuring only."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take how many."""
        parser.add_argument("--tenants", type=int, default=1000)
        parser.add_argument("--events", type=int, default=10_000_000)

    def handle(self, *args: Any, **options: Any) -> None:
        """Lay the rows, telling each step."""
        if UsageEvent.objects.exists():
            raise CommandError("This database has usage events: give an empty one, `make seed-large VAR=…`.")
        large.make(options["tenants"], options["events"], say=self._say)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
