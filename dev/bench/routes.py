"""`bench routes`: how soon gateways know of a change of an engine, and what it and a promotion write.

10,000 workspaces select a style that is on one engine; all of their libraries are in Valkey. Then the
engine's health flips, a limit changes, and other engines are new, by the site's own code, while two gateways
(each a process) keep up. A figure is the time from the action's beginning until the second of them knows.

Then a style that 2,000 of them selected gets another live version, back and forth.

python -m stack run --services -- python -m bench.routes
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts.workspaces import first_party_tenant  # noqa: E402
from adapters.models import AdapterVersion, BaseModel, Engine, Placement, Selection, Status, Style  # noqa: E402
from adapters.public import set_public  # noqa: E402
from adapters.releases import aliases  # noqa: E402
from adapters.routing import publisher  # noqa: E402
from bench import report  # noqa: E402
from core import valkey  # noqa: E402
from inference.contract.route import BASE_NAME, Route  # noqa: E402
from inference.proxy.runtime import Gateway  # noqa: E402
from labs import machine  # noqa: E402
from tenants.access import Access  # noqa: E402
from tenants.models import Tenant  # noqa: E402

PROMISED_WORKSPACES = 10_000  # a run with fewer writes no results
WORKSPACES = int(os.environ.get("BENCH_WORKSPACES", PROMISED_WORKSPACES))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "20"))
SELECTING = min(2000, WORKSPACES)  # that have the style whose live version moves
GATEWAYS = 2
PROMISED_S = 1.0
KNOWN_WITHIN_S = 30
WRITES = [f"cmdstat_{name}" for name in ("hset", "hdel", "set", "del", "rename", "incr", "zadd", "zrem")]


class GatewayProcess:
    """A process with a gateway's memory: it says on a line when that has what it was asked for."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "bench.routes", "watch"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, version_id: str, expected: str) -> None:
        """Begin to watch for a version's places to look as expected."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps([version_id, expected]) + "\n")
        self._process.stdin.flush()

    def await_answer(self) -> None:
        """Return once it says so."""
        assert self._process.stdout
        if not self._process.stdout.readline():
            raise SystemExit("A gateway ended: see its output.")

    def end(self) -> None:
        """End the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(timeout=60)


def describe(route: Route) -> str:
    """Return what a gateway knows of a route's places, as a text that can be compared."""
    places = [(one.engine, one.healthy, one.limits.max_num_seqs) for one in route.placements]
    return json.dumps(sorted(places))


