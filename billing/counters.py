"""Compare the counters of a month in Valkey with the ledger, and have them made anew."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

from core import valkey
from inference.public import ledger_drain
from metering.ledger import usage_of
from metering.reconciliation import Amount, Disagreement
from tenants.models import Tenant

# redis-py types each answer as the union of all its modes; ours is one: decoded text, protocol 2.
type Store = Any

ATTEMPTS = 5
COUNTERS = ("used", "spent")


def compare_counters(client: Store, period: str) -> Iterator[Disagreement | str]:
    """Yield where Valkey's counters and the ledger differ; as a text, what was too busy to be compared.

    A workspace without counters is left out: its next request makes them from the ledger. Usage events on
    their way are moved into the ledger first.
    """
    for tenant_id, slug in Tenant.objects.order_by("slug").values_list("pk", "slug"):
        for _ in range(ATTEMPTS):
            before = _read_counters(client, tenant_id, period)
            if before is None:
                break
            ledger_drain.record_pending(client, tenant_id)
            usage = usage_of(tenant_id, period)
            recorded = Amount(usage.tokens, usage.nanousd)
            if recorded == before:
                break
            # A counter that moved meanwhile proves nothing: look again.
            if _read_counters(client, tenant_id, period) == before:
                yield Disagreement(slug, ("Valkey", "ledger"), (before, recorded))
                break
        else:
            yield f"{slug}: its requests kept ending; it was not compared"


def rebuild_counters(client: Store, tenant_id: UUID, period: str) -> None:
    """Make a workspace's counters of a month anew from the ledger; what its open requests hold stays.

    Raises TimeoutError when its requests keep ending meanwhile.
    """
    ledger_drain.forget_counters(client, tenant_id, period)
    ledger_drain.rebuild_counters(client, tenant_id, period)


def _read_counters(client: Store, tenant_id: UUID, period: str) -> Amount | None:
    used, spent = client.hmget(valkey.account_key(tenant_id, period), *COUNTERS)
    return None if used is None else Amount(int(used), int(spent or 0))
