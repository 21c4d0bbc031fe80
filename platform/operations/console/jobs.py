"""The console's page of what workers do: queues, failures, what is stuck, and beat's schedule."""

import redis
from django.urls import reverse
from django.utils.text import capfirst

from core.console import Figure, Level
from operations.models import FailedTask
from operations.monitoring import findings, health
from operations.monitoring.findings import Finding
from operations.monitoring.running_checks import read_all_queues, read_schedule

FAILURES_SHOWN = 10
LEVELS = {
    findings.Level.OK: Level.NORMAL,
    findings.Level.NOTE: Level.SOON,
    findings.Level.FAULT: Level.FAULT,
}


def jobs_context() -> dict[str, object]:
    """Return what the page shows. A broker or Valkey that is away is said, and the rest is shown."""
    context: dict[str, object] = {
        "stuck": [_show(finding) for finding in health.CHECKS["stuck"].ask() if not finding.is_ok],
        "failures": FailedTask.objects.order_by("-last_at")[:FAILURES_SHOWN],
        "failures_total": FailedTask.objects.count(),
    }
    try:
        return {**context, "queues": read_all_queues(), "schedule": read_schedule()}
    except redis.RedisError:
        return {**context, "is_away": True}


def _show(finding: Finding) -> Figure:
    """Return a finding as a figure that leads to the list of its rows."""
    name = str(capfirst(finding.subject))
    return Figure(name, finding.seen, address=rows_address(finding), level=LEVELS[finding.level])


def rows_address(finding: Finding) -> str:
    """Return the address of the console's list of what a finding means."""
    page, _, query = finding.rows.partition("?")
    address = reverse(f"admin:{page}_changelist")
    return f"{address}?{query}" if query else address