async def watch() -> None:
    """Answer each line of the standard input once the memory has what it asks for."""
    async with Gateway() as gateway:
        await gateway.routes.ensure_loaded()
        print("loaded", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            version_id, expected = json.loads(line)
            print("watching", flush=True)
            while describe(gateway.routes.tables.route(version_id)) != expected:  # noqa: ASYNC110 it polls memory
                await asyncio.sleep(0.001)
            print("known", flush=True)


def seed() -> tuple[Engine, str, list[AdapterVersion]]:
    """Return the engine, the version that all workspaces write in, and two of a style that some selected."""
    base_model, _ = BaseModel.objects.get_or_create(
        name=settings.BASE_MODEL, defaults={"config": {}, "modules": {}}
    )
    engine = Engine.objects.create(
        name="bench-1",
        url="http://127.0.0.1:1",
        base_model=base_model,
        device=Engine.Device.CUDA,
        max_loras=8,
        max_cpu_loras=64,
        max_lora_rank=16,
        max_model_len=4096,
        is_healthy=True,
    )
    version, *_ = make_style("bench", engine)
    promoted = make_style("promoted", engine)
    tenants = Tenant.objects.bulk_create(
        Tenant(slug=f"w-{n}", name=f"W {n}", observed_generation=9) for n in range(WORKSPACES)
    )
    Selection.objects.bulk_create(Selection(style=version.style, tenant=tenant) for tenant in tenants)
    selecting = tenants[:SELECTING]
    Selection.objects.bulk_create(Selection(style=promoted[0].style, tenant=tenant) for tenant in selecting)
    publisher.mark_libraries_changed([tenant.pk for tenant in tenants])
    publisher.mark_engines_changed([engine.pk])
    publisher.republish_stale()
    return engine, str(version.pk), promoted


def make_style(slug: str, engine: Engine) -> list[AdapterVersion]:
    """Return two serving versions of a new public style, the first one live."""
    style = Style.objects.create(
        owner=first_party_tenant(), slug=slug, name=slug.title(), base_model=engine.base_model
    )
    versions = []
    for number in (1, 2):
        version = AdapterVersion.objects.create(
            style=style, number=number, status=Status.SERVING, sha256="0" * 64
        )
        Placement.objects.create(
            engine=engine, version=version, loaded_at=timezone.now(), loaded_as=version.engine_name
        )
        versions.append(version)
    Style.objects.filter(pk=style.pk).update(live_version=versions[0])
    set_public(style)
    return versions


def change_engine(engine: Engine, **facts: object) -> None:
    """Change an engine as the worker beside it does."""
    with transaction.atomic():
        Engine.objects.filter(pk=engine.pk).update(**facts)
        publisher.mark_engines_changed([engine.pk])


def add_engine(engine: Engine, name: str) -> None:
    """Register another engine like the first."""
    with transaction.atomic():
        twin = Engine.objects.get(pk=engine.pk)
        twin.pk = None
        twin.name = name
        twin.save(force_insert=True)
        publisher.mark_engines_changed([twin.pk], are_places_new=True)


def measure_promotions(versions: list[AdapterVersion]) -> dict[str, float]:
    """Let two versions be live in turn; return what a promotion took and wrote."""
    client: Any = valkey.client()
    access = Access(versions[0].style.owner)
    wall_s, worked_s = [], []
    before = read_commands()
    cpu_before = client.info("cpu")
    for number in range(ROUNDS):
        began_s, began_work_s = time.perf_counter(), time.process_time()
        aliases.promote(access, versions[(number + 1) % 2])
        wall_s.append(time.perf_counter() - began_s)
        worked_s.append(time.process_time() - began_work_s)
    cpu = client.info("cpu")
    after = read_commands()
    calls = {name: after[name] - before.get(name, 0) for name in after}
    kinds = ("used_cpu_user", "used_cpu_sys")
    return {
        "promotions": ROUNDS,
        "workspaces": SELECTING,
        "median_ms": round(1000 * statistics.median(wall_s), 1),
        "worst_ms": round(1000 * max(wall_s), 1),
        "processor_ms": round(1000 * statistics.median(worked_s), 1),
        "valkey_processor_ms": round(1000 * sum(cpu[kind] - cpu_before[kind] for kind in kinds) / ROUNDS, 2),
        "valkey_commands": sum(calls.values()) / ROUNDS,
        "valkey_writes": sum(calls.get(name, 0) for name in WRITES) / ROUNDS,
    }


def read_commands() -> dict[str, int]:
    """Return how often each command ran until now, those within scripts too, but for what measures."""
    stats: Any = valkey.client().info("commandstats")
    return {name: one["calls"] for name, one in stats.items() if name not in ("cmdstat_info", "cmdstat_mget")}


class Measurement:
    """What some changes of one kind took, and wrote."""

    def __init__(self, gateways: list[GatewayProcess]) -> None:
        self._gateways = gateways
        self._seconds: list[float] = []
        self._rows = 0

    def take(self, version_id: str, places: list[tuple[str, bool, int]], change: Callable[[], None]) -> None:
        """Make one change, and wait until every gateway knows the places that it leads to."""
        seen = int(valkey.client().get(valkey.route_generation_key()) or 0)
        for gateway in self._gateways:
            gateway.ask(version_id, json.dumps(sorted(places)))
            gateway.await_answer()  # it watches
        began_s = time.perf_counter()
        change()
        for gateway in self._gateways:
            gateway.await_answer()  # it knows
        self._seconds.append(time.perf_counter() - began_s)
        self._rows += valkey.client().zcount(valkey.route_changes_key(), seen + 1, "+inf")

    def figures(self) -> dict[str, float]:
        """Return milliseconds, and rows written a change."""
        return {
            "changes": len(self._seconds),
            "median_ms": round(1000 * statistics.median(self._seconds), 1),
            "worst_ms": round(1000 * max(self._seconds), 1),
            "rows_each": self._rows / len(self._seconds),
        }


def main() -> None:
    """Measure, print and write down."""
    call_command("migrate", verbosity=0)
    valkey.client().flushdb()
    engine, version_id, promoted = seed()
    gateways = [GatewayProcess() for _ in range(GATEWAYS)]
    for gateway in gateways:
        gateway.await_answer()  # it is loaded
    flips, limits, new = (Measurement(gateways) for _ in range(3))
    for number in range(ROUNDS):
        is_healthy = number % 2 == 1
        flips.take(
            version_id,
            [(engine.name, is_healthy, 128)],
            lambda is_healthy=is_healthy: change_engine(engine, is_healthy=is_healthy),  # type: ignore[misc]
        )
    change_engine(engine, is_healthy=True)
    for number in range(ROUNDS):
        limits.take(
            version_id,
            [(engine.name, True, 200 + number)],
            lambda number=number: change_engine(engine, max_num_seqs=200 + number),  # type: ignore[misc]
        )
    places = [(engine.name, True, 199 + ROUNDS)]
    engine.refresh_from_db()
    for number in range(ROUNDS):
        name = f"bench-{number + 2}"
        places.append((name, True, 199 + ROUNDS))
        new.take(BASE_NAME, places, lambda name=name: add_engine(engine, name))  # type: ignore[misc]
    for gateway in gateways:
        gateway.end()
    promotions = measure_promotions(promoted)  # the gateways poll the counters no more
    result = {
        "cpu": machine.model(),
        "cores": len(os.sched_getaffinity(0)),
        "workspaces": WORKSPACES,
        "gateways": GATEWAYS,
        "promised_ms": 1000 * PROMISED_S,
        "an engine's health flips": flips.figures(),
        "a limit changes": limits.figures(),
        "an engine is new": new.figures(),
        "a promotion": promotions,
    }
    print(json.dumps(result, indent=1))
    if WORKSPACES >= PROMISED_WORKSPACES:
        report.write_results("routes", result)


if __name__ == "__main__":
    if sys.argv[1:] == ["watch"]:
        asyncio.run(watch())
    else:
        main()
