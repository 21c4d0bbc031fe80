"""What is refused at the door: cheaply, in bounded memory, and not without end."""

import gzip
import json
import time
import zlib
from uuid import uuid4

import pytest

from core import valkey as names
from core.http import network_of
from inference.api import idempotency
from inference.contract import tokenizer
from inference.contract.prompt_length import Size
from inference.errors import BadRequest, TooLarge, TooMuchAtOnce, UnknownEncoding
from inference.proxy import runtime as gateway_module
from inference.proxy.bodies import BODY_MAX_BYTES, BodyMemory, decompress
from inference.proxy.runtime import Gateway
from inference.proxy.settings import ProxySettings
from tenants.models.keys import digest_by_peppers, new_secret
from tests.inference.fakes import Client, chat, refusals_written

KEY = {"idempotency-key": "k"}


async def test_a_key_with_too_many_refusals_is_refused_before_its_body_is_read(client, engine, settings):
    settings.API_REFUSALS_PER_KEY = 3
    for body in ({"model": 3}, chat(n=99), chat(model="no/such")):
        assert (await client.ask(body))[0] in (400, 404)
    await refusals_written(client.gateway)
    assert (await client.ask(chat()))[0] == 200  # so many are let through
    await client.ask({})
    await refusals_written(client.gateway)
    status, head, body = await client.ask(chat())
    assert (status, json.loads(body)["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 0 < int(head["retry-after"]) <= 60
    assert len(engine.received) == 1

    async with Gateway() as other:  # another process learns it with its first refusal
        elsewhere = Client(other, client.secret)
        await elsewhere.ask({})
        await refusals_written(other)
        assert (await elsewhere.ask(chat()))[0] == 429


async def test_a_minute_ends_and_a_neighbour_is_served_meanwhile(client, engine, account, settings):
    settings.API_REFUSALS_PER_KEY = 0
    await client.ask({})
    await refusals_written(client.gateway)
    neighbour = Client(client.gateway, new_secret())
    other = uuid4()
    account.store.copy(names.key_key(account.tenant, account.key), names.key_key(account.tenant, other))
    account.store.set(names.owner_key(digest_by_peppers(neighbour.secret)[0]), f"{account.tenant}:{other}")
    assert (await client.ask(chat()))[0] == 429
    assert (await neighbour.ask(chat()))[0] == 200
    [name] = account.store.keys("*:refusals:*")
    assert 0 < account.store.pttl(name) <= 60_000
    client.gateway.refusals._until_s[name] = time.monotonic()
    assert (await client.ask(chat()))[0] == 200


async def test_strangers_are_counted_by_address_and_cost_no_query_then(client, engine, settings, monkeypatch):
    settings.API_REFUSALS_PER_ADDRESS = 1
    looked_up = []
    monkeypatch.setattr(gateway_module, "find_owner", looked_up.append)
    assert [(await client.ask(chat(), secret=new_secret()))[0] for _ in range(2)] == [401, 401]
    await refusals_written(client.gateway)
    assert (await client.ask(chat(), secret=new_secret()))[0] == 429
    assert (await client.ask({}, path="/v1/nothing"))[0] == 429
    assert len(looked_up) == 2
    assert (await client.ask(chat()))[0] == 200  # who has a key is no stranger


async def test_a_large_refused_body_counts_as_many(client, account):
    await client.ask({"model": "x" * 1_000_000})
    await refusals_written(client.gateway)
    [name] = account.store.keys("*:refusals:*")
    assert int(account.store.get(name)) == 1 + 1_000_000 // (64 * 1024)


async def test_a_packed_refused_body_counts_as_what_it_unpacks_to(client, account):
    packed = gzip.compress(json.dumps({"model": "x" * 1_000_000}).encode())
    assert len(packed) < 64 * 1024
    assert (await client.ask(packed, headers={"content-encoding": "gzip"}))[0] == 400
    bomb = gzip.compress(b" " * (BODY_MAX_BYTES + 1))
    assert (await client.ask(bomb, headers={"content-encoding": "gzip"}))[0] == 413
    await refusals_written(client.gateway)
    [name] = account.store.keys("*:refusals:*")
    assert int(account.store.get(name)) == 2 + (1_000_000 + BODY_MAX_BYTES) // (64 * 1024)


async def test_an_answer_that_is_given_again_counts_with_the_body_that_was_read_for_it(
    client, engine, account
):
    account.limit(tokens_per_minute=1_000_000, monthly_tokens=1_000_000)  # nothing has to count the prompt
    asked = gzip.compress(json.dumps(chat(user="x" * 200_000)).encode())
    for _ in range(3):
        status, _, _ = await client.ask(asked, headers=KEY | {"content-encoding": "gzip"})
        assert status == 200
    await refusals_written(client.gateway)
    [name] = account.store.keys("*:refusals:*")
    assert int(account.store.get(name)) == 2 * (1 + 200_000 // (64 * 1024))
    assert len(engine.received) == 1


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
    ],
)
def test_a_client_is_its_address_or_its_network(address, network):
    assert network_of(address) == network


async def test_refused_requests_cost_little(client, account, monkeypatch):
    """The largest bodies that are refused: in CPU seconds of this process, threads and all."""
    client.gateway.longest_token = Size(81, 25)
    monkeypatch.setattr(tokenizer, "count_prompt_tokens", None)  # it would fail
    long = chat(messages=[{"role": "user", "content": "word " * 800_000}])
    began = time.process_time()
    for _ in range(5):
        assert (await client.ask(long))[0] == 400
    assert (time.process_time() - began) / 5 < 0.5  # it was 2 to 4 s; most is the test's own JSON
    assert client.gateway.bodies._taken.total() == 0


def test_whatever_some_workspaces_take_there_is_memory_for_the_next():
    max_bytes = ProxySettings().bodies_max_bytes
    memory, hog, others = BodyMemory(max_bytes), str(uuid4()), [str(uuid4()) for _ in range(20)]

    def fill(tenant):
        taken = 0
        try:
            while True:
                memory.take(tenant, 100_000)
                taken += 100_000
        except TooMuchAtOnce:
            return taken

    assert fill(hog) == pytest.approx(max_bytes / 9, rel=0.02)
    for other in others:
        assert fill(other) > 2_000_000
    left = fill(uuid4())
    memory.give_back(hog, 20_000_000)
    assert fill(uuid4()) > left


@pytest.mark.proxy_settings(bodies_max_bytes=4_000)
async def test_bodies_in_flight_are_bounded_and_given_back(client, engine):
    assert (await client.ask(chat(user="a" * 400)))[0] == 429
    assert (await client.ask(chat()))[0] == 200
    assert client.gateway.bodies._taken.total() == 0


async def test_what_is_said_to_be_too_large_is_not_read(client):
    status, _, _ = await client.ask(chat(), headers={"content-length": str(BODY_MAX_BYTES + 1)})
    assert status == 413


def test_packed_bodies_are_read_within_the_same_bound():
    assert decompress(gzip.compress(b"{}"), "gzip") == b"{}"
    assert decompress(b"{}", "") == decompress(b"{}", "identity") == b"{}"
    bomb = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = bomb.compress(b"\0" * (BODY_MAX_BYTES + 1)) + bomb.flush()
    for body, encoding, error in (
        (packed, "gzip", TooLarge), (b"{}", "gzip", BadRequest),
        (gzip.compress(b"{}")[:-9], "gzip", BadRequest), (b"{}", "br", UnknownEncoding),
    ):  # fmt: skip
        with pytest.raises(error):
            decompress(body, encoding)


async def test_kept_answers_have_a_byte_budget(client, engine, account, monkeypatch):
    monkeypatch.setattr(idempotency, "ANSWERS_MAX_BYTES_PER_TENANT", 4_000)
    for number in range(10):
        assert (await client.ask(chat(), headers={"idempotency-key": f"k{number}"}))[0] == 200
    kept = account.store.zrange(names.kept_key(account.tenant), 0, -1)
    total = int(account.store.get(names.kept_bytes_key(account.tenant)))
    assert 0 < total <= 4_000
    assert sum(int(one.split()[0]) for one in kept) == total
    assert {one.split()[1] for one in kept} == set(account.store.keys("*:replay:*"))
    _, newest, _ = await client.ask(chat(), headers={"idempotency-key": "k9"})
    _, oldest, _ = await client.ask(chat(), headers={"idempotency-key": "k0"})
    assert ("idempotent-replayed" in newest, "idempotent-replayed" in oldest) == (True, False)


@pytest.mark.parametrize(
    ("asking", "status", "allow"),
    [
        ("GET /v1/chat/completions", 405, "POST"),
        ("DELETE /v1/models", 405, "GET, HEAD"),
        ("OPTIONS /v1/messages", 405, "POST"),
        ("HEAD /v1/models", 200, None),
        ("HEAD /health", 200, None),
        ("GET /health", 200, None),
        ("GET /v1/modelspoetry", 404, None),
        ("GET /v1/models/poetry", 200, None),
        ("GET /v1/models/poetry@3", 200, None),
        ("GET /v1/models/poetry@9", 404, None),
        ("GET /v1/models/canary:poetry", 404, None),
    ],
)
async def test_paths_and_methods(client, account, asking, status, allow):
    method, path = asking.split()
    account.publish({"poetry@3": account.written("poetry")})
    account.split("poetry", 10)
    got, head, _ = await client.ask({}, path=path, method=method)
    assert (got, head.get("allow")) == (status, allow)
    assert (head["cache-control"], head["x-content-type-options"]) == ("no-store", "nosniff")


async def test_a_model_says_what_it_is(client, account):
    account.offer("acme/poetry", created=1_795_000_000, about="Rhymes.")
    account.publish({"acme/poetry@3": account.written("acme/poetry")})
    account.load("cold", "v2")
    account.load("cold@3", "v2")
    model = {
        "id": "acme/poetry@3", "object": "model", "created": 1_795_000_000, "owned_by": "acme",
        "root": "SmolLM2", "context_length": 2048, "max_model_len": 2048, "description": "Rhymes.",
        "default_parameters": {"temperature": 0.8, "top_p": 0.95}, "version": 3,
    }  # fmt: skip
    _, _, body = await client.ask({}, path="/v1/models/acme/poetry@3", method="GET")
    assert json.loads(body) == model
    _, _, body = await client.ask({}, path="/v1/models", method="GET")
    assert model | {"id": "acme/poetry"} in json.loads(body)["data"]
    _, _, body = await client.ask({}, path=f"/v1/models/{'x' * 5000}", method="GET")
    assert len(json.loads(body)["error"]["message"]) < 400
    _, _, body = await client.ask({}, path="/v1/models/cold", method="GET")
    assert json.loads(body)["context_length"] == 2048  # the base model's


async def test_pages_of_allowed_origins_may_call_from_a_browser(client, engine, settings):
    asking = {
        "origin": "https://app.example.com", "access-control-request-method": "POST",
        "access-control-request-headers": "Authorization, user-agent, x-stainless-os, cookie",
    }  # fmt: skip
    settings.API_ALLOWED_ORIGINS = frozenset()
    status, head, _ = await client.ask({}, method="OPTIONS", headers=asking)
    assert (status, "access-control-allow-origin" in head) == (405, False)  # off

    settings.API_ALLOWED_ORIGINS = frozenset({"https://app.example.com"})
    status, head, _ = await client.ask({}, method="OPTIONS", headers=asking)
    assert (status, head["access-control-allow-origin"]) == (204, "https://app.example.com")
    assert head["access-control-allow-headers"] == "authorization, user-agent, x-stainless-os"
    assert head["access-control-allow-methods"] == "POST"
    for body, expected in ((chat(), 200), ({}, 400)):  # errors can be read, too
        status, head, _ = await client.ask(body, headers={"origin": "https://app.example.com"})
        assert (status, head["access-control-allow-origin"], head["vary"]) == (
            expected, "https://app.example.com", "origin",
        )  # fmt: skip
        assert "x-request-id" in head["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in head

    status, head, body = await client.ask(
        {}, method="OPTIONS", headers=asking | {"origin": "https://evil.org"}
    )
    assert (status, json.loads(body)["error"]["code"]) == (403, "origin_not_allowed")
    _, head, _ = await client.ask(chat(), headers={"origin": "https://evil.org"})
    assert "access-control-allow-origin" not in head
    settings.API_ALLOWED_ORIGINS = frozenset({"*"})
    _, head, _ = await client.ask(chat(), headers={"origin": "https://evil.org"})
    assert head["access-control-allow-origin"] == "*"
