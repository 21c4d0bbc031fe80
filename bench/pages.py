"""`make bench-pages`: how long the server takes for each page of a workspace with 10,000 styles.

python -m stack run --services --var var/bench-pages -- python -m bench.pages [PATTERN]

Each request goes through the whole of Django in this process, as in bench/api.py. The workspace has 200 keys,
50 members, 2,000 blind votes and 5,000 refused requests; its usage is of two months, in all of its styles.
"""

import gc
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import Value  # noqa: E402
from django.db.models.functions import Concat  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import URLPattern, URLResolver, get_resolver, reverse  # noqa: E402
from django.utils import timezone  # noqa: E402

from adapters.models import AdapterVersion, BaseModel, BlindVote, Selection, Style  # noqa: E402
from bench.api import OTHERS, STYLES, make_styles  # noqa: E402
from config.preloading import load_pages  # noqa: E402
from core import months  # noqa: E402
from tenants.management import large  # noqa: E402
from tenants.metering.plans import newest_plan_version  # noqa: E402
from tenants.models import ApiKey, Membership, RefusedRequest, Tenant, UsageDaily, UsageEvent, User  # noqa: E402
from tenants.public import create_tenant, subscribe_tenant  # noqa: E402

RESULTS = Path(__file__).with_name("results") / "pages.json"
WORKSPACE = "large-0"
TENANTS = 4  # with as many requests each
EVENTS = int(os.environ.get("EVENTS", "1000000"))
KEYS = 200
MEMBERS = 50
VOTES = 2000
REFUSED = 5000
REQUESTS = 20  # of each page, after one that warms up
PROMISED_MS = 100
OWNER = "bench-pages@example.org"
STYLE_TABS = ("style", "style_versions", "style_usage", "style_sharing", "style_settings", "compare")
NO_PAGES = ("api:", "admin:", "export", "mail", "account_", "mfa_", "socialaccount")


def seed() -> tuple[Tenant, User]:
    """Return the workspace and its owner; made once a database."""
    owner = User.objects.filter(email=OWNER).first()
    if owner:
        return Tenant.objects.get(slug=WORKSPACE), owner
    large.create_tables(TENANTS, EVENTS, say=print)
    tenant = Tenant.objects.get(slug=WORKSPACE)
    subscribe_tenant(tenant, newest_plan_version("studio"))
    base_model, _ = BaseModel.objects.get_or_create(
        name=settings.BASE_MODEL, defaults={"config": {}, "modules": {}}
    )
    make_styles(tenant, base_model, STYLES)
    UsageDaily.objects.filter(tenant=tenant).update(style_name=_prefixed("style_name"))
    UsageEvent.objects.filter(tenant=tenant).update(style_name=_prefixed("style_name"))
    others = create_tenant(User.objects.create_user("bench-others@example.org"), name="Bench others")
    public = make_styles(others, base_model, OTHERS)
    Style.objects.filter(owner=others).update(is_public=True)
    for style in public:
        style.approved_version, style.approved_name = style.live_version, style.name
    Style.objects.bulk_update(public, ["approved_version", "approved_name"], 500)
    Selection.objects.bulk_create([Selection(style=style, tenant=tenant) for style in public[:100]])
    _make_keys(tenant)
    _make_votes(tenant)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    people = [User.objects.create_user(f"bench-{number}@example.org") for number in range(MEMBERS - 1)]
    Membership.objects.bulk_create([Membership(user=person, tenant=tenant) for person in people])
    owner = User.objects.create_user(OWNER)  # the last row: without it the seed was broken off
    Membership.objects.create(user=owner, tenant=tenant, role=Membership.Role.OWNER)
    return tenant, owner


def _prefixed(column: str) -> Any:
    return Concat(Value(f"{WORKSPACE}/"), column)


def _make_keys(tenant: Tenant) -> None:
    now = timezone.now()
    keys = [ApiKey(tenant=tenant, name=f"program {n}", digest=uuid4().hex, last4="abcd") for n in range(KEYS)]
    ApiKey.objects.bulk_create(keys)
    rows = []
    for number in range(REFUSED):
        at = now - timedelta(seconds=20 * number)
        rows.append(
            RefusedRequest(
                request_id=f"req_{uuid4().hex}",
                tenant=tenant,
                key=keys[number % KEYS],
                at=at,
                model_name=f"{WORKSPACE}/style-{number % 50}",
                status=429,
                code=f"code_{number % 8}",
                reason="Too fast.",
            )
        )
    RefusedRequest.objects.bulk_create(rows, 1000)


