"""`manage.py runserver`: serve pages and `/v1` with uvicorn, as on a server; restart when code changes."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    help = "Serve the whole site, pages and /v1, on this machine. Django's own runserver would leave /v1 out."
    audit_action = None  # it changes nothing

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the address, as Django's own command does."""
        parser.add_argument("addrport", nargs="?", default="127.0.0.1:8000", help="A port, or address:port.")
        parser.add_argument("--noreload", action="store_true", help="Don't reload when code changes.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until stopped."""
        host, _, port = options["addrport"].rpartition(":")
        if not port.isdigit():
            raise CommandError(f"{options['addrport']} is not a port or address:port.")
        self.check_migrations()
        uvicorn.run(
            "config.asgi:application",
            host=host.strip("[]") or "127.0.0.1",
            port=int(port),
            proxy_headers=False,
            server_header=False,
            reload=not options["noreload"],
            reload_dirs=[str(folder) for folder in find_sources()],
        )


def find_sources() -> list[Path]:
    """Return the folders whose files the server reads: each app, the platform's, and the templates."""
    apps = [file.parent for file in settings.BASE_DIR.glob("*/__init__.py")]
    return [*apps, settings.BASE_DIR / "platform", settings.BASE_DIR / "templates"]
