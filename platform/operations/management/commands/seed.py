"""`manage.py seed`: one workspace, a login, an API key and the shipped styles, through the real path."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.errors import DomainError
from operations import seeding


class Command(BaseCommand):
    help = "Create the demo workspace and styles, and a file with the login and API key. Safe to repeat."
    audit_action = "operator.created"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the folder of the styles, the file of the login, how long to wait, and the sample."""
        parser.add_argument("--styles", type=Path, default=seeding.SHIPPED)
        parser.add_argument("--secrets", type=Path, default=seeding.secrets_file())
        parser.add_argument(
            "--within", type=float, default=seeding.WITHIN_S, help="seconds to wait for a style"
        )
        parser.add_argument(
            "--sample", action="store_true", help="add a workspace with two months of sample data"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Seed and print each step."""
        try:
            seeding.seed(
                options["styles"],
                options["secrets"],
                with_sample=options["sample"],
                say=self._write_line,
                within_s=options["within"],
            )
        except DomainError as error:
            raise CommandError(error.message) from error

    def _write_line(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
