"""`make bench-api`: how long the server takes to list styles where a workspace has 10,000 of them.

python -m stack run --services --var var/bench-api -- python -m bench.api

Each request goes through the whole of Django in this process: middleware, the key's look-up, the rate limit
in Valkey, PostgreSQL, and the JSON. What a network and an ASGI server add is not in it.
"""

import json
import os
import random
import statistics
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402

from adapters.models import AdapterVersion, BaseModel, Probe, Selection, Share, Status, Style  # noqa: E402
from tenants.models import PlanVersion, Tenant, User  # noqa: E402
from tenants.public import create_tenant, issue_key  # noqa: E402

RESULTS = Path(__file__).with_name("results") / "api.json"
STYLES = 10_000
OTHERS = 1_000  # of another workspace: a third is public, a third shared
SELECTED = 100
REQUESTS = 200  # of each list
PROMISED_MS = 60
PAGES = 20  # of a walk through the list: its cursors are asked for in random order
WORDS = ("brand", "voice", "letters", "news", "support", "legal", "poetry", "noir", "plain", "formal")
ADDRESS = "/api/v1/styles"
LISTS = {
    "all, newest first": "",
    "own": "kind=own",
    "own, by name": "kind=own&order=name",
    "public": "kind=public",
    "selected": "kind=selected",
    "search for two words": "search=brand+12",
}


def seed() -> tuple[Tenant, Tenant]:
    """Return a workspace with 10,000 styles and one with those that others have; made once a database."""
    known = {tenant.slug: tenant for tenant in Tenant.objects.filter(slug__in=("bench-own", "bench-others"))}
    if len(known) == 2:
        return known["bench-own"], known["bench-others"]
    user = User.objects.create_user("bench@example.org")
    own = create_tenant(user, name="Bench own")
    others = create_tenant(user, name="Bench others")
    base_model, _ = BaseModel.objects.get_or_create(
        name=settings.BASE_MODEL, defaults={"config": {}, "modules": {}}
    )
    make_styles(own, base_model, STYLES)
    styles = make_styles(others, base_model, OTHERS)
    public, shared = styles[: OTHERS // 3], styles[OTHERS // 3 : 2 * OTHERS // 3]
    for style in public:
        style.is_public = True
        style.approved_version = style.live_version
        style.approved_name = style.name
    Style.objects.bulk_update(public, ["is_public", "approved_version", "approved_name"], 500)
    Share.objects.bulk_create([Share(style=style, tenant=own) for style in shared])
    Selection.objects.bulk_create([Selection(style=style, tenant=own) for style in public[:SELECTED]])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return own, others


def make_styles(tenant: Tenant, base_model: BaseModel, count: int) -> list[Style]:
    """Return styles with two versions each, measured ones, of which the first is live."""
    shuffled = random.Random(1)
    styles = []
    for number in range(count):
        name = f"{shuffled.choice(WORDS).title()} {shuffled.choice(WORDS)} {number}"
        about = "How we write to readers who have little time. " * 4
        styles.append(
            Style(
                owner=tenant,
                slug=f"style-{number}",
                name=name,
                description=about,
                sample_prompt="Announce a sale.",
                sample="Good news travels fast, and so do our prices. " * 5,
                base_model=base_model,
            )
        )
    Style.objects.bulk_create(styles, 1000)
    now = timezone.now()
    for age, style in enumerate(styles):
        style.created_at = now - timedelta(minutes=age)
    versions = []
    for style in styles:
        for number in (1, 2):
            version = AdapterVersion(style=style, number=number, status=Status.SERVING, sha256="a" * 64)
            versions.append(version)
    AdapterVersion.objects.bulk_create(versions, 1000)
    measures = {"style": {"words_a_sentence": 9.0, "reading_ease": 70.0, "phrases": ["good news"] * 5}}
    samples = [{"prompt": "Why?", "base": "So. " * 100, "style": "Thus. " * 100}] * 4
    probes = [
        Probe(version=version, strength=0.7, noise=0.01, measures=measures, samples=samples)
        for version in versions
    ]
    Probe.objects.bulk_create(probes, 1000)
    for place, style in enumerate(styles):
        style.live_version = versions[2 * place]
        if place % 10 == 0:
            style.canary_version = versions[2 * place + 1]
            style.canary_percent = 10
            style.canary_since = now
    fields = ["created_at", "live_version", "canary_version", "canary_percent", "canary_since"]
    Style.objects.bulk_update(styles, fields, 500)
    return styles


def walk(client: Client, headers: dict[str, str], query: str) -> list[str]:
    """Return the addresses of the first pages of a list."""
    address = f"{ADDRESS}?limit=100&{query}".rstrip("&")
    addresses = [address]
    for _ in range(PAGES - 1):
        page = client.get(addresses[-1], headers=headers).json()
        if not page["has_more"]:
            break
        addresses.append(f"{address}&cursor={page['next_cursor']}")
    return addresses


def measure(client: Client, headers: dict[str, str], query: str) -> dict[str, float]:
    """Return the server's milliseconds for a page of 100 styles, and how many queries one page makes.

    `cpu_p50_ms` is this process's own time, which a busy machine lengthens less.
    """
    addresses = walk(client, headers, query)
    order = random.Random(2)
    taken = []
    worked = []
    rows = 0
    for _ in range(REQUESTS):
        address = order.choice(addresses)
        began = time.perf_counter()
        began_cpu = time.process_time()
        answer = client.get(address, headers=headers)
        taken.append(1000 * (time.perf_counter() - began))
        worked.append(1000 * (time.process_time() - began_cpu))
        assert answer.status_code == 200, answer.content
        rows += len(answer.json()["data"])
    return {
        "p50_ms": round(statistics.median(taken), 1),
        "p95_ms": round(statistics.quantiles(taken, n=20)[-1], 1),
        "max_ms": round(max(taken), 1),
        "cpu_p50_ms": round(statistics.median(worked), 1),
        "queries": max(count_queries(client, headers, address) for address in addresses[:3]),
        "rows_a_page": round(rows / REQUESTS, 1),
    }


def count_queries(client: Client, headers: dict[str, str], address: str) -> int:
    """Return how many queries one request makes."""
    count = 0

    def counting(execute: Any, *call: Any) -> Any:
        nonlocal count
        count += 1
        return execute(*call)

    with connection.execute_wrapper(counting):
        client.get(address, headers=headers)
    return count


def main() -> None:
    """Measure each list, print it, write it down beside what other benches wrote there."""
    settings.ALLOWED_HOSTS.append("testserver")
    PlanVersion.objects.update(api_requests_per_minute=10**6)
    own, _ = seed()
    _, secret = issue_key(own, name=f"bench {time.time():.0f}", by=None, scopes=["styles:read"])
    headers = {"Authorization": f"Bearer {secret}"}
    client = Client()
    found = {}
    for name, query in LISTS.items():
        found[name] = measure(client, headers, query)
        print(f"{found[name]['p50_ms']:8.1f} ms  p95 {found[name]['p95_ms']:8.1f} ms  {name}: {found[name]}")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results["list_of_styles"] = {
        "styles": STYLES,
        "limit": 100,
        "requests": REQUESTS,
        "load": round(os.getloadavg()[0], 1),
        "promised_p95_ms": PROMISED_MS,
        "lists": found,
    }
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
