"""`manage.py publishstyles`: the shipped styles, offered to everybody of this site."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.errors import DomainError
from operations import seeding


class Command(BaseCommand):
    help = (
        "Upload and publish the styles included with Polyscribe, and wait until they are serving. Safe "
        "to repeat. They are made for SmolLM2-135M-Instruct; for another model, name a folder with "
        "styles trained on it."
    )
    audit_action = "style.published"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the folder of the styles: one folder each, with adapter and style.json."""
        parser.add_argument("--styles", type=Path, default=seeding.SHIPPED)

    def handle(self, *args: Any, **options: Any) -> None:
        """Publish and print each style."""
        try:
            seeding.publish(options["styles"], say=self.stdout.write)
        except DomainError as error:
            raise CommandError(error.message) from error
