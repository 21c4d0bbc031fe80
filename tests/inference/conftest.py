from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import pytest

from core import months
from core import valkey as names
from inference.contract import base_model
from inference.proxy.runtime import Gateway
from inference.proxy.settings import ProxySettings
from tenants.models.keys import digest_by_peppers, new_secret
from tests.fakes.vllm_data import FakeVllm
from tests.inference.builders import Account, open_tables, read_before_each_request
from tests.inference.fakes import Client


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
async def gateway(proxy_settings, valkey) -> AsyncIterator[Gateway]:
    open_tables()
    async with Gateway(proxy_settings) as gateway:
        read_before_each_request(gateway)
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
