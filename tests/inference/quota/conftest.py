import asyncio
from collections.abc import Iterator
from functools import partial

import pytest

from accounts.workspaces import playground_key
from core import months
from inference.quota import scripts
from inference.quota.ledger_drain import rebuild_counters
from inference.wire.valkey_client import ValkeyClient
from metering.quota_sync.snapshot import publish_snapshot
from tests.inference.builders import Account
from tests.inference.quota.builders import DataPlane, begin, end


@pytest.fixture
def known(valkey, acme) -> Account:
    """A tenant that PostgreSQL knows, too."""
    account = Account(valkey, acme.pk, playground_key(acme).pk, months.current())
    publish_snapshot(acme.pk)
    rebuild_counters(valkey, acme.pk, account.period)
    account.offer("poetry")
    return account


@pytest.fixture
def ask(gateway, account):
    """Admit a request, by default one for `poetry` of 10 tokens and at most 20 more."""
    return partial(begin, gateway, account)


@pytest.fixture
def settle(gateway):
    return partial(end, gateway)


@pytest.fixture
def admission() -> str:
    return scripts.ADMISSION


@pytest.fixture
def data_plane(valkey, settings, admission) -> Iterator[DataPlane]:
    with asyncio.Runner() as runner:
        client = ValkeyClient(settings.VALKEY_URL)
        yield DataPlane(runner, client, admission)
        runner.run(client.aclose())
