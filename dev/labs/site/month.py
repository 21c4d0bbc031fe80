"""The workspaces of bench/month_turn.py, and their accounts of this month and the last."""

import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from adapters.models import Selection, Style
from core import months, valkey
from inference.quota import month_turn
from labs.fake_vllm.prepared_bytes import INSTANT
from tenants.models import ApiKey, Tenant
from tenants.models.keys import digest_by_peppers, new_secret

BATCH_SIZE = 1000


def create_workspaces(*, count: int, file: str) -> None:
    """Make workspaces that may use a style, each with a key; write the secrets to a file."""
    style = Style.objects.get(slug=f"style-{INSTANT}")
    new = [Tenant(slug=f"m-{n}", name=f"M {n}") for n in range(count)]
    tenants = Tenant.objects.bulk_create(new, batch_size=BATCH_SIZE)
    selections = [Selection(style=style, tenant=tenant) for tenant in tenants]
    Selection.objects.bulk_create(selections, batch_size=BATCH_SIZE)
    secrets = [new_secret() for _ in tenants]
    keys = []
    for tenant, secret in zip(tenants, secrets, strict=True):
        digest = digest_by_peppers(secret)[0]
        keys.append(ApiKey(tenant=tenant, name="Bench", digest=digest, prefix=secret[:8], last4=secret[-4:]))
    ApiKey.objects.bulk_create(keys, batch_size=BATCH_SIZE)
    Path(file).write_text(json.dumps(secrets))


def forget_accounts() -> int:
    """Take this month's accounts away, and give last month's to all who had one; return how many."""
    period = months.current()
    store: Any = valkey.client()
    pipeline = store.pipeline(transaction=False)
    count = 0
    for tenant_id in Tenant.objects.values_list("pk", flat=True):
        if store.exists(valkey.account_key(tenant_id, period)):
            count += 1
            pipeline.delete(valkey.account_key(tenant_id, period))
            pipeline.hset(valkey.account_key(tenant_id, months.before(period)), "used", 0)
    pipeline.execute()
    return count


def open_accounts() -> dict[str, float]:
    """Make the accounts as beat's task does in the hours before; return how many, and how long that took."""
    begins, _ = months.bounds(months.current())
    now = begins - timedelta(minutes=1)
    began_s = time.perf_counter()
    made = 0
    longest_s = 0.0
    while True:
        run_s = time.perf_counter()
        count = month_turn.prepare_changes(valkey.client(), now)
        longest_s = max(longest_s, time.perf_counter() - run_s)
        made += count
        if not count:
            break
    seconds = time.perf_counter() - began_s
    return {"accounts": made, "seconds": round(seconds, 1), "longest_run_s": round(longest_s, 2)}
