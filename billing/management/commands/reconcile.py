"""`manage.py reconcile`: whether Valkey, ledger, usage, invoices, credits and shares agree about a month."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.counters import compare_counters
from core import months, valkey
from metering.reconciliation import (
    compare_credits,
    compare_earnings,
    compare_invoices,
    compare_trainings,
    compare_usage,
)


class Command(BaseCommand):
    """Prints each disagreement on a line of its own, and fails if there is any. It mends none."""

    help = (
        "Compare a month's counters in Valkey, ledger, usage events, daily usage, invoices, credits, "
        "trainings and authors' shares."
    )
    audit_action = None  # it changes nothing

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--period", default=months.current(), help="(default: this month, %(default)s)")

    def handle(self, *, period: str, **_: Any) -> None:
        try:
            found: list[object] = [*compare_usage(period), *compare_invoices(period)]
            found += [*compare_credits(period), *compare_earnings(period), *compare_trainings(period)]
        except ValueError as error:
            raise CommandError(f"{period!r} is not a month. Use the form {months.current()}.") from error
        found += compare_counters(valkey.client(), period)
        for disagreement in found:
            self.stdout.write(str(disagreement))
        if found:
            raise CommandError(f"{len(found)} mismatches for {period}")
        self.stdout.write(f"No mismatches for {period}.")
