"""`make bench-console`: how long the console's lists and a canary's figures take on a large service's tables.

python -m stack run --services --var var/large -- python -m bench.console
"""

import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.contrib import admin  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import reverse  # noqa: E402
from django.utils import timezone  # noqa: E402

from core import months  # noqa: E402
from tenants.management import large  # noqa: E402
from tenants.metering.version_stats import version_figures  # noqa: E402
from tenants.models import UsageEvent, User  # noqa: E402

RESULTS = Path(__file__).with_name("results") / "console.json"
TIMES = 7
PROMISED_MS = 200

LISTS = {
    "usage events": ("usageevent", {}),
    "usage events, page 50": ("usageevent", {"p": "50"}),
    "usage events: engine failed": ("usageevent", {"outcome": "upstream_error"}),
    "usage events: swept": ("usageevent", {"outcome": "swept"}),
    "usage events: this month": ("usageevent", {"period": months.current()}),
    "usage events: the month before": ("usageevent", {"period": months.before(months.current())}),
    "usage events: one engine": ("usageevent", {"engine": "engine-3"}),
    "usage events: one request": ("usageevent", {"q": "large-000000000777"}),
    "usage events: one workspace": ("usageevent", {"q": "large-77"}),
    "usage events: nothing found": ("usageevent", {"q": "nobody"}),
    "ledger": ("ledgerentry", {}),
    "ledger: the month before": ("ledgerentry", {"period": months.before(months.current())}),
    "ledger: grants": ("ledgerentry", {"kind": "grant"}),
    "ledger: one workspace": ("ledgerentry", {"q": "large-77"}),
    "usage by day": ("usagedaily", {}),
    "usage by day: one workspace": ("usagedaily", {"q": "large-77"}),
    "audit log": ("auditentry", {}),
    "audit log: one action": ("auditentry", {"action": "style.selected"}),
    "audit log: one workspace": ("auditentry", {"q": "large-77"}),
    "audit log: words": ("auditentry", {"q": "benchmark 777"}),
}  # fmt: skip


def other_lists() -> Iterator[tuple[str, str]]:
    """Yield the name and the address of every other list of the console."""
    known = {f"tenants.{model}" for model, _ in LISTS.values()}
    for model in admin.site._registry:
        if model._meta.label_lower not in known:
            page = reverse(f"admin:{model._meta.label_lower.replace('.', '_')}_changelist")
            yield str(model._meta.verbose_name_plural), page


def measured(action: Callable[[], object]) -> dict[str, float]:
    """Return the milliseconds that an action took: median and worst of several, after one that warms up."""
    action()
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        action()
        taken.append(1000 * (time.perf_counter() - began))
    return {"median_ms": round(statistics.median(taken), 1), "worst_ms": round(max(taken), 1)}


def queries_of(client: Client, address: str) -> float:
    """Return the milliseconds that PostgreSQL took for one page."""
    taken = 0.0

    def timing(execute, sql, params, many, context):  # type: ignore[no-untyped-def]
        nonlocal taken
        began = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            taken += time.perf_counter() - began

    with connection.execute_wrapper(timing):
        assert client.get(address).status_code == 200, address
    return round(1000 * taken, 1)


def main() -> None:
    """Measure everything, print it, write it down."""
    settings.ALLOWED_HOSTS.append("testserver")
    operator, _ = User.objects.get_or_create(
        email="bench@example.org", defaults={"is_staff": True, "is_superuser": True}
    )
    client = Client()
    client.force_login(operator, backend="allauth.account.auth_backends.AuthenticationBackend")
    found: dict[str, dict[str, float]] = {}
    addresses = dict(other_lists())
    for name, (model, query) in LISTS.items():
        addresses[name] = f"{reverse(f'admin:tenants_{model}_changelist')}?{urlencode(query)}"
    for name, address in addresses.items():
        client.get(address)
        sql = [queries_of(client, address) for _ in range(TIMES)]
        found[name] = {"median_ms": statistics.median(sql), "worst_ms": max(sql)}
    now = timezone.now()
    for name, number in {"a much used style": 0, "another style": 77}.items():
        style = large.style_id(number)
        for days in (1 / 24, 1):
            since = now - timedelta(days=days)
            key = f"canary's figures of {name}, {days * 24:.0f} h"
            found[key] = measured(lambda style=style, since=since: version_figures(style, since))  # type: ignore[misc]
    newest = UsageEvent.objects.order_by("-pk").values_list("pk", flat=True).first()
    result = {"events": newest, "promised_ms": PROMISED_MS, "queries": found}
    for name, figure in found.items():
        print(f"{figure['median_ms']:9.1f} ms  worst {figure['worst_ms']:9.1f} ms  {name}")
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
