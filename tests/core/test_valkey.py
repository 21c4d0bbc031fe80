from uuid import uuid4

from core import valkey


def test_keys_of_a_workspace_begin_with_it_and_differ():
    tenant, other = uuid4(), uuid4()
    names = [
        valkey.limits_key(tenant),
        valkey.library_key(tenant),
        valkey.key_key(tenant, other),
        valkey.account_key(tenant, "2026-11"),
        valkey.hold_key(tenant, "req_1"),
    ]
    assert all(name.startswith(f"workspace:{tenant}:") for name in names)
    assert len({*names, valkey.limits_key(other)}) == len(names) + 1
