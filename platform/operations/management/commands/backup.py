"""`manage.py backup FOLDER`."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.errors import DomainError
from operations.backup import write_backup
from tenants.audit import record_command


class Command(BaseCommand):
    """Writes the database and the bucket into a folder. The site may run meanwhile."""

    help = "Back up the database and the bucket into an empty folder."
    audit_action = "backup.written"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the folder."""
        parser.add_argument("folder", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        """Write the backup. Raises CommandError."""
        try:
            manifest = write_backup(options["folder"], self.stdout.write)
        except DomainError as error:
            raise CommandError(error.message) from error
        facts = {"made_at": manifest.made_at, "objects": manifest.objects}
        record_command("backup", action="backup.written", after=facts)
        self.stdout.write(f"Backup of {manifest.made_at}: the database and {manifest.objects} objects.")
