"""`make bench-metering`: how fast drains move usage into the ledger, and an invoice over a million requests.

python -m stack run --services -- python -m bench.metering

On an empty database of its own. Half the requests are of a style with a price and an author's share of its
own. The figures go into results/billing.json.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Collection
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from typing import Any
from uuid import UUID, uuid4

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection, connections  # noqa: E402
from django.db.models import Sum  # noqa: E402
from django.utils import timezone  # noqa: E402

from adapters.catalog.price_book_versions import complete_edition  # noqa: E402
from bench.billing import write_figures  # noqa: E402
from billing.invoices import invoices  # noqa: E402
from core import months, valkey  # noqa: E402
from inference.contract.route import Provenance  # noqa: E402
from inference.quota.ledger_drain import drain_usage  # noqa: E402
from tenants.accounts.workspaces import create_tenant  # noqa: E402
from tenants.api_keys.lifecycle import issue_key, playground_key  # noqa: E402
from tenants.models import AuthorEarning, LedgerEntry, Price, PriceBook, Tenant, User  # noqa: E402

EVENTS = 30_000
TENANTS = 20
KEYS = 3
WORKERS = 4
MILLION = 1_000_000
TIMES = 3
STYLE = uuid4()
OTHER_STYLE = uuid4()

# A million requests of one workspace in a month, of 20 styles, with their ledger entries.
ADD_EVENTS = """
    INSERT INTO tenants_usageevent
        (request_id, tenant_id, key_id, style, style_name, version_number, adapter_sha256, base_model, engine,
         period, admitted_at, prompt_tokens, cached_tokens, completion_tokens, finish_reason, outcome,
         input_nanousd, cached_input_nanousd, output_nanousd, cost_nanousd, recorded_at)
    SELECT 'million-' || i, %(tenant)s, %(key)s, md5('s' || i %% 20)::uuid, 'style-' || i %% 20, 1, '', 'm',
           'e', %(period)s, %(start)s::timestamptz + interval '27 days' * (i::float / %(count)s),
           40 + i %% 200, i %% 40, i %% 300, 'stop', 'complete', 100, 25, 400,
           (40 + i %% 200 - i %% 40) * 100 + i %% 40 * 25 + i %% 300 * 400, now()
    FROM generate_series(1, %(count)s) AS i
"""
ADD_ENTRIES = """
    INSERT INTO tenants_ledgerentry
        (tenant_id, kind, source_id, period, amount_nanousd, tokens, actor, reason, created_at)
    SELECT tenant_id, 'usage', request_id, period, cost_nanousd, prompt_tokens + completion_tokens, '', '',
           now()
    FROM tenants_usageevent WHERE request_id LIKE 'million-%%'
