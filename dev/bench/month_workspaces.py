"""The workspaces of bench/month_turn.py, made and prepared by the site's own code.

`python -m bench.month_workspaces seed COUNT FILE | forget | open`.
"""

import json
import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from adapters.models import Selection, Style  # noqa: E402
from core import months, valkey  # noqa: E402
from inference.quota import month_turn  # noqa: E402
from labs.fake_vllm.prepared_bytes import INSTANT  # noqa: E402
from tenants.models import ApiKey, Tenant  # noqa: E402
from tenants.models.keys import digest_by_peppers, new_secret  # noqa: E402

BATCH_SIZE = 1000


def seed(count: int, file: Path) -> None:
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
    file.write_text(json.dumps(secrets))


def forget() -> int:
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


def open_month() -> dict[str, float]:
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


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["seed", count, file]:
            seed(int(count), Path(file))
            print(count)
        case ["forget"]:
            print(forget())
        case ["open"]:
            print(json.dumps(open_month()))
        case _:
            sys.exit(__doc__)
