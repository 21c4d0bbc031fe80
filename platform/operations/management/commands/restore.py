"""`manage.py restore FOLDER`."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.errors import DomainError
from operations.backup import restore_backup
from tenants.audit import record_command


class Command(BaseCommand):
    """Restores a backup into an installation that nobody has used yet."""

    help = "Restore a backup into an empty database, bucket and Valkey."
    audit_action = "backup.restored"
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the folder."""
        parser.add_argument("folder", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        """Restore. Raises CommandError."""
        try:
            manifest = restore_backup(options["folder"], self.stdout.write)
        except DomainError as error:
            raise CommandError(error.message) from error
        facts = {"made_at": manifest.made_at, "objects": manifest.objects}
        record_command("restore", action="backup.restored", after=facts)
        self.stdout.write(
            f"Restored the backup of {manifest.made_at}. Now start the web, gateway and worker processes."
        )
