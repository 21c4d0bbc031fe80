"""`manage.py exporter`: serve `/metrics` for Prometheus."""

import signal
from argparse import ArgumentParser
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from operations.monitoring import exporter

PORT = 9464  # what OpenTelemetry's Prometheus exporters take


class Command(BaseCommand):
    """Serves the metrics of the whole installation until it is stopped. Run one."""

    help = "Serve /metrics for Prometheus until SIGTERM."
    audit_action = None  # it changes nothing

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the address."""
        parser.add_argument(
            "--host", default="127.0.0.1", help="Don't use a public address: the metrics show engine names."
        )
        parser.add_argument("--port", type=int, default=PORT)

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until a signal."""
        stopping = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        try:
            stop = exporter.serve(options["host"], options["port"])
        except OSError as error:
            raise CommandError(
                f"{options['host']}:{options['port']} can't be used: {error.strerror}."
            ) from error
        self.stdout.write(f"Metrics at http://{options['host']}:{options['port']}/metrics")
        stopping.wait()
        stop()
