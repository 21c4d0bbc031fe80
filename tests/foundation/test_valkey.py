import re
from uuid import uuid4

from foundation import valkey


def tag(name: str) -> str:
    return re.search(r"\{[^}]+\}", name)[0]


def test_all_keys_of_a_tenant_lie_in_one_slot_that_has_a_stream():
    for tenant in (uuid4() for _ in range(50)):
        names = [
            valkey.limits_key(tenant),
            valkey.styles_key(tenant),
            valkey.key_key(tenant, uuid4()),
            valkey.account_key(tenant, "2026-11"),
        ]
        assert {tag(name) for name in names} == {valkey.shard(tenant)}
        assert valkey.shard(tenant) == valkey.shard(str(tenant))
        assert valkey.shard(tenant) in {f"{{s{number}}}" for number in range(valkey.SHARDS)}
