"""`make bench NAME=webhooks`: how many webhooks one worker delivers a minute to receivers on this machine.

The worker is the stack's: one Celery process with eight threads, woken by the sweep that beat sends. First a
single endpoint, whose events go one after the other; then eight endpoints of four workspaces at once.

python -m stack run --services -- python -m bench.webhooks
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402
from standardwebhooks import Webhook  # noqa: E402

from accounts.workspaces import create_tenant  # noqa: E402
from bench import report  # noqa: E402
from core.queues import interval_s  # noqa: E402
from events.models import EventType, WebhookDelivery, WebhookEndpoint  # noqa: E402
from events.outbox import record_event  # noqa: E402
from events.tasks import WEBHOOK_THREADS, sweep_webhooks  # noqa: E402
from events.webhooks import endpoints  # noqa: E402
from labs import machine  # noqa: E402
from tenants.access import access_of_person  # noqa: E402
from tenants.models import Tenant, User  # noqa: E402

EVENTS = int(os.environ.get("BENCH_EVENTS", "2000"))  # of each part
PROMISED_PER_MINUTE = 1_000
WITHIN_S = 600
PARTS = {"one endpoint": (1, 1), "eight endpoints": (4, 2)}  # workspaces, endpoints of each


@dataclass
class Receiver:
    """A server that takes every delivery and keeps it."""

    received: list[tuple[dict[str, str], str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                received.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Print nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/hooks"


@dataclass
class Subscription:
    """An endpoint, its secret, its receiver."""

    tenant: Tenant
    endpoint: WebhookEndpoint
    secret: str
    receiver: Receiver


def subscribe(tenants: int, endpoints_each: int) -> list[Subscription]:
    """Return new endpoints of new workspaces, each with a receiver of its own."""
    made = []
    for _ in range(tenants):
        user = User.objects.create_user(f"{uuid4().hex}@example.org")
        tenant = create_tenant(user, name=f"Bench {uuid4().hex[:8]}")
        owner = access_of_person(user, tenant, address=None)
        for _ in range(endpoints_each):
            receiver = Receiver()
            endpoint, secret = endpoints.create_endpoint(owner, url=receiver.url)
            made.append(Subscription(tenant, endpoint, secret, receiver))
    return made


def record(subscriptions: list[Subscription]) -> list[str]:
    """Let as many things happen as make EVENTS deliveries; return the events' ids in order."""
    tenants = {subscription.tenant.pk: subscription.tenant for subscription in subscriptions}
    event_ids = []
    for number in range(EVENTS // len(subscriptions)):
        for tenant in tenants.values():
            with transaction.atomic():
                event = record_event(tenant.pk, EventType.WORKSPACE_RESUMED, tenant, number=number)
            event_ids.append(str(event.pk))
    return event_ids


@contextmanager
def worker() -> Iterator[int]:
    """Run the stack's worker for webhooks; yield its process number."""
    command = [sys.executable, "-m", "celery", "-A", "config", "worker", "-Q", "webhooks"]
    options = ["--pool", "threads", "--concurrency", str(WEBHOOK_THREADS), "--loglevel", "WARNING"]
    process = subprocess.Popen([*command, *options])
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(timeout=60)


def deliver(pid: int) -> dict[str, float]:
    """Sweep as beat does until nothing waits; return seconds and what the worker used."""
    used_s = machine.cpu_s(pid)
    began_s = time.monotonic()
    while WebhookDelivery.objects.pending().exists():
        if time.monotonic() - began_s > WITHIN_S:
            raise SystemExit("The worker does not deliver: see its output.")
        sweep_webhooks()
        time.sleep(interval_s(sweep_webhooks.name) / 4)
    seconds = time.monotonic() - began_s
    return {"seconds": seconds, "cpu_s": machine.cpu_s(pid) - used_s}


def check(subscriptions: list[Subscription], event_ids: list[str]) -> None:
    """Stop unless each receiver got its workspace's events once each, in order, with valid signatures."""
    for one in subscriptions:
        verifier = Webhook(one.secret)
        got = []
        for headers, body in one.receiver.received:
            verifier.verify(body, headers)
            got.append(headers["webhook-id"])
        expected = [event_id for event_id in event_ids if event_id in set(got)]
        assert got == expected, "not once each and in order"
        assert len(got) == EVENTS // len(subscriptions), "some did not come"


def main() -> None:
    """Measure both parts, print them, write them down."""
    call_command("migrate", verbosity=0)
    figures: dict[str, dict[str, float]] = {}
    with worker() as pid:
        _warm_up()
        for name, (tenants, endpoints_each) in PARTS.items():
            subscriptions = subscribe(tenants, endpoints_each)
            event_ids = record(subscriptions)
            took = deliver(pid)
            check(subscriptions, event_ids)
            deliveries = sum(len(one.receiver.received) for one in subscriptions)
            delivered = WebhookDelivery.objects.filter(endpoint__in=[one.endpoint for one in subscriptions])
            latencies = sorted(ms or 0 for ms in delivered.values_list("latency_ms", flat=True))
            figures[name] = {
                "deliveries": deliveries,
                "seconds": round(took["seconds"], 1),
                "per_minute": round(60 * deliveries / took["seconds"]),
                "worker_cpu_ms_each": round(1000 * took["cpu_s"] / deliveries, 1),
                "post_p50_ms": latencies[len(latencies) // 2],
                "post_p99_ms": latencies[len(latencies) * 99 // 100],
            }
            print(name, figures[name])
        memory_mib = round(machine.rss_mib(pid))
    result = {
        "cpu": machine.model(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": WEBHOOK_THREADS,
        "worker_rss_mib": memory_mib,
        "promised_per_minute": PROMISED_PER_MINUTE,
        "deliveries": figures,
    }
    report.write_results("webhooks", result)


def _warm_up() -> None:
    """Wait until the worker takes tasks, with a delivery of its own."""
    [one] = subscribe(1, 1)
    with transaction.atomic():
        record_event(one.tenant.pk, EventType.WORKSPACE_RESUMED, one.tenant)
    until_s = time.monotonic() + 60
    while WebhookDelivery.objects.pending().exists():
        if time.monotonic() > until_s:
            raise SystemExit("The worker did not start.")
        sweep_webhooks()
        time.sleep(0.5)


if __name__ == "__main__":
    main()
