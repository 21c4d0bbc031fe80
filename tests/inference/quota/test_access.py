"""May this key ask? One answer, whoever gives it: admission, a stored answer, a list, a report, a count."""

import json

import pytest

from core import valkey as names
from tests.inference.fakes import chat

STORED = {"idempotency-key": "k"}
DENIED = {
    "suspended": (403, "workspace_suspended"),
    "revoked": (401, "invalid_api_key"),
    "expired": (401, "invalid_api_key"),
    "unscoped": (403, "insufficient_scope"),
}
WRITES = {
    "chat": {"body": chat()},
    "stored answer": {"body": chat(), "headers": STORED},
    "count": {"body": {"model": "poetry", "input": "Rain?"}, "path": "/v1/responses/input_tokens"},
    "tokenize": {"body": {"prompt": "Rain"}, "path": "/v1/tokenize"},
    "tokenize in a style": {"body": {"prompt": "Rain", "model": "poetry"}, "path": "/v1/tokenize"},
    "list": {"body": {}, "path": "/v1/models", "method": "GET"},
    "model": {"body": {}, "path": "/v1/models/poetry", "method": "GET"},
    "tokenizer": {"body": {}, "path": "/v1/tokenizer_info", "method": "GET"},
}
READS = {
    "key": {"body": {}, "path": "/v1/key", "method": "GET"},
    "usage": {"body": {}, "path": "/v1/usage", "method": "GET"},
}


def deny(account, reason: str) -> None:
    key = names.key_key(account.tenant, account.key)
    if reason == "suspended":
        account.limit(state="suspended")
    elif reason == "expired":
        account.store.hset(key, "expires_at", 1_700_000_000)
    else:
        account.store.hset(key, "state", reason)


@pytest.mark.parametrize("reason", DENIED)
async def test_a_key_that_may_not_ask_gets_the_same_answer_everywhere(client, engine, account, reason):
    assert (await client.ask(chat(), headers=STORED))[0] == 200
    deny(account, reason)
    may_read = reason == "unscoped"  # a key without the scope still reads what is about itself
    for name, request in (WRITES if may_read else WRITES | READS).items():
        status, _, body = await client.ask(**request)
        assert (status, json.loads(body)["error"]["code"]) == DENIED[reason], name
    assert len(engine.received) == 1
    if may_read:
        assert (await client.ask(**READS["key"]))[0] == 200


async def test_a_key_that_expires_later_may_ask(client, engine, account):
    account.store.hset(names.key_key(account.tenant, account.key), "expires_at", 4_000_000_000)
    for request in (WRITES["chat"], WRITES["list"], READS["key"]):
        assert (await client.ask(**request))[0] == 200
