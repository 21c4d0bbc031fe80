"""`manage.py rebuild_counters`: make a workspace's counters in Valkey anew from the ledger."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from billing.counters import rebuild_counters
from core import months, valkey
from tenants.audit import record_command
from tenants.models import Tenant


class Command(BaseCommand):
    """Sets what is used and spent this month and the one before; open requests keep what they hold."""

    help = "Rebuild this and last month's counters in Valkey from the ledger."
    audit_action = "counters.rebuilt"

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("workspace", nargs="*", help="short names (default: all)")

    def handle(self, *, workspace: list[str], **_: Any) -> None:
        tenants = Tenant.objects.order_by("slug")
        if workspace:
            tenants = tenants.filter(slug__in=workspace)
            unknown = set(workspace) - set(tenants.values_list("slug", flat=True))
            if unknown:
                raise CommandError(f"No such workspace: {', '.join(sorted(unknown))}.")
        # The month before, too: its requests may run still, and credits pay both.
        periods = (months.before(months.current()), months.current())
        for tenant in tenants:
            for period in periods:
                rebuild_counters(valkey.client(), tenant.pk, period)
            record_command(
                "rebuild_counters", action="counters.rebuilt", row=tenant, after={"periods": list(periods)}
            )
        self.stdout.write(f"The counters of {tenants.count()} workspaces now match the ledger.")
