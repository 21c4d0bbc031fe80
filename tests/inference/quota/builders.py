"""A tenant that PostgreSQL knows, and a request of it that has begun."""

import pytest

from core import months
from inference.quota.admission import admit
from inference.quota.ledger_drain import rebuild_counters
from tenants.public import playground_key, publish_snapshot
from tests.inference.conftest import Account


@pytest.fixture
def known(valkey, acme) -> Account:
    """A tenant that PostgreSQL knows, too."""
    account = Account(valkey, acme.pk, playground_key(acme).pk, months.current())
    publish_snapshot(acme.pk)
    rebuild_counters(valkey, acme.pk, account.period)
    account.offer("poetry")
    return account


async def begin(gateway, account, name):
    return await admit(
        gateway.admission,
        gateway.routes.tables,
        account.caller,
        request_id=name,
        model="poetry",
        prompt_tokens=10,
        output_tokens=20,
        sequences=1,
    )