"""


def make_tenants() -> list[tuple[UUID, list[UUID]]]:
    """Return workspaces with keys; the first one is the author of STYLE."""
    made = []
    for number in range(TENANTS):
        user = User.objects.create_user(f"metering-{number}@example.org")
        tenant = create_tenant(user, name=f"Metering {number}")
        keys = [playground_key(tenant).pk]
        for count in range(1, KEYS):
            key, _ = issue_key(tenant, name=f"key {count}", by=None)
            keys.append(key.pk)
        made.append((tenant.pk, keys))
    book = PriceBook.objects.create(effective_from=timezone.now() - timedelta(hours=1))
    Price.objects.create(
        book=book,
        style=STYLE,
        style_name="metering/style",
        input_nanousd=100,
        cached_input_nanousd=25,
        output_nanousd=400,
        author_id=made[0][0],
        author_percent=20,
    )
    complete_edition(book)
    return made


def fill_stream(tenants: list[tuple[UUID, list[UUID]]], run: str) -> None:
    """Append usage events as settlement does, those of all workspaces mixed."""
    now_ms = int(time.time() * 1000)
    pipeline = valkey.client().pipeline(transaction=False)
    for number in range(EVENTS):
        tenant_id, keys = tenants[number % TENANTS]
        style = STYLE if number % 2 else OTHER_STYLE
        provenance = Provenance(str(style), "metering/style", 1, "ab" * 32, "model")
        prompt, completion = 40 + number % 200, 1 + number % 300
        event: dict[str, str | int] = {
            "request": f"{run}-{number}",
            "tenant": str(tenant_id),
            "key": str(keys[number % KEYS]),
            "period": months.current(),
            "admitted_ms": now_ms,
            "route": provenance_json(provenance),
            "engine": "engine-1",
            "prices": "100 25 400",
            "prompt": prompt,
            "cached": 0,
            "completion": completion,
            "cost": prompt * 100 + completion * 400,
            "finish": "stop",
            "outcome": "complete",
        }
        pipeline.xadd(valkey.usage_key(), event)  # type: ignore[arg-type]
    pipeline.execute()


def provenance_json(provenance: Provenance) -> str:
    """Return provenance as routes carry it."""
    return json.dumps(provenance._asdict())


def measure_drain(tenants: list[tuple[UUID, list[UUID]]], *, workers: int) -> dict[str, float]:
    """Return how many events a second one or more drains record; each is a process."""
    run = uuid4().hex
    fill_stream(tenants, run)
    connections.close_all()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(_drain, ["warm"] * workers))  # what is drained before the clock starts is not counted
        fill_stream(tenants, uuid4().hex)
        began = time.perf_counter()
        recorded = sum(pool.map(_drain, [f"drain-{number}" for number in range(workers)]))
        taken = time.perf_counter() - began
    return {"workers": workers, "events": recorded, "events_per_s": round(recorded / taken)}


def _drain(consumer: str) -> int:
    return drain_usage(valkey.client(), consumer)


def measure_invoice(tenant: Tenant, key_id: UUID) -> dict[str, float]:
    """Return the seconds that drafting an invoice over a million requests takes."""
    period = months.before(months.current())
    start, _ = months.bounds(period)
    facts: dict[str, Any] = {
        "tenant": tenant.pk,
        "key": key_id,
        "period": period,
        "start": start,
        "count": MILLION,
    }
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(ADD_EVENTS, facts)
        cursor.execute(ADD_ENTRIES)
        cursor.execute("VACUUM ANALYZE tenants_usageevent, tenants_ledgerentry")
        cursor.execute("RESET statement_timeout")
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        invoice = invoices.draft_invoice(tenant, period)
        taken.append(time.perf_counter() - began)
    if invoice is None:
        raise RuntimeError("a million requests and no invoice")
    return {
        "entries": MILLION,
        "lines": invoice.lines.count(),
        "median_s": round(statistics.median(taken), 2),
        "worst_s": round(max(taken), 2),
    }


def measure_drains(tenants: list[tuple[UUID, list[UUID]]]) -> dict[str, object]:
    """Return the drains' figures, once the ledger has every event."""
    figures: dict[str, object] = {"load while draining": round(os.getloadavg()[0], 1)}
    figures["drain, one worker"] = measure_drain(tenants, workers=1)
    figures["drain, four at once"] = measure_drain(tenants, workers=WORKERS)
    entries = LedgerEntry.objects.filter(kind="usage").count()
    if entries != 4 * EVENTS:
        raise RuntimeError(f"{entries} entries of {4 * EVENTS} events")
    earned = AuthorEarning.objects.aggregate(requests=Sum("requests"))["requests"]
    # The author is one of the 20, and its own requests earn nothing; it has even numbers only.
    if earned != 4 * EVENTS // 2:
        raise RuntimeError(f"{earned} requests earned something")
    return figures


def main(parts: Collection[str]) -> None:
    """Measure the parts that are named, `drain` and `invoice`, or both; print, write down."""
    call_command("migrate", verbosity=0)
    tenants = make_tenants()
    figures: dict[str, object] = {}
    if "drain" in parts or not parts:
        figures |= measure_drains(tenants)
    if "invoice" in parts or not parts:
        tenant = Tenant.objects.get(pk=tenants[1][0])
        figures["load at a million"] = round(os.getloadavg()[0], 1)
        figures["an invoice of a million requests"] = measure_invoice(tenant, tenants[1][1][0])
    for name, figure in figures.items():
        print(f"{name}: {figure}")
    write_figures(figures)


if __name__ == "__main__":
    main(sys.argv[1:])
