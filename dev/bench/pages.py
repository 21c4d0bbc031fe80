"""`bench pages`, `bench console`: the server's time for pages and lists of the API and the console.

python -m stack run --services --var var/bench-pages -- python -m bench.pages pages|api|console [PATTERN]

Each request goes through the whole of Django in this process: middleware, session or key, the rate limit in
Valkey, PostgreSQL, and the HTML or JSON. What a network and an ASGI server add is not in it.
"""

import gc
import os
import statistics
import sys
import time
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any
from urllib.parse import urlencode

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.contrib import admin  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import URLPattern, URLResolver, get_resolver, reverse  # noqa: E402

from bench import workspace  # noqa: E402
from config.preloading import load_pages  # noqa: E402
from core import months  # noqa: E402
from keys.actions import create_key  # noqa: E402
from labs import report  # noqa: E402
from metering.models import PlanVersion, UsageEvent  # noqa: E402
from tenants.access import access_of_person  # noqa: E402
from tenants.models import User  # noqa: E402

BACKEND = "allauth.account.auth_backends.AuthenticationBackend"
REQUESTS = 20  # of each address
PAGES = 10  # of a list of the API: its cursors are followed so far
CONSOLE_TENANTS = 1000
CONSOLE_EVENTS = int(os.environ.get("EVENTS", "10000000"))
PROMISED_P95_MS = {"pages": 100, "api": 60, "console": 200}
STYLE_TABS = ("style", "style_versions", "style_usage", "style_sharing", "style_settings", "compare")
NO_PAGES = ("api:", "admin:", "export", "mail", "account_", "mfa_", "socialaccount")
API_LISTS = {
    "all, newest first": "",
    "own": "kind=own",
    "own, by name": "kind=own&order=name",
    "public": "kind=public",
    "selected": "kind=selected",
    "search for two words": "search=brand+12",
}
CONSOLE_LISTS: dict[str, tuple[str, dict[str, str]]] = {
    "usage events, page 50": ("metering_usageevent", {"p": "50"}),
    "usage events: engine failed": ("metering_usageevent", {"outcome": "upstream_error"}),
    "usage events: swept": ("metering_usageevent", {"outcome": "swept"}),
    "usage events: this month": ("metering_usageevent", {"period": months.current()}),
    "usage events: the month before": ("metering_usageevent", {"period": months.before(months.current())}),
    "usage events: one engine": ("metering_usageevent", {"engine": "engine-3"}),
    "usage events: one request": ("metering_usageevent", {"q": "large-000000000777"}),
    "usage events: one workspace": ("metering_usageevent", {"q": "large-77"}),
    "usage events: nothing found": ("metering_usageevent", {"q": "nobody"}),
    "ledger: the month before": ("metering_ledgerentry", {"period": months.before(months.current())}),
    "ledger: grants": ("metering_ledgerentry", {"kind": "grant"}),
    "ledger: one workspace": ("metering_ledgerentry", {"q": "large-77"}),
    "usage by day: one workspace": ("metering_usagedaily", {"q": "large-77"}),
    "audit log: one action": ("tenants_auditentry", {"action": "style.selected"}),
    "audit log: one workspace": ("tenants_auditentry", {"q": "large-77"}),
    "audit log: words": ("tenants_auditentry", {"q": "benchmark 777"}),
}

type Work = tuple[Client, dict[str, list[str]]]  # a client, and the addresses of each title


def prepare_pages() -> Work:
    """Return the studio's pages: all of the URLconf that need no argument, a style's tabs, and variants."""
    _, owner = workspace.seed()
    client = Client()
    client.force_login(owner, backend=BACKEND)
    return client, {name: [address] for name, address in addresses().items()}


def prepare_api() -> Work:
    """Return the first pages of 100 styles of each list of the management API."""
    tenant, user = workspace.seed()
    PlanVersion.objects.update(api_requests_per_minute=10**6)
    owner = access_of_person(user, tenant, address=None)
    _, secret = create_key(owner, name=f"bench {time.time():.0f}", scopes=["styles:read"])
    client = Client(headers={"Authorization": f"Bearer {secret}"})
    return client, {name: list(walk(client, query)) for name, query in API_LISTS.items()}


def walk(client: Client, query: str) -> Iterator[str]:
    """Yield the addresses of a list's first pages."""
    first = address = f"/api/v1/styles?limit=100&{query}".rstrip("&")
    for _ in range(PAGES):
        yield address
        page = client.get(address).json()
        if not page["has_more"]:
            return
        address = f"{first}&cursor={page['next_cursor']}"


