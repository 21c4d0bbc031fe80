"""`manage.py archive_usage`: move the usage events of old months into files in the bucket."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError
from django.utils import timezone

from billing import archive
from core.errors import DomainError


class Command(BaseCommand):
    """Safe to repeat: a month goes on where an earlier run ended. Ledger, sums and invoices stay."""

    help = "Export usage events of old months to the bucket, verify the files and drop the tables."
    audit_action = "usage.archived"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the first month that stays."""
        parser.add_argument("--before", required=True, metavar="MONTH", help="the first month to keep")

    def handle(self, *, before: str, **_: Any) -> None:
        """Archive month after month and print each."""
        count = 0
        try:
            for one in archive.archive_before(
                before, now=timezone.now(), reason=f"manage.py archive_usage --before {before}"
            ):
                count += 1
                self.stdout.write(f"{one}: {one.events:,} stored in {one.object_key}, SHA-256 {one.sha256}")
                self.stdout.flush()
        except ValueError as error:
            raise CommandError(f"{before!r} is not a month. Use the form 2026-08.") from error
        except DomainError as error:
            raise CommandError(error.message) from error
        except OperationalError as error:
            raise CommandError(f"The database is busy or unavailable ({error}). Run this again.") from error
        if not count:
            self.stdout.write(f"There are no usage events to archive before {before}.")
