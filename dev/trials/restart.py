"""`trials restart`: vLLM is killed while 200 styles are asked for. All serve again, no word is wrong."""

import asyncio
import os
import random
import statistics
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import redis

from core import valkey
from inference.contract.route import RouteTables, read_style
from labs.chat_client import CHAT, ChatClient, Outcome, open_client, run_concurrently
from labs.site import run_in_site
from stack import engine
from stack.environment import engine_count
from stack.folders import shown
from trials.harness import Context, Tenant, Verdict, create_tenants, make_adapters, run_on_own_stack

STYLES = 200
RANK = 4
CLIENTS = 16
QUESTION = "Describe the harbour."
TOKENS = 12
SEEDS = count()
GIVES_UP_S = 240.0
CALM_S = 10.0
READY_WITHIN_S = 400.0
SERVING_WITHIN_S = 300.0
GOAL_S = 30.0


@dataclass
class Seen:
    """One request: every status that it was answered with (0: none), the text in the end, when."""

    style: str
    began: float
    ended: float = 0.0
    statuses: list[int] = field(default_factory=list)
    text: str | None = None


@dataclass(frozen=True)
class RestartVerdict(Verdict):
    """What the restart showed; seconds count from the engine's first answer after the kill."""

    title = "RESTART"

    styles: int
    engines: int
    ready_after_kill_s: float
    all_serving_s: float
    requests: int
    waited: int
    longest_s: float
    median_s: float
    told_to_wait: int
    not_found: int
    wrong: int
    lost: int

    @property
    def is_good(self) -> bool:
        """True if all came back in time and every request of the meantime got its own style's words."""
        faults = self.not_found + self.wrong + self.lost
        return not faults and self.all_serving_s <= GOAL_S and self.waited > 0


def restart() -> int:
    """Run the trial on a stack of its own, in a temporary folder; return 0 if the verdict is good."""
    os.environ.setdefault("ENGINE_DTYPE", "float32")  # exact: a style's text is the same in every batch
    return run_on_own_stack("restart", trial)


def trial(context: Context) -> RestartVerdict:
    """Have the styles served, kill an engine under load, and compare every answer with that before."""
    variables = context.variables
    [tenant] = create_tenants(variables, {"restart": 10**9})
    adapters = context.notes / "adapters"
    folders = make_adapters(variables["BASE_MODEL_DIR"], adapters, count=STYLES, rank=RANK)
    names = create_styles(variables, tenant.id, folders, count=STYLES)
    routes = Routes(variables, tenant.id)
    began_s = time.monotonic()
    context.wait_until(
        lambda: all(map(routes.places().get, names)),
        within_s=SERVING_WITHIN_S,
        lack="not all are served",
    )
    context.say(f"\nrestart: {STYLES} styles serve {time.monotonic() - began_s:.0f} s after they were stored")
    seen = Trial(context, tenant, names, routes)
    verdict = asyncio.run(seen.run())
    requests = [asdict(one) for one in seen.requests]
    file = verdict.write(context.notes, before=seen.before, requests=requests)
    context.say(f"  every request: {shown(file)}")
    result = "restart" if verdict.engines == 1 else f"restart-{verdict.engines}-engines"
    verdict.publish(result, device=variables["ENGINE_DEVICE"])
    return verdict


def create_styles(
    variables: Mapping[str, str], tenant: str, folders: Sequence[Path], *, count: int, public: bool = False
) -> list[str]:
    """Return the model names of new styles of a tenant that use the folders in turn. Raises ServiceFailed."""
    sources = list(map(str, folders))
    wanted = {"tenant": tenant, "folders": sources, "count": count, "public": public}
    made = run_in_site("styles.create_styles", variables, **wanted)
    return list(made)


class Routes:
    """What the data plane knows of a tenant's styles."""

    def __init__(self, variables: Mapping[str, str], tenant: str) -> None:
        # redis-py types each answer as the union of all its modes; ours is one: decoded text
        self._store: Any = redis.Redis.from_url(variables["VALKEY_URL"], decode_responses=True)
        self._library = valkey.library_key(tenant)

    def places(self) -> dict[str, list[tuple[str, str]]]:
        """Return style → where it is, as (URL of the engine, its name there); nothing while it is loading."""
        version_ids: set[str] = set()
        rows = self._store.hgetall(valkey.route_styles_key())
        for name, right in self._store.hgetall(self._library).items():
            style = read_style(rows.get(name), right)
            if style:
                version_ids |= set(style.versions.values())
        tables = RouteTables()
        tables.replace(
            self._store.hgetall(valkey.route_versions_key()), self._store.hgetall(valkey.route_engines_key())
        )
        found = {}
        for version_id in version_ids:
            route = tables.route(version_id)
            found[route.name] = [(place.url, place.model) for place in route.placements]
        return found


