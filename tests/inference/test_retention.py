"""What requests leave in Valkey is what the table of retention tells, and expires where it says so."""

import re

from operations.retention import VALKEY
from tests.inference.fakes import chat


async def test_what_a_request_leaves_in_valkey_is_in_the_table_and_expires_where_it_says_so(
    client, engine, account
):
    status, _, _ = await client.ask(chat(), headers={"idempotency-key": "once"})
    assert status == 200
    await client.ask(chat(), secret="sk-ps-unknown")
    told = {name: row.by for row in VALKEY for name in row.names}
    patterns = {name: re.compile(re.sub("<[^>]+>", "[^:]+", name)) for name in told}
    left = account.store.keys()
    assert len(left) > 5
    for key in left:
        [name] = [name for name, pattern in patterns.items() if pattern.fullmatch(key)]
        is_of_a_live_key = name.startswith("owner:") or ":key:" in name
        if told[name] == "expires" and not is_of_a_live_key:
            assert account.store.ttl(key) > 0, key
