import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from uuid import UUID, uuid4

import pytest
import redis

from foundation import months
from foundation import valkey as names
from inference.admission import Caller
from inference.gateway import Gateway
from inference.metering import read_event
from tests.inference.fakes import FakeEngine

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

    def offer(self, name: str, **route: object) -> None:
        whole = {
            "style": str(uuid4()), "name": name, "version": 3, "sha256": "ab" * 32, "base_model": "SmolLM2",
            "engine": "local", "url": "http://127.0.0.1:1", "lora": "v_secret", "max_model_len": 2048,
            "max_num_seqs": 16,
        }  # fmt: skip
        self.store.hset(names.styles_key(self.tenant), name, json.dumps(whole | route))


@pytest.fixture
def account(valkey) -> Account:
    account = Account(valkey, uuid4(), uuid4(), months.current())
    valkey.set(names.epoch_key(names.shard(account.tenant)), "whole")
    account.limit(**LIMITS)
    account.store.hset(
        names.key_key(account.tenant, account.key),
        mapping={"state": "live", "expires_at": "", "styles": "", "monthly_tokens": ""},
    )
    account.store.hset(names.account_key(account.tenant, account.period), "used", 0)
    account.offer("poetry")
    return account


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with Gateway() as gateway:
        yield gateway


@pytest.fixture
async def engine(account) -> AsyncIterator[FakeEngine]:
    fake = FakeEngine()
    async with fake.serve() as url:
        account.offer("poetry", url=url)
        yield fake
