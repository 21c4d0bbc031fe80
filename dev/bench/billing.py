"""`make bench NAME=billing`: how long previews and a month's invoices take on a large service's tables.

python -m stack run --services --var var/large -- python -m bench.billing [preview] [one] [two]

A month of all workspaces is drafted and finalized by real workers. All of it is taken back at the end, so it
can be repeated.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import connection, transaction  # noqa: E402
from django.db.models import Count  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from bench import report  # noqa: E402
from billing import tasks  # noqa: E402
from billing.invoices import invoices  # noqa: E402
from billing.tasks import draft_invoices, finalize_invoices  # noqa: E402
from config.celery import app  # noqa: E402
from core import months  # noqa: E402
from metering.models import Invoice, LedgerEntry  # noqa: E402
from stack import application  # noqa: E402
from stack.folders import ROOT, Folders  # noqa: E402
from tenants.models import Tenant  # noqa: E402

TIMES = 7
GIVE_UP_S = 1200
FOLDERS = Folders(ROOT / "var")


def measure_preview(tenant: Tenant, period: str) -> dict[str, float]:
    """Return the milliseconds that one workspace's invoice takes, and of how many ledger entries it is."""
    invoices.preview_invoice(tenant, period)
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        preview = invoices.preview_invoice(tenant, period)
        taken.append(1000 * (time.perf_counter() - began))
    with CaptureQueriesContext(connection) as asked:
        invoices.preview_invoice(tenant, period)
    reads_events = any("metering_usageevent" in query["sql"] for query in asked)
    entries = LedgerEntry.objects.filter(tenant=tenant, period=period).count()
    return {
        "reads_events": reads_events,
        "entries": entries,
        "lines": len(preview.lines),
        "median_ms": round(statistics.median(taken), 1),
        "worst_ms": round(max(taken), 1),
    }


def measure_month(period: str, workers: int) -> dict[str, float]:
    """Return the seconds that some workers take to draft and to finalize a month of every workspace."""
    Tenant.objects.filter(slug__startswith="large-").update(created_at=months.bounds(period)[0])
    _take_back(period)
    expected = sum(len(batch) for batch in tasks.batches_to_draft(period))
    made = Invoice.objects.filter(period=period)
    final = made.exclude(state=Invoice.State.DRAFT)
    with _running_workers(workers):
        drafting_s = _time_until(lambda: made.count() == expected, lambda: draft_invoices.delay(period))
        made.update(created_at=timezone.now() - 2 * invoices.DRAFT_FOR)
        finalizing_s = _time_until(lambda: final.count() == expected, finalize_invoices.delay)
    lines = made.aggregate(lines=Count("lines"))["lines"]
    numbers = set(made.values_list("number", flat=True))
    if numbers != set(range(1, expected + 1)):
        raise RuntimeError(f"{len(numbers)} numbers of {expected} invoices, with gaps or twice")
    _take_back(period)
    return {
        "workers": workers,
        "invoices": expected,
        "lines": lines,
        "drafting_s": round(drafting_s, 1),
        "finalizing_s": round(finalizing_s, 1),
    }


@contextmanager
def _running_workers(count: int) -> Iterator[None]:
    """Run workers of the queue of invoices, as docker-compose.yml does."""
    with ExitStack() as running:
        for number in range(count):
            program = application.worker(
                f"worker-billing-{number}", "billing", variables=os.environ, folders=FOLDERS, threads=1
            )
            process = subprocess.Popen(
                program.argv,
                env={**program.env, "DATABASE_STATEMENT_TIMEOUT_S": "300"},
                stderr=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
            running.enter_context(process)  # waits for its end
            running.callback(process.terminate)
        while len(app.control.ping(timeout=1) or ()) < count:
            pass
        yield


def _time_until(is_done: Callable[[], bool], begin: Callable[[], object]) -> float:
    began = time.perf_counter()
    begin()
    while not is_done():
        if time.perf_counter() - began > GIVE_UP_S:
            raise RuntimeError(f"not done after {GIVE_UP_S} s")
        time.sleep(0.2)
    return time.perf_counter() - began


def _take_back(period: str) -> None:
    """Delete a month's invoices with all that finalizing wrote; the database's own guards are off for it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("DELETE FROM events_outboxevent WHERE type LIKE 'invoice.%'")
        cursor.execute("DELETE FROM metering_ledgerentry WHERE source_id LIKE 'invoice %'")
        invoices_of_it = "SELECT id FROM metering_invoice WHERE period = %s"
        cursor.execute(f"DELETE FROM metering_invoiceline WHERE invoice_id IN ({invoices_of_it})", [period])
        cursor.execute("DELETE FROM metering_invoice WHERE period = %s", [period])
        cursor.execute("UPDATE metering_invoicenumber SET last = 0")


def main(parts: Collection[str]) -> None:
    """Measure the parts that are named (`preview`, `one`, `two`) or all; print, write down."""
    period = months.before(months.current())
    tenant = Tenant.objects.get(slug="large-77")
    measures: dict[str, tuple[str, Callable[[], dict[str, float]]]] = {
        "preview": ("one workspace", lambda: measure_preview(tenant, period)),
        "one": ("a month of all, one worker", lambda: measure_month(period, 1)),
        "two": ("a month of all, two workers", lambda: measure_month(period, 2)),
    }
    events = LedgerEntry.objects.filter(kind="usage").count()
    for part, (title, measure) in measures.items():
        if part in parts or not parts:
            load = round(os.getloadavg()[0], 1)
            figures: dict[str, float] = {"load": load, "events": events, **measure()}
            print(f"{title}: {figures}", flush=True)
            report.write_results("billing", {**report.read_results("billing"), title: figures})


if __name__ == "__main__":
    main(sys.argv[1:])