def prepare_console() -> Work:
    """Return every list of the console, and searches and filters of the large ones."""
    if not UsageEvent.objects.exists():
        workspace.create_tables(CONSOLE_TENANTS, CONSOLE_EVENTS)
    operator, _ = User.objects.get_or_create(
        email="bench@example.org", defaults={"is_staff": True, "is_superuser": True}
    )
    client = Client()
    client.force_login(operator, backend=BACKEND)
    found = {}
    for model in admin.site._registry:
        place = model._meta.label_lower.replace(".", "_")
        found[str(model._meta.verbose_name_plural)] = [reverse(f"admin:{place}_changelist")]
    for name, (label, query) in CONSOLE_LISTS.items():
        found[name] = [f"{reverse(f'admin:{label}_changelist')}?{urlencode(query)}"]
    return client, found


def addresses() -> dict[str, str]:
    """Return the pages: all of the URLconf that need no argument, a style's tabs, and variants."""
    found = {}
    for name in names(get_resolver()):
        if not any(part in name for part in NO_PAGES):
            found[name] = reverse(name)
    place = {"owner": workspace.WORKSPACE, "slug": "style-0"}
    for tab in STYLE_TABS:
        found[f"adapters:{tab}"] = reverse(f"adapters:{tab}", kwargs=place)
    usage, log = reverse("billing:usage"), reverse("billing:requests")
    last_month = months.before(months.current())
    return found | {
        "usage, last month": f"{usage}?month={last_month}",
        "usage, by key": f"{usage}?by=key&month={last_month}",
        "usage, 90 days": f"{usage}?days=90",
        "requests, refused": f"{log}?outcome=refused",
        "requests, one style": f"{log}?style={workspace.WORKSPACE}/style-0&month={last_month}",
        "styles, own": f"{reverse('adapters:catalogue')}?kind=own",
        "styles, search": f"{reverse('adapters:catalogue')}?q=brand+12",
        "styles, public by name": f"{reverse('adapters:catalogue')}?kind=public&order=name",
    }


def names(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    """Yield the names of all addresses that need no argument."""
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from names(entry, f"{prefix}{entry.namespace}:" if entry.namespace else prefix)
        elif isinstance(entry, URLPattern) and entry.name and not entry.pattern.regex.groups:
            yield prefix + entry.name


def measure(client: Client, addresses: list[str]) -> dict[str, float] | None:
    """Return the server's milliseconds and queries for one of these; None for what is no page.

    `cpu_p50_ms` is this process's own time, which a busy machine lengthens less.
    """
    answer = client.get(addresses[0])
    if answer.status_code != 200 or not answer["Content-Type"].startswith(("text/html", "application/json")):
        return None
    taken = []
    worked = []
    for address in islice(cycle(addresses), REQUESTS):
        began = time.perf_counter()
        began_cpu = time.process_time()
        answer = client.get(address)
        taken.append(1000 * (time.perf_counter() - began))
        worked.append(1000 * (time.process_time() - began_cpu))
    queries, sql_ms = count_queries(client, addresses[-1])
    return {
        "p50_ms": round(statistics.median(taken), 1),
        "p95_ms": round(statistics.quantiles(taken, n=20)[-1], 1),
        "cpu_p50_ms": round(statistics.median(worked), 1),
        "sql_ms": sql_ms,
        "queries": queries,
        "kilobytes": round(len(answer.content) / 1000, 1),
    }


def count_queries(client: Client, address: str) -> tuple[int, float]:
    """Return how many queries one request makes, and the milliseconds that they take."""
    count = 0
    taken = 0.0

    def counting(execute: Any, *call: Any) -> Any:
        nonlocal count, taken
        count += 1
        began = time.perf_counter()
        try:
            return execute(*call)
        finally:
            taken += time.perf_counter() - began

    with connection.execute_wrapper(counting):
        client.get(address)
    return count, round(1000 * taken, 1)


PARTS = {"pages": prepare_pages, "api": prepare_api, "console": prepare_console}


def main(part: str, pattern: str = "") -> None:
    """Measure each address whose name has the pattern in it, print it, and write all of them down."""
    settings.ALLOWED_HOSTS.append("testserver")
    client, wanted = PARTS[part]()
    load_pages()
    gc.collect()
    gc.freeze()  # as the server does when it has started
    found = {}
    for name, list_of_them in wanted.items():
        figures = measure(client, list_of_them) if pattern in name else None
        if figures:
            found[name] = figures
            print(f"{figures['p50_ms']:8.1f} ms  p95 {figures['p95_ms']:8.1f} ms  {name}: {figures}")
    bound_ms = PROMISED_P95_MS[part]
    result = {
        "requests": REQUESTS,
        "promised_p95_ms": bound_ms,
        "load": round(os.getloadavg()[0], 1),
        "slow": sorted(name for name, one in found.items() if one["p95_ms"] > bound_ms),
        "found": found,
    }
    if not pattern:
        report.write_results(part, result)


if __name__ == "__main__":
    main(*sys.argv[1:])
