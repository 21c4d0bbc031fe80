"""Editors and chat programs against a gateway whose engine is a fake: each works as it comes."""

import json

import pytest
import yaml

from config.env import VARIABLES
from tests.documents import ROOT, blocks
from tests.recorded_editors import (
    ALL,
    EMBEDDING,
    LOCAL_GPT_HEADERS,
    LOOK,
    OBSIDIANS,
    PROBE,
    STYLE,
    VERSIONS,
    name_of,
)

GUIDE = "docs/editors.md"

PAGES = [recorded for recorded in ALL if recorded.is_page]
SAFELISTED = {"accept"}  # what a page may always send, so that no preflight asks for it


def read_events(body: bytes) -> list[dict]:
    """Return the events of a stream that is complete."""
    lines = [line.removeprefix("data: ") for line in body.decode().split("\n") if line.startswith("data: ")]
    assert lines.pop() == "[DONE]"
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("recorded", ALL, ids=name_of)
async def test_each_program_reads_its_answer(client, engine, recorded):
    status, head, body = await client.ask(recorded.body, headers=recorded.headers)
    assert status == 200, body
    if not recorded.streams:
        assert json.loads(body)["choices"][0]["message"]["content"]
        return
    assert head["content-type"].startswith("text/event-stream")
    events = read_events(body)
    # All of them read the first choice's delta and pass over an event without choices.
    written = [event["choices"][0]["delta"].get("content") or "" for event in events if event["choices"]]
    assert "".join(written) == "".join(engine.words)
    assert bool(events[-1].get("usage")) is ("stream_options" in recorded.body)


async def test_each_finds_the_styles_in_the_list(client, engine):
    """They read `data`, and of each model its `id`; LibreChat and Open WebUI keep other keys as they are."""
    _, _, body = await client.ask(b"", path="/v1/models", method="GET", headers=LOCAL_GPT_HEADERS)
    listed = json.loads(body)
    assert listed["object"] == "list"
    assert STYLE in [model["id"] for model in listed["data"]]
    # Open WebUI hides a model, or says that it is not loaded, by these.
    assert not {"info", "status", "loaded", "provider", "connection_type"} & set().union(*listed["data"])


@pytest.mark.parametrize("origin", OBSIDIANS)
@pytest.mark.parametrize("recorded", PAGES, ids=name_of)
async def test_obsidian_may_ask_where_its_origin_is_allowed(client, engine, recorded, origin, settings):
    settings.API_ALLOWED_ORIGINS = frozenset(OBSIDIANS)
    requested = ", ".join(["authorization", "content-type", *recorded.headers.keys() - SAFELISTED])
    asking = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": requested,
    }
    status, head, _ = await client.ask({}, method="OPTIONS", headers=asking)
    assert (status, head["access-control-allow-origin"]) == (204, origin)
    assert set(head["access-control-allow-headers"].split(", ")) == set(requested.split(", "))
    status, head, _ = await client.ask(recorded.body, headers=recorded.headers | {"origin": origin})
    assert (status, head["access-control-allow-origin"]) == (200, origin)


async def test_without_a_setting_only_an_origin_that_nobody_else_has_may_ask(client, engine, settings):
    settings.API_ALLOWED_ORIGINS = frozenset({VARIABLES["API_ALLOWED_ORIGINS"].default})
    body = next(iter(PAGES)).body
    for origin, is_allowed in zip(OBSIDIANS, (True, False, False), strict=True):
        _, head, _ = await client.ask(body, headers={"origin": origin})
        assert ("access-control-allow-origin" in head) == is_allowed, origin


async def test_obsidian_can_read_why_there_are_no_embeddings(client, engine):
    page = {"origin": OBSIDIANS[0], "access-control-request-headers": "authorization, content-type"}
    status, head, _ = await client.ask({}, path="/v1/embeddings", method="OPTIONS", headers=page)
    assert (status, "POST" in head["access-control-allow-methods"]) == (204, True)
    status, head, body = await client.ask(EMBEDDING, path="/v1/embeddings", headers=page)
    assert (status, head["access-control-allow-origin"]) == (404, OBSIDIANS[0])
    assert "embedding model" in json.loads(body)["error"]["message"]


async def test_local_gpt_finds_out_what_a_style_can(client, engine):
    status, _, _ = await client.ask(PROBE, headers=LOCAL_GPT_HEADERS)
    assert status == 200
    assert engine.received[-1]["tool_choice"] == "required"
    status, _, body = await client.ask(LOOK, headers=LOCAL_GPT_HEADERS)
    assert (status, json.loads(body)["error"]["message"]) == (400, "Only text content is supported.")


def test_the_guide_names_the_versions_that_were_recorded():
    guide = (ROOT / GUIDE).read_text()
    table = guide.partition("| program | version |\n|---|---|\n")[2]
    assert table == "".join(f"| {program} | {version} |\n" for program, version in VERSIONS.items())


def test_the_guides_settings_lead_to_v1_and_name_a_style():
    continues, librechats = (yaml.safe_load(block.text) for block in blocks(GUIDE, language="yaml"))
    [model] = continues["models"]
    [endpoint] = librechats["endpoints"]["custom"]
    assert (model["provider"], model["model"], endpoint["models"]["default"]) == ("openai", STYLE, [STYLE])
    for address in (model["apiBase"], endpoint["baseURL"]):
        assert address.endswith("/v1")
