"""A client that sends `anthropic-version` is answered in Anthropic's form, whatever it asks."""

import json
from datetime import UTC, datetime

import pytest
from anthropic.pagination import SyncPage
from anthropic.types import ErrorResponse, ModelInfo

from inference.contract.endpoints import (
    COUNTS,
    GENERATIONS,
    MCP,
    METHODS,
    READ_ONLY,
    SITE_PATHS,
    STORED_PATHS,
    TOKEN_TASKS,
)
from inference.errors import LimitsUnavailable

VERSION = {"anthropic-version": "2023-06-01"}
KEYED = [path for path in (*GENERATIONS, *COUNTS, *TOKEN_TASKS, *READ_ONLY, "/v1/models/x") if "/v1" in path]
MISSING = ["/v1", "/v1/nothing", "/v1/embeddings", "/v1/messages/batches"]


async def get(client, path, **options):
    status, head, body = await client.ask(b"", path=path, method="GET", **options)
    return status, head, json.loads(body)


async def test_the_models_are_listed_in_anthropics_form(client, account):
    account.offer("legal", created=1764000000)
    status, _, listed = await get(client, "/v1/models", headers=VERSION)
    assert status == 200
    models = SyncPage[ModelInfo].model_validate(listed).data
    assert [model.id for model in models] == ["base", "legal", "poetry"]
    assert {(model.type, model.lifecycle) for model in models} == {("model", "active")}
    assert models[1].created_at == datetime.fromtimestamp(1764000000, UTC)
    assert (listed["first_id"], listed["last_id"], listed["has_more"]) == ("base", "poetry", False)
    _, _, one = await get(client, "/v1/models/legal", headers=VERSION)
    assert one == listed["data"][1]
    assert ModelInfo.model_validate(one).max_input_tokens == 2048


async def test_other_clients_get_openais_form(client, account):
    _, _, listed = await get(client, "/v1/models")
    assert listed.keys() == {"object", "data"}
    assert {model["object"] for model in listed["data"]} == {"model"}


@pytest.mark.parametrize(
    ("query", "ids", "has_more"),
    [
        ("limit=2", ["base", "genz"], True),
        ("limit=2&after_id=genz", ["legal", "poetry"], False),
        ("after_id=poetry", [], False),
        ("limit=2&before_id=poetry", ["genz", "legal"], True),
        ("before_id=genz", ["base"], False),
        ("lifecycle[]=retired", [], False),
        ("lifecycle=active&beta=true", ["base", "genz", "legal", "poetry"], False),
    ],
)
async def test_the_models_come_page_by_page(client, account, query, ids, has_more):
    for name in ("legal", "genz"):
        account.offer(name)
    _, _, listed = await get(client, "/v1/models", headers=VERSION, query=query.encode())
    assert [model["id"] for model in listed["data"]] == ids
    assert listed["has_more"] is has_more
    assert (listed["first_id"], listed["last_id"]) == ((ids[0], ids[-1]) if ids else (None, None))


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=ten", "after_id=nothing", "before_id=x"])
async def test_a_page_that_there_is_not_is_named(client, account, query):
    status, _, answer = await get(client, "/v1/models", headers=VERSION, query=query.encode())
    assert (status, answer["error"]["type"]) == (400, "invalid_request_error")
    assert f"`{query.partition('=')[0]}`" in answer["error"]["message"]


@pytest.mark.parametrize("path", [*KEYED, *MISSING])
async def test_every_error_has_anthropics_form(client, account, monkeypatch, path):
    errors = []
    for method in ("GET", "POST", "DELETE"):
        for secret in (None, "sk-ps-" + "a" * 30 + "000000"):
            answer = await client.ask(b"[", path=path, method=method, headers=VERSION, secret=secret)
            errors.append(answer)
    assert {status for status, _, _ in errors} & {401, 404}
    for status, head, body in errors:
        if status != 200:
            assert ErrorResponse.model_validate_json(body).type == "error"
            assert (head.get("www-authenticate") == "Bearer") == (status == 401)


@pytest.mark.parametrize("path", [*KEYED, *MISSING])
async def test_other_clients_get_openais_errors(client, account, path):
    for secret in (None, "sk-ps-" + "a" * 30 + "000000"):
        status, head, body = await client.ask(b"[", path=path, method="PUT", secret=secret)
        error = json.loads(body)["error"]
        if not path.startswith("/v1/messages"):
            assert error.keys() == {"message", "type", "param", "code"}
        assert status in (404, 405)
    status, head, body = await client.ask(b"", path=path, method="GET", secret="wrong")
    assert (head.get("www-authenticate") == "Bearer") == (status == 401)


async def test_a_fault_of_ours_has_anthropics_form_too(client, account, monkeypatch):
    async def broken(*args):
        raise LimitsUnavailable

    monkeypatch.setattr(client.gateway.valkey, "execute", broken)
    status, _, answer = await get(client, "/v1/models", headers=VERSION)
    assert (status, answer["error"]["type"]) == (529, "overloaded_error")


async def test_a_gateway_says_who_has_files_and_jobs(client, account, settings):
    for path in ("/v1/files", "/v1/fine_tuning/jobs"):
        status, _, body = await client.ask({}, path=path)
        assert status == 404
        assert "have your proxy send it" in json.loads(body)["error"]["message"]
    settings.TRAINING = False
    _, _, body = await client.ask({}, path="/v1/files")
    assert "proxy" not in json.loads(body)["error"]["message"]


async def test_an_unknown_path_is_told_all_that_there_is(client, account):
    _, _, body = await client.ask({}, path="/v1/chats")
    message = json.loads(body)["error"]["message"]
    roots = {"/v1/conversations" if path in STORED_PATHS else path for path in SITE_PATHS}
    for path in {*METHODS, *roots, MCP} - {"/healthz", "/readyz"}:
        assert path in message


async def test_embeddings_are_refused_in_one_sentence_that_says_what_to_do(client, account):
    for method in ("GET", "POST"):
        status, _, body = await client.ask({"input": "x"}, path="/v1/embeddings", method=method)
        error = json.loads(body)["error"]
        assert (status, error["code"]) == (404, "unknown_url")
        assert "embedding model" in error["message"]
        assert error["message"].count(".") == 1
