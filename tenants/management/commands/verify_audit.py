"""`manage.py verify_audit`: whether the audit log is whole; else the first entry where it is not."""

import re
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from tenants import audit


class Command(BaseCommand):
    """Reads the whole log, and changes nothing but the links of entries that were just written."""

    help = (
        "Verify the audit log's chain and print its head. Keep heads where the database's owner can't "
        "write, and pass one with --expect to detect a truncated log."
    )
    audit_action = None  # it changes nothing

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take a head that was noted before."""
        parser.add_argument("--expect", default="", help="A head printed earlier, such as 1234:ab…")

    def handle(self, *, expect: str, **_: object) -> None:
        """Print the head, or fail with the first fault."""
        audit.link_all()
        found = audit.verify_log(_parse_head(expect))
        if found.fault is None:
            self.stdout.write(f"{found.entries} entries, whole. Head: {found.head}")
            return
        entry = found.fault.entry
        where = f"Entry {entry.pk} (position {entry.position}, {entry})" if entry else "The log"
        raise CommandError(f"{where}: {found.fault.problem}")


def _parse_head(text: str) -> audit.Head | None:
    if not text:
        return None
    match = re.fullmatch(r"(\d+):([0-9a-f]{64})", text)
    if match is None:
        raise CommandError(
            f"{text!r} is not a head. It must be a position, a colon and 64 hexadecimal digits."
        )
    return audit.Head(int(match[1]), match[2])
