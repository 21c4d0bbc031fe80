"""`manage.py seedlarge`: create a large service's tables for benchmarks, on a database of their own."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from tenants.management import large
from tenants.models import UsageEvent


class Command(BaseCommand):
    help = "Create a large service: 1,000 tenants, 10 million usage events. For benchmarks only."
    audit_action = None  # it makes up a service for benchmarks

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the numbers of tenants and events."""
        parser.add_argument("--tenants", type=int, default=1000)
        parser.add_argument("--events", type=int, default=10_000_000)

    def handle(self, *args: Any, **options: Any) -> None:
        """Create the rows and print each step."""
        if UsageEvent.objects.exists():
            raise CommandError("This database has usage events. Use an empty one: `make seed-large VAR=…`.")
        large.create_tables(options["tenants"], options["events"], say=self._write_line)

    def _write_line(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
