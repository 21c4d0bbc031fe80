"""`manage.py doctor`: look at everything that this installation needs."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from operations.monitoring.findings import Finding, Level
from operations.monitoring.health import CHECKS

MARKS = {Level.OK: "✓", Level.NOTE: "!", Level.FAULT: "✗"}


class Command(BaseCommand):
    """Prints what it finds, with how to mend it. The exit code is 1 where something does not work."""

    help = "Check settings, databases, storage, engines, queues, clocks, disks and certificates."
    audit_action = None  # it changes nothing
    requires_system_checks: list[str] = []  # it tells of them itself

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the form of the output."""
        parser.add_argument("--json", action="store_true", help="Print one JSON object per line.")
        parser.add_argument("--quiet", action="store_true", help="Show only problems.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print each finding when it is known. Raises CommandError where there is a fault."""
        faults = 0
        for check in CHECKS.values():
            for finding in check.run():
                faults += finding.level is Level.FAULT
                if not finding.is_ok or not options["quiet"]:
                    self.stdout.write(_line(finding) if options["json"] else _sentence(finding))
        if faults:
            raise CommandError(f"{faults} checks failed.")


def _line(finding: Finding) -> str:
    facts = {name: getattr(finding, name) for name in ("subject", "level", "seen", "fix")}
    return json.dumps(facts)


def _sentence(finding: Finding) -> str:
    line = f"{MARKS[finding.level]} {finding.subject}: {finding.seen}"
    return f"{line}\n    → {finding.fix}" if finding.fix else line
