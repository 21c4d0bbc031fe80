import json
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, replace
from uuid import UUID, uuid4

import pytest
import redis

from foundation import months
from foundation import valkey as names
from inference.contract import base_model
from inference.proxy.runtime import Gateway
from inference.proxy.settings import ProxySettings
from inference.quota.admission import Caller
from inference.quota.ledger_drain import read_event
from labs.fake_vllm.data_side import FakeVllm
from tenants.api_keys.lifecycle import new_secret
from tenants.public import digest_by_peppers
from tests.inference.fakes import Client

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
    "state": "live", "requests_per_minute": 100, "tokens_per_minute": 10_000, "parallel_requests": 8,
    "max_output_tokens": 50, "monthly_tokens": 100_000, "input_nanousd": 100, "cached_input_nanousd": 25,
    "output_nanousd": 400,
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
        """Publish its limits and its key, in a Valkey that knows of all holds."""
        self.store.set(names.epoch_key(names.shard(self.tenant)), "whole")
        self.limit(**LIMITS)
        self.store.hset(
            names.key_key(self.tenant, self.key),
            mapping={"state": "live", "expires_at": "", "styles": "", "monthly_tokens": ""},
        )
        self.store.hset(names.account_key(self.tenant, self.period), "used", 0)

    def limit(self, **changes: int | str) -> None:
        self.store.hset(names.limits_key(self.tenant), mapping=changes)

    def used(self) -> int:
        return int(self.store.hget(names.account_key(self.tenant, self.period), "used") or 0)

    def held(self) -> int:
        return int(self.store.hget(names.account_key(self.tenant, self.period), "held") or 0)

    def events(self) -> list[dict]:
        entries = self.store.xrange(names.stream_of(names.shard(self.tenant)))
        events = [asdict(read_event(fields)) for _, fields in entries]
        return [event for event in events if event["tenant_id"] == self.tenant]

    def offer(self, name: str, *urls: str, **route: object) -> None:
        """Publish a route to engines at some addresses; without any it is a place where nobody listens."""
        places = [place(f"engine-{n}", url) for n, url in enumerate(urls or ("http://127.0.0.1:1",), 1)]
        whole = about(name, version_id=str(uuid4())) | {
            "sha256": "ab" * 32, "base_model": "SmolLM2", "max_model_len": 2048, "places": places,
        }  # fmt: skip
        self.publish({name: json.dumps(whole | route), "base": BASE_ROUTE})

    def load(self, name: str, version_id: str) -> None:
        """Publish that a style is on its way."""
        self.publish({name: json.dumps(about(name, version_id=version_id) | {"state": "loading"})})

    def publish(self, routes: dict[str, str]) -> None:
        self.store.hset(names.styles_key(self.tenant), mapping=routes)

    def written(self, name: str) -> str:
        return self.store.hget(names.styles_key(self.tenant), name)

    def places(self, name: str) -> list[dict]:
        return json.loads(self.written(name))["places"]

    def holds(self) -> list[dict[str, str]]:
        return [self.store.hgetall(name) for name in self.store.keys(names.hold_key(self.tenant, "*"))]

    def bucket(self) -> dict[str, str]:
        return self.store.hgetall(names.bucket_key(self.tenant))

    def withdraw(self, *typed: str) -> None:
        self.store.hdel(names.styles_key(self.tenant), *typed)


STYLES: dict[str, str] = defaultdict(lambda: str(uuid4()))


def about(name: str, version_id: str | None = None) -> dict[str, object]:
    """What every route says."""
    return {"style": STYLES[name], "name": name, "version": 3, "version_id": version_id}


BASE_ROUTE = json.dumps(about("base") | {"max_model_len": 2048, "places": []})


def place(engine: str, url: str, **more: object) -> dict[str, object]:
    """One engine of a route, as adapters/routing/route_table.py writes it."""
    whole = {
        "engine": engine, "url": url, "healthy": True, "lora": "v_secret", "max_num_seqs": 16,
        "max_loras": 8, "max_cpu_loras": 64, "kind": "vllm",
    }  # fmt: skip
    return whole | more


@pytest.fixture
def account(valkey) -> Account:
    account = Account(valkey, uuid4(), uuid4(), months.current())
    account.open()
    account.offer("poetry")
    return account


@pytest.fixture
def proxy_settings(request) -> ProxySettings:
    """The gateway's settings, with what the test's markers `proxy_settings(name=value)` change."""
    changes = {}
    for marker in reversed(list(request.node.iter_markers("proxy_settings"))):
        changes |= marker.kwargs
    return replace(ProxySettings(), **changes)


@pytest.fixture
async def gateway(proxy_settings) -> AsyncIterator[Gateway]:
    async with Gateway(proxy_settings) as gateway:
        yield gateway


@pytest.fixture
async def engine(account) -> AsyncIterator[FakeVllm]:
    fake = FakeVllm()
    async with fake.serve() as url:
        account.offer("poetry", url)
        yield fake


@pytest.fixture
def taught(monkeypatch) -> None:
    """The base model's chat template shows tools."""
    monkeypatch.setattr(base_model, "has_tools", lambda: True)


@pytest.fixture
def secret(account):
    secret = new_secret()
    account.store.set(names.owner_key(digest_by_peppers(secret)[0]), f"{account.tenant}:{account.key}")
    return secret


@pytest.fixture
def client(gateway, secret):
    return Client(gateway, secret)