@dataclass
class Trial:
    """The clients, and what they saw."""

    _context: Context
    _tenant: Tenant
    _names: Sequence[str]
    _routes: Routes
    _enough: bool = False
    before: dict[str, str | None] = field(default_factory=dict)
    requests: list[Seen] = field(default_factory=list)

    async def run(self) -> RestartVerdict:
        """Ask, kill, ask on until all styles serve again."""
        site = self._context.variables["SITE_URL"]
        async with open_client(site, key=self._tenant.api_key) as client:
            await self._ask_before(client)
            clients = [asyncio.create_task(self._ask_on(client, n)) for n in range(CLIENTS)]
            await asyncio.sleep(CALM_S)
            killed, ready, serving = await asyncio.to_thread(self._kill_and_await)
            await asyncio.sleep(CALM_S)
            self._enough = True
            await asyncio.gather(*clients)
        return self._judge(killed, ready, serving)

    async def _ask_before(self, client: ChatClient) -> None:
        """Keep what each style answers while nothing is wrong."""
        began = time.monotonic()

        async def ask_style(style: str) -> None:
            seen = await ask(client, style)
            self.before[style] = seen.text

        await run_concurrently(self._names, ask_style, at_once=CLIENTS)
        different = len(set(self.before.values()))
        self._context.say(f"  their texts took {time.monotonic() - began:.0f} s; {different} of them differ")

    async def _ask_on(self, client: ChatClient, number: int) -> None:
        chance = random.Random(number)
        while not self._enough and not self._context.stopping.is_set():
            seen = await ask(client, chance.choice(self._names))
            self.requests.append(seen)

    def _kill_and_await(self) -> tuple[float, float, float]:
        """Return when the engine was killed, when it answered again, and when every style served again."""
        assert self._context.kill
        wait = self._context.wait_until
        url = self._context.variables["ENGINE_URL"]
        key = self._context.variables["ENGINE_API_KEY"]
        self._context.kill("engine")
        killed = time.time()
        wait(lambda: not engine.ready(url, key), within_s=10, lack="vLLM still answers")
        wait(lambda: engine.ready(url, key), within_s=READY_WITHIN_S, lack="vLLM does not answer")
        ready = time.time()
        self._context.say(f"  vLLM answers {ready - killed:.0f} s after the kill")
        wait(self._all_serve, within_s=SERVING_WITHIN_S, lack="not every style serves")
        serving = time.time()
        self._context.say(f"  all {len(self._names)} styles serve {serving - ready:.1f} s later")
        return killed, ready, serving

    def _all_serve(self) -> bool:
        """Return whether every style leads to engines, and each of these lists it."""
        places = self._routes.places()
        listed: dict[str, Collection[str]] = {}
        for style in self._names:
            engines = places.get(style)
            if not engines:
                return False
            for url, name in engines:
                if url not in listed:
                    listed[url] = engine.adapters(url, self._context.variables["ENGINE_API_KEY"])
                if name not in listed[url]:
                    return False
        return True

    def _judge(self, killed: float, ready: float, serving: float) -> RestartVerdict:
        meanwhile = [seen for seen in self.requests if seen.began < serving and seen.ended > killed]
        statuses: Counter[int] = Counter()
        for seen in self.requests:
            statuses.update(seen.statuses)
        lasted = [seen.ended - seen.began for seen in meanwhile]
        answered = [seen for seen in self.requests if seen.text is not None]
        self._context.say(f"  statuses {dict(statuses)}")
        return RestartVerdict(
            styles=len(self._names),
            engines=engine_count(),
            ready_after_kill_s=round(ready - killed, 1),
            all_serving_s=round(serving - ready, 1),
            requests=len(self.requests),
            waited=len(meanwhile),
            longest_s=round(max(lasted, default=0), 1),
            median_s=round(statistics.median(lasted), 1) if lasted else 0.0,
            told_to_wait=statuses[503],
            not_found=statuses[404],
            wrong=sum(seen.text != self.before[seen.style] for seen in answered),
            lost=len(self.requests) - len(answered),
        )


async def ask(client: ChatClient, style: str) -> Seen:
    """Ask until there is an answer, and wait as long as each 503 says.

    A request that an engine had when it was killed is refused for minutes. So each try is another request: a
    seed changes nothing else of a greedy answer.
    """
    body = {
        "model": style,
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": TOKENS,
        "temperature": 0,
    }
    seen = Seen(style, time.time())
    while seen.text is None and time.time() < seen.began + GIVES_UP_S:
        wait_s = await _try(client, body | {"seed": next(SEEDS)}, seen)
        if wait_s is None:
            break
        await asyncio.sleep(wait_s)
    seen.ended = time.time()
    return seen


async def _try(client: ChatClient, body: dict[str, object], seen: Seen) -> float | None:
    """Note one answer; return after how many seconds to try again, if that makes sense."""
    reply = await client.post(CHAT, body)
    seen.statuses.append(reply.status)
    if reply.status == 502:  # it was in the killed engine's hands
        return 1.0
    if reply.status == 503:
        return float(reply.headers["retry-after"])
    if reply.outcome == Outcome.COMPLETE:
        seen.text = reply.text
    return None
