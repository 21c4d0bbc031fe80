"""A tenant, a style and engines as Valkey knows them: what tests of the data plane publish."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import count
from typing import Any
from uuid import UUID, uuid4

import redis

from adapters.routing import publisher
from adapters.routing.publisher import Source
from core import months
from core import valkey as names
from inference.contract.route import Route, RouteTables, Target
from inference.errors import LimitsUnavailable
from inference.proxy.runtime import Gateway
from inference.quota.admission import Caller
from inference.quota.ledger_drain import read_event

# Requests that wait try again soon, and give up soon.
SHORT_WAITS = {
    "route_poll_s": 0.02,
    "adapter_wait_s": 0.3,
    "engine_wait_s": 0.3,
    "health_recheck_every_s": 0.02,
    "circuit_open_s": 0.05,
    "adapter_absent_s": 0.03,
}
LIMITS = {
    "state": "live", "slug": "tester", "requests_per_minute": 100, "tokens_per_minute": 10_000,
    "parallel_requests": 8, "max_output_tokens": 50, "monthly_tokens": 100_000, "input_nanousd": 100,
    "cached_input_nanousd": 25, "output_nanousd": 400, "sequences_per_request": 16, "weight": 1,
}  # fmt: skip


@dataclass
class Account:
    """A tenant as Valkey knows it, with one key and the style `poetry`."""

    store: redis.Redis
    tenant: UUID
    key: UUID
    period: str

    @property
    def caller(self) -> Caller:
        return Caller(self.tenant, self.key)

    def open(self) -> None:
        """Publish its limits, its key and a library, in a Valkey that knows of all holds and routes."""
        self.store.set(names.epoch_key(), "whole")
        if not publisher.has_all_rows():
            open_tables()
        self.publish({})
        wallet = f"{self.period} {months.before(self.period)} 100000 100000"
        self.limit(**LIMITS, wallet=wallet)
        self.store.hset(
            names.key_key(self.tenant, self.key),
            mapping={
                "state": "live",
                "expires_at": "",
                "styles": "",
                "scopes": "inference",
                "monthly_tokens": "",
            },
        )
        self.store.hset(names.account_key(self.tenant, self.period), "used", 0)

    def limit(self, **changes: int | str) -> None:
        self.store.hset(names.limits_key(self.tenant), mapping=changes)

    def used(self) -> int:
        return int(self.store.hget(names.account_key(self.tenant, self.period), "used") or 0)

    def held(self) -> int:
        return int(self.store.hget(names.account_key(self.tenant, self.period), "held") or 0)

    def events(self) -> list[dict]:
        return self.own_events(self.store.xrange(names.usage_key()))

    def own_events(self, entries: list[tuple[str, dict[str, str]]]) -> list[dict]:
        events = [asdict(read_event(fields)) for _, fields in entries]
        return [event for event in events if event["tenant_id"] == self.tenant]

    def offer(
        self,
        name: str,
        *urls: str,
        version: int = 3,
        version_id: str = "",
        places: list[dict] | None = None,
        about: str = "",
        **facts: object,
    ) -> None:
        """Publish a style on engines at some addresses; without any it is a place where nobody listens."""
        if places is None:
            places = [place(f"engine-{n}", url) for n, url in enumerate(urls or ("http://127.0.0.1:1",), 1)]
        version_id = version_id or VERSIONS[name, version]
        write_engines(*places, BASE_PLACE)
        write_version(version_row(name, version_id, version=version, places=places, **facts))
        self.publish({name: target(name, version_id, about)})

    def load(self, name: str, version_id: str) -> None:
        """Publish that a style is on its way."""
        write_version(version_row(name.partition("@")[0], version_id))
        self.publish({name: target(name, version_id)})

    def publish(self, targets: Mapping[str, Target]) -> None:
        publish_names(self.tenant, targets)

    def split(self, name: str, percent: int) -> None:
        """Publish that a style's canary gets a share."""
        row = read_style_row(name)
        row["owner"]["canary_percent"] = percent
        write_style(name, row)

    def written(self, name: str) -> Target:
        style, at, alias = name.partition("@")
        row = read_style_row(style)
        return Target(row["style"], row["owner"]["versions"][at + alias], row["owner"]["about"])

    def route(self, name: str) -> Route:
        tables = RouteTables()
        tables.replace(
            self.store.hgetall(names.route_versions_key()), self.store.hgetall(names.route_engines_key())
        )
        return tables.route(self.written(name).version_id)

    def places(self, name: str) -> list[dict]:
        """Return where a style is, to be offered elsewhere."""
        version_id = self.written(name).version_id
        _, row = self.store.hget(names.route_versions_key(), version_id).split(" ", 1)
        places = []
        for engine, lora in json.loads(row)["engines"].items():
            facts = json.loads(self.store.hget(names.route_engines_key(), engine))
            places.append(facts | {"engine": engine, "lora": lora})
        return places

    def holds(self) -> list[dict[str, str]]:
        return [self.store.hgetall(name) for name in self.store.keys(names.hold_key(self.tenant, "*"))]

    def bucket(self) -> dict[str, str]:
        return self.store.hgetall(self.caller.names.bucket)

    def withdraw(self, name: str) -> None:
        style, at, alias = name.partition("@")
        row = read_style_row(style)
        del row["owner"]["versions"][at + alias]
        write_style(style, row)