def _make_votes(tenant: Tenant) -> None:
    chance = random.Random(3)
    voted_on = list(AdapterVersion.objects.filter(style__owner=tenant)[:60])
    rounds = []
    for _ in range(VOTES):
        left, right = chance.sample(voted_on, 2)
        choice = chance.choice(BlindVote.Choice.values)
        rounds.append(BlindVote(tenant=tenant, left=left, right=right, choice=choice))
    BlindVote.objects.bulk_create(rounds, 1000)


def addresses() -> dict[str, str]:
    """Return the pages: all of the URLconf that need no argument, a style's tabs, and variants."""
    found = {}
    for name in names(get_resolver()):
        if not any(part in name for part in NO_PAGES):
            found[name] = reverse(name)
    place = {"owner": WORKSPACE, "slug": "style-0"}
    for tab in STYLE_TABS:
        found[f"adapters:{tab}"] = reverse(f"adapters:{tab}", kwargs=place)
    usage, log = reverse("billing:usage"), reverse("billing:requests")
    last_month = months.before(months.current())
    return found | {
        "usage, last month": f"{usage}?month={last_month}",
        "usage, by key": f"{usage}?by=key&month={last_month}",
        "requests, refused": f"{log}?outcome=refused",
        "requests, one style": f"{log}?style={WORKSPACE}/style-0&month={last_month}",
        "styles, own": f"{reverse('adapters:catalogue')}?kind=own",
        "styles, search": f"{reverse('adapters:catalogue')}?q=brand+12",
        "styles, public by name": f"{reverse('adapters:catalogue')}?kind=public&order=name",
    }


def names(resolver: URLResolver, prefix: str = "") -> Iterator[str]:
    """Yield the names of all addresses that need no argument."""
    for entry in resolver.url_patterns:
        if isinstance(entry, URLResolver):
            yield from names(entry, f"{prefix}{entry.namespace}:" if entry.namespace else prefix)
        elif isinstance(entry, URLPattern) and entry.name and not entry.pattern.converters:
            yield prefix + entry.name


def measure(client: Client, address: str) -> dict[str, float] | None:
    """Return the server's milliseconds and queries for a page; None for what is no page."""
    answer = client.get(address)
    if answer.status_code != 200 or not answer["Content-Type"].startswith("text/html"):
        return None
    taken, worked = [], []
    for _ in range(REQUESTS):
        began, began_cpu = time.perf_counter(), time.process_time()
        answer = client.get(address)
        taken.append(1000 * (time.perf_counter() - began))
        worked.append(1000 * (time.process_time() - began_cpu))
    queries, sql_ms = count_queries(client, address)
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
    count, taken = 0, 0.0

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


def main() -> None:
    """Measure each page whose name has the pattern in it, print it, and write all of them down."""
    settings.ALLOWED_HOSTS.append("testserver")
    tenant, owner = seed()
    client = Client()
    client.force_login(owner, backend="allauth.account.auth_backends.AuthenticationBackend")
    load_pages()
    gc.collect()
    gc.freeze()  # as the server does when it has started
    pattern = sys.argv[1] if len(sys.argv) > 1 else ""
    found = {}
    for name, address in addresses().items():
        if pattern in name:
            figures = measure(client, address)
            if figures:
                found[name] = figures
                print(f"{figures['p50_ms']:8.1f} ms  p95 {figures['p95_ms']:8.1f} ms  {name}: {figures}")
    events = UsageEvent.objects.filter(tenant=tenant).count()
    result = {
        "styles": STYLES,
        "events": EVENTS,
        "events_of_the_workspace": events,
        "keys": KEYS,
        "members": MEMBERS,
        "requests_a_page": REQUESTS,
        "promised_p95_ms": PROMISED_MS,
        "load": round(os.getloadavg()[0], 1),
        "slow": sorted(name for name, one in found.items() if one["p95_ms"] > PROMISED_MS),
        "pages": found,
    }
    if not pattern:
        RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
