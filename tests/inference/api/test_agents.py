"""The agents of tests/journeys/test_agents.py against a gateway whose engine is a fake."""

from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace

import openai
import pytest
from aiohttp import web
from tests.agents_of_others import (  # noqa: F401  their fixtures and tests
    asynchronous,
    claude,
    test_anthropics_tool_runner_ends_with_an_answer,
    test_auto_is_answered_in_words_where_the_base_knows_no_tools,
    test_langchains_agent_ends_with_an_answer,
    test_openais_agent_ends_with_a_streamed_answer,
    test_openais_agent_ends_with_an_answer,
)

from inference.api.app import app, lifespan
from inference.contract import base_model
from labs.fake_vllm.data_side import FakeVllm
from tests.inference.serving import serving


class CallingVllm(FakeVllm):
    """Calls the first function where a call is forced; fails where it gets tools that it may choose."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        choice = body.get("tool_choice", "none")
        if choice == "auto":
            return web.json_response({}, status=500)
        if choice == "none":
            return await super().answer(request)
        name = body["tools"][0]["function"]["name"]
        call = {
            "index": 0, "id": "call_1", "type": "function",
            "function": {"name": name, "arguments": '{"city": "Oslo"}'},
        }  # fmt: skip
        said = {"role": "assistant", "content": None, "tool_calls": [call]}
        if not body["stream"]:
            return web.json_response(self.whole(body, said, "message"))
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        chunk = self.whole(body, said, "delta")
        closing = chunk | {"choices": []}
        await response.write(self.frame(chunk) + self.frame(closing) + b"data: [DONE]\n\n")
        return response

    def whole(self, body: dict, said: dict, part: str) -> dict:
        choice = {"index": 0, part: said, "finish_reason": "tool_calls"}
        return self.chunk(body, "", 4, part) | {"choices": [choice]}


async def application(scope, receive, send) -> None:
    await (lifespan if scope["type"] == "lifespan" else app)(scope, receive, send)


@pytest.fixture
def demo(account, secret, monkeypatch) -> Iterator[SimpleNamespace]:
    """A member whose key gets `poetry`, of a base whose template shows no tools; in a thread of its own."""
    monkeypatch.setattr(base_model, "has_tools", lambda: False)
    with (
        serving(application, CallingVllm(), partial(account.offer, "poetry")) as site,
        openai.OpenAI(base_url=f"{site}/v1", api_key=secret, max_retries=0) as client,
    ):
        yield SimpleNamespace(site=site, api_key=secret, client=client)
