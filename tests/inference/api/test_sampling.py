"""A request without `temperature` or `top_p` gets its style's defaults, in every dialect."""

import json

import pytest
from django.conf import settings

from tests.inference.builders import BASE_PLACE, write_engines
from tests.inference.fakes import chat

BODIES = {
    "/v1/chat/completions": chat(),
    "/v1/completions": {"model": "poetry", "prompt": "Rain"},
    "/v1/responses": {"model": "poetry", "input": "Rain?"},
    "/v1/messages": chat(max_tokens=9),
}
OWNERS = {"temperature": 0.6, "top_p": 0.5}
STYLES = {"temperature": 0.8, "top_p": 0.95}
HEADER = "x-polyscribe-sampling"


def serve_base(places):
    write_engines(BASE_PLACE | {"url": places[0]["url"]})


async def ask(client, engine, path, **fields):
    """Return what the engine got, and what the answer says of it."""
    status, head, _ = await client.ask(BODIES[path] | fields, path=path)
    assert status == 200
    sent = engine.received[-1]
    return {name: sent[name] for name in STYLES if name in sent}, head[HEADER]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", BODIES)
async def test_a_request_without_sampling_gets_its_styles_defaults(client, engine, account, path, stream):
    places = account.places("poetry")
    asked = await ask(client, engine, path, stream=stream)
    assert asked == (STYLES, "temperature=0.8; top_p=0.95")
    account.offer("poetry", places=places, **OWNERS)
    asked = await ask(client, engine, path, stream=stream)
    assert asked == (OWNERS, "temperature=0.6; top_p=0.5")
    serve_base(places)
    base = {"temperature": 0.7, "top_p": 0.95}
    asked = await ask(client, engine, path, stream=stream, model="base")
    assert asked == (base, "temperature=0.7; top_p=0.95")


@pytest.mark.parametrize("path", BODIES)
async def test_a_default_is_used_only_for_what_the_request_leaves_open(client, engine, account, path):
    account.offer("poetry", places=account.places("poetry"), **OWNERS)
    for fields, sent, said in [
        ({"temperature": 1.25}, {"temperature": 1.25, "top_p": 0.5}, "temperature=1.25; top_p=0.5"),
        ({"top_p": 1}, {"temperature": 0.6, "top_p": 1}, "temperature=0.6; top_p=1"),
        ({"temperature": None}, OWNERS, "temperature=0.6; top_p=0.5"),
        ({"temperature": 0}, {"temperature": 0}, "temperature=0"),
    ]:
        assert await ask(client, engine, path, **fields) == (sent, said)


async def test_what_the_operator_sets_holds_for_styles_whose_owner_set_nothing(
    client, engine, account, monkeypatch
):
    places = account.places("poetry")
    monkeypatch.setattr(settings, "STYLE_TEMPERATURE", 0.5)
    monkeypatch.setattr(settings, "BASE_TEMPERATURE", 0.4)
    account.offer("poetry", places=places, top_p=0.5)
    assert await ask(client, engine, "/v1/messages") == (
        {"temperature": 0.5, "top_p": 0.5},
        "temperature=0.5; top_p=0.5",
    )
    serve_base(places)
    sent, _ = await ask(client, engine, "/v1/messages", model="base")
    assert sent == {"temperature": 0.4, "top_p": 0.95}


async def test_the_list_of_models_shows_the_defaults(client, account, engine):
    account.offer("poetry", places=account.places("poetry"), **OWNERS)
    _, _, body = await client.ask({}, path="/v1/models", method="GET")
    shown = {model["id"]: model["default_parameters"] for model in json.loads(body)["data"]}
    assert shown == {"base": {"temperature": 0.7, "top_p": 0.95}, "poetry": OWNERS}
