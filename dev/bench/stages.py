"""`python -m bench.stages`: what one client's requests and 64 paced streams wait for, stage by stage.

The gateway runs as it is, but for what `application` adds: it keeps each request's times, the event loop's
delays and the garbage collector's pauses, and gives them out at /bench/stages. Rows are milliseconds.
"""

import asyncio
import gc
import json
import os
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from typing import Any

import redis

from bench import load, report, targets
from bench.load import percentile_ms
from labs import machine
from labs.fake_vllm.prepared_bytes import INSTANT, PACED, TOKENS, pace_s
from labs.machine import Cores, pinned
from stack.ports import Ports
from stack.processes import Program
from stack.steps import Steps

PATH = "/bench/stages"
LOADS = {"1 client": (INSTANT, 1, False), "64 paced streams": (PACED, 64, True)}
SECONDS = 6.0
TICK_S = 0.001
STAGES = (
    "until admission is asked",
    "admission (one call of Valkey)",
    "turn and engine chosen",
    "engine",
    "settlement and last bytes",
    "all",
    "event loop late",
    "Valkey, called beside",
)

times: dict[str, list[float]] = defaultdict(list)
pauses: dict[str, list[float]] = defaultdict(list)
_tasks: list[asyncio.Task[None]] = []


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The gateway, and what it measured since the last time that somebody asked."""
    from config import gateway  # noqa: PLC0415 only the measured process needs it

    if scope["type"] == "http" and scope["path"] == PATH:
        body = json.dumps({"times": times, "pauses": pauses}).encode()
        times.clear()
        pauses.clear()
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return
    if scope["type"] == "lifespan":
        _watch()
    await gateway.application(scope, receive, send)


def _watch() -> None:
    """Have the gateway note when a request reaches the proxy, and keep each request's times."""
    from inference import telemetry  # noqa: PLC0415
    from inference.proxy.request import ProxyRequest  # noqa: PLC0415
    from inference.telemetry import RequestRecord  # noqa: PLC0415

    begin = ProxyRequest.__init__
    began_s: dict[str, float] = {}

    def note_begin(request: ProxyRequest, *args: Any, **options: Any) -> None:
        begin(request, *args, **options)
        began_s[request._record.request_id] = time.monotonic()

    def keep(record: RequestRecord) -> None:
        proxied_s = time.monotonic() - began_s.pop(record.request_id, 0.0)
        if record.admitted_s is None or record.sent_s is None or record.first_byte_s is None:
            return
        parts_s = (
            record.total_s - proxied_s,
            record.admitted_s,
            record.sent_s - record.admitted_s,
            record.first_byte_s - record.sent_s,
            proxied_s - record.first_byte_s,
            record.total_s,
        )
        for name, value in zip(STAGES, parts_s, strict=False):
            times[name].append(value)

    setattr(ProxyRequest, "__init__", note_begin)  # noqa: B010 it has other arguments
    telemetry.request_ended = keep
    gc.callbacks.append(partial(_note_pause, {}))
    loop = asyncio.get_running_loop()
    _tasks.extend([loop.create_task(_tick()), loop.create_task(_ping())])


def _note_pause(began: dict[int, float], phase: str, info: dict[str, int]) -> None:
    if phase == "start":
        began[info["generation"]] = time.perf_counter()
    else:
        pauses[f"generation {info['generation']}"].append(time.perf_counter() - began[info["generation"]])


async def _tick() -> None:
    """Note by how much the loop is late for a timer."""
    while True:
        due = time.perf_counter() + TICK_S
        await asyncio.sleep(TICK_S)
        times["event loop late"].append(time.perf_counter() - due)


async def _ping() -> None:
    """Note how long the least command takes on a connection of its own."""
    from inference.wire.valkey_client import ValkeyClient  # noqa: PLC0415

    valkey = ValkeyClient(os.environ["VALKEY_URL"])
    while True:
        began = time.perf_counter()
        await valkey.execute("PING")
        times["Valkey, called beside"].append(time.perf_counter() - began)
        await asyncio.sleep(10 * TICK_S)


def rows(url: str) -> Iterator[tuple[str, list[float]]]:
    """Return what was measured since the last call, in seconds."""
    with urllib.request.urlopen(url + PATH, timeout=20) as answer:
        found = json.load(answer)
    for name in STAGES:
        yield name, found["times"].get(name, [])
    for name, values in sorted(found["pauses"].items()):
        yield f"garbage collection, {name}", values


def main() -> int:
    """Measure, print a table for each load, and keep it in bench/results/stages.json."""
    ports, cores, figures = Ports(), Cores.here(), {}
    os.sched_setaffinity(0, cores.rest())
    with targets.open_services(Steps()) as stack:
        stub_port = targets.start_stub(stack, ports)
        valkey = redis.Redis.from_url(stack.variables["VALKEY_URL"])
        key = targets.create_tenant(stack, f"http://127.0.0.1:{stub_port}")
        port = ports.take("stages")
        argv = [sys.executable, "-m", "config.serve", "bench.stages:application", f"--port={port}"]
        with pinned(cores.gateway(1)):
            stack.supervisor.start(Program(name="web", title="web", argv=argv, env=stack.variables, layer=2))
        url = f"http://127.0.0.1:{port}"
        stack.supervisor.await_ready("web", partial(targets.answers, f"{url}/healthz"), within_s=60)
        for name, (pace, parallel, stream) in LOADS.items():
            options: dict[str, object] = {"stream": True, "spread": pace_s(pace) * TOKENS} if stream else {}
            for seconds in (2.0, SECONDS):  # a warm-up, and the measurement
                list(rows(url))
                valkey.config_resetstat()
                command = load.command_of(
                    url, key, f"style-{pace}", parallel=parallel, seconds=seconds, **options
                )
                load.run(command)
            print(f"\n{name:<36} count     p50     p90     p99     max")
            for stage, values in rows(url):
                shares = {str(share): percentile_ms(values, share) for share in (0.5, 0.9, 0.99, 1.0)}
                figures[f"{name}: {stage}"] = {"count": len(values), **shares}
                print(f"  {stage:<33} {len(values):>6}" + "".join(f"{one:>8.3f}" for one in shares.values()))
            for called, said in valkey.info("commandstats").items():
                mean_ms = said["usec_per_call"] / 1000
                figures[f"{name}: Valkey itself, {called}"] = {"count": said["calls"], "mean": mean_ms}
                print(f"  {'Valkey itself, ' + called:<33} {said['calls']:>6}   mean {mean_ms:.3f}")
    report.write_results("stages", {**figures, "cpu": machine.model()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
