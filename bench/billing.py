"""`make bench-billing`: how long previews and a month's invoices take on a large service's tables.

python -m stack run --services --var var/large -- python -m bench.billing

Every draft is taken back at the end, so it can be repeated.
"""

import json
import os
import statistics
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.db import connection  # noqa: E402
from django.db.models import Count  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from foundation import months  # noqa: E402
from tenants.billing import archive, archive_store, invoices, partitions  # noqa: E402
from tenants.models import Invoice, LedgerEntry, Tenant  # noqa: E402

RESULTS = Path(__file__).with_name("results") / "billing.json"
TIMES = 7


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
    reads_events = any("tenants_usageevent" in query["sql"] for query in asked)
    entries = LedgerEntry.objects.filter(tenant=tenant, period=period).count()
    return {
        "reads_events": reads_events,
        "entries": entries,
        "lines": len(preview.lines),
        "median_ms": round(statistics.median(taken), 1),
        "worst_ms": round(max(taken), 1),
    }


def measure_month(period: str) -> dict[str, float]:
    """Return the seconds that one worker takes to draft a month of every workspace."""
    Tenant.objects.filter(slug__startswith="large-").update(created_at=months.bounds(period)[0])
    began = time.perf_counter()
    drafted = invoices.draft_month(period)
    taken = time.perf_counter() - began
    drafts = Invoice.objects.filter(period=period, state=Invoice.State.DRAFT)
    lines = drafts.aggregate(lines=Count("lines"))["lines"]
    drafts.delete()
    return {"invoices": drafted, "lines": lines, "seconds": round(taken, 1)}


def measure_export(period: str) -> dict[str, float]:
    """Return the seconds that a month's events take into the bucket, back, and beside the ledger."""
    key = f"archives/bench-{period}.csv.gz"
    store = archive_store.archive_store()
    began = time.perf_counter()
    with closing(archive._copy_rows(partitions.partition_name(period))) as rows:
        store.write(key, archive._compress(rows))
    written = time.perf_counter()
    content = archive._read_content(store.read(key))
    archive._require_ledgers(period, content)
    ended = time.perf_counter()
    return {
        "events": content.events,
        "write_s": round(written - began, 1),
        "read_and_compare_s": round(ended - written, 1),
        "bytes_an_event": round(sum(map(len, store.read(key))) / content.events),
    }


def write_figures(figures: Mapping[str, object]) -> None:
    """Write figures into the results, beside those that another command wrote there."""
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(known | dict(figures), indent=1) + "\n")


def main() -> None:
    """Measure, print, write down."""
    period = months.before(months.current())
    tenant = Tenant.objects.get(slug="large-77")
    result = {
        "load": round(os.getloadavg()[0], 1),
        "events": LedgerEntry.objects.filter(kind="usage").count(),
        "one workspace": measure_preview(tenant, period),
        "a month of all, one worker": measure_month(period),
        "a month's export": measure_export(period),
    }
    for name, figure in result.items():
        print(f"{name}: {figure}")
    write_figures(result)


if __name__ == "__main__":
    main()