STYLES: dict[str, str] = defaultdict(lambda: str(uuid4()))
VERSIONS: dict[tuple[str, int], str] = defaultdict(lambda: str(uuid4()))
generations = count(1)  # of what tests publish: what comes later is newer


def place(engine: str, url: str, **more: object) -> dict[str, object]:
    """One engine that has a style: its facts, and the style's name there."""
    whole = {
        "engine": engine, "lora": "v_secret", "url": url, "kind": "vllm", "healthy": True, "draining": False,
        "max_model_len": 2048, "max_num_seqs": 16, "max_loras": 8, "max_cpu_loras": 64,
        "base_model": "SmolLM2", "base": "", "base_created": 0,
    }  # fmt: skip
    return whole | more


BASE_PLACE = place("base-only", "http://127.0.0.1:1", base="SmolLM2")


def target(name: str, version_id: str, about: str = "") -> Target:
    return Target(STYLES[name.partition("@")[0]], version_id, about)


def publish_names(tenant: UUID | str, targets: Mapping[str, Target], *, right: str = "own") -> None:
    """Publish where typed names lead, and that a workspace may use their styles."""
    library = {"@generation": "0"}
    for typed, leads_to in targets.items():
        name, at, alias = typed.partition("@")
        row = read_style_row(name) | {"style": leads_to.style}
        row["owner"]["versions"][at + alias] = leads_to.version_id
        row["owner"]["about"] = leads_to.about
        write_style(name, row)
        library[name] = right
    names.client().hset(names.library_key(tenant), mapping=library)


def read_style_row(name: str) -> dict[str, Any]:
    """A style's row, as adapters/routing/tables.py writes it; a new one without names."""
    written = names.client().hget(names.route_styles_key(), name)
    new = {"style": STYLES[name], "is_public": True, "owner": {"versions": {}, "about": ""}}
    return json.loads(written) if written else new


def write_style(name: str, row: dict[str, Any]) -> None:
    source = Source(f"style:{name}", next(generations), [("style", name, json.dumps(row))])
    publisher.write_rows([source])


def version_row(
    name: str, version_id: str, *, version: int = 3, places: Sequence[dict] = (), **facts: object
) -> tuple[str, str]:
    """A version's id and its row, as adapters/routing/tables.py writes it."""
    whole = {
        "style": STYLES[name], "name": name, "version": version, "version_id": version_id, "created": 0,
        "sha256": "ab" * 32, "base_model": "SmolLM2",
        "engines": {place["engine"]: place["lora"] for place in places},
    }  # fmt: skip
    context = min((place["max_model_len"] for place in places), default=0)
    return version_id, f"{context} {json.dumps(whole | facts)}"


def write_version(row: tuple[str, str]) -> None:
    publisher.write_rows([Source(f"version:{row[0]}", next(generations), [("version", *row)])])


def engine_rows(places: Iterable[dict]) -> dict[str, str]:
    rows = {}
    for one in places:
        facts = {fact: value for fact, value in one.items() if fact not in ("engine", "lora")}
        rows[one["engine"]] = json.dumps(facts)
    return rows


def write_engines(*places: dict) -> None:
    rows = [("engine", name, row) for name, row in engine_rows(places).items()]
    publisher.write_rows([Source("engines", next(generations), rows)])


def open_tables() -> None:
    """Let the tables of routes count as whole: gateways need no database then."""
    publisher.end_full_write(publisher.begin_full_write())


def route_of(name: str, *, places: Sequence[dict], **facts: object) -> Route:
    """Return a route that no Valkey has."""
    version_id, row = version_row(name, "v1", places=places, **facts)
    tables = RouteTables()
    tables.replace({version_id: row}, engine_rows(places))
    return tables.route(version_id)


def read_before_each_request(gateway: Gateway) -> None:
    """Let each request see what its test has just published, without waiting for the message of it."""
    ensure_loaded = gateway.routes.ensure_loaded

    async def read() -> None:
        with suppress(LimitsUnavailable):
            await gateway.routes.refresh()
        await ensure_loaded()

    gateway.routes.ensure_loaded = read
