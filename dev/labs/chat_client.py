"""The client of tests, trials and benches: it sends requests as OpenAI does, and notes how each ended.

It parses no chunk that it does not need, so that it costs little beside what it measures.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import aiohttp

from stack import environment

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
FAILURE_CHARACTERS = 300


class Outcome(StrEnum):
    """How a request ended, as its client saw it."""

    COMPLETE = "complete"
    REFUSED = "refused"  # by a status other than 200
    CUT_SHORT = "cut short"  # by an error inside a stream
    HUNG_UP = "hung up"  # by the client itself
    BROKEN = "broken"  # no answer, or one without its end


@dataclass
class Reply:
    """One answer. `status` is 0 without one; `error` names the exception then; times are perf_counter's.

    `body` is the whole body of a unary answer and the last event of a stream.
    """

    began_s: float = field(default_factory=time.perf_counter)
    ended_s: float = 0.0
    first_token_s: float | None = None  # seconds after the request was sent
    outcome: Outcome = Outcome.BROKEN
    status: int = 0
    error: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=dict)
    body: bytes = b""

    @property
    def request_id(self) -> str:
        return self.headers.get("x-request-id", "")

    @property
    def code(self) -> str:
        """The code of an error in OpenAI's form, or the beginning of a body that has none."""
        if self.outcome not in (Outcome.REFUSED, Outcome.CUT_SHORT):
            return ""
        try:
            return str(json.loads(self.body)["error"]["code"])
        except (ValueError, KeyError, TypeError):
            return self.body[:80].decode(errors="replace")

    @property
    def text(self) -> str:
        """What a complete unary chat answer says."""
        return str(json.loads(self.body)["choices"][0]["message"]["content"])

    @property
    def completion_tokens(self) -> int:
        return int(self.usage["completion_tokens"])

    def describe_failure(self) -> str:
        """Return in a line why the answer is not complete."""
        body = self.body[-FAILURE_CHARACTERS:].decode(errors="replace")
        return f"{self.outcome} {self.status} {self.error} {body}".strip()


class ChatClient:
    """Requests to one address, over one pool of connections."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    async def chat(
        self, model: str, prompt: str, *, key: str = "", timeout_s: float | None = None, **fields: object
    ) -> Reply:
        """Ask one question, streamed, with its usage."""
        body = {
            "model": model,
            "messages": [{"role": "user", "content": prompt}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        return await self.post(CHAT, body | fields, key=key, timeout_s=timeout_s)

    async def post(
        self,
        path: str,
        body: Mapping[str, object],
        *,
        key: str = "",
        hang_up_after: int | None = None,
        timeout_s: float | None = None,
    ) -> Reply:
        """Send one request and return how it ended; `hang_up_after` is a number of a stream's events."""
        reply = Reply()
        headers = {"authorization": f"Bearer {key}"} if key else {}
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._http.post(path, json=body, headers=headers) as answer,
            ):
                reply.status = answer.status
                reply.headers = answer.headers
                if answer.status == 200 and body.get("stream"):
                    await _read_stream(answer, reply, hang_up_after)
                else:
                    await _read_body(answer, reply)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            reply.outcome = Outcome.BROKEN
            reply.error = type(error).__name__
        reply.ended_s = time.perf_counter()
        return reply


@asynccontextmanager
async def open_client(
    url: str, *, key: str = "", total_s: float = 300, connect_s: float | None = None
) -> AsyncIterator[ChatClient]:
    """Yield a client without a limit of connections; `key` is for requests that name none.

    A request waits up to 120 s for an engine, which may write slowly on a busy machine: hence 300 s.
    """
    headers = {"authorization": f"Bearer {key}"} if key else {}
    timeout = aiohttp.ClientTimeout(total=total_s, sock_connect=connect_s)
    base_url, socket_path = environment.split_address(url)  # an engine may listen at a socket
    connector = aiohttp.UnixConnector(socket_path, limit=0) if socket_path else aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(base_url, headers=headers, timeout=timeout, connector=connector) as http:
        yield ChatClient(http)


async def run_concurrently[Job, Result](
    jobs: Iterable[Job], work: Callable[[Job], Awaitable[Result]], *, at_once: int
) -> list[Result]:
    """Work on jobs, so many at a time; return the results in the order in which they came.

    `jobs` may be a generator that ends when enough was done: the next job is taken when there is a place.
    """
    waiting = iter(jobs)
    results: list[Result] = []

    async def work_on() -> None:
        for job in waiting:
            result = await work(job)
            results.append(result)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work_on())
    return results


async def _read_body(answer: aiohttp.ClientResponse, reply: Reply) -> None:
    reply.body = await answer.read()
    if answer.status != 200:
        reply.outcome = Outcome.REFUSED
        return
    reply.usage = json.loads(reply.body).get("usage") or {}
    reply.outcome = Outcome.COMPLETE


async def _read_stream(answer: aiohttp.ClientResponse, reply: Reply, hang_up_after: int | None) -> None:
    """Read server-sent events until the stream says that it is done."""
    events = 0
    async for line in answer.content:
        data = line.removeprefix(b"data: ").strip()
        if data == b"[DONE]":
            reply.outcome = Outcome.COMPLETE
            return
        if not data.startswith(b"{"):  # a blank line, or a comment that keeps the connection open
            continue
        reply.body = data
        events += 1
        # The gateway's own errors have a space after the colon, vLLM's have none.
        if data.startswith(b'{"error":'):
            reply.outcome = Outcome.CUT_SHORT
            return
        # vLLM's first event comes with the first token, whatever its text (0.32).
        if reply.first_token_s is None and b'"delta":' in data:
            reply.first_token_s = time.perf_counter() - reply.began_s
        if b'"choices":[]' in data:
            reply.usage = json.loads(data).get("usage") or {}
        if events == hang_up_after:
            reply.outcome = Outcome.HUNG_UP
            answer.close()
            return
