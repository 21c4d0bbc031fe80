"""One load process: several clients that ask on, each request's end one line of JSON in a log.

`python -m trials.chaos.load` reads a `Work` as one line of JSON; when its input ends, it ends too, after the
requests that it has begun.
"""

import asyncio
import json
import random
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any, TextIO

import aiohttp

PATIENCE = aiohttp.ClientTimeout(total=180, sock_connect=5)  # a request waits up to 120 s for an engine
STYLES = ("poetry", "genz", "legal", "base")
TOPICS = (
    "the rain",
    "a train at night",
    "an old map",
    "the first snow",
    "bread",
    "a harbour",
    "one lost key",
)
STREAMED, HUNG_UP = 0.6, 0.2  # how many ask for a stream, and how many of those do not wait for its end
PAUSE_S, PAUSE_MAX_S = 0.5, 8.0  # after a refusal, doubled after each further failure of the service


@dataclass(frozen=True)
class Work:
    """What one process does: for which keys (by tenant), with how many clients, written where."""

    site: str
    keys: dict[str, str]
    clients: int
    seed: int
    log: str


@dataclass
class Seen:
    """One request as its client saw it. `tokens`: prompt and completion, as the answer reported."""

    tenant: str
    model: str
    stream: bool
    began: float = field(default_factory=time.time)
    ended: float = 0.0
    request_id: str = ""
    outcome: str = "broken"  # complete, hung up, refused, cut short, broken
    status: int = 0
    code: str = ""
    tokens: tuple[int, int] | None = None

    def count(self, usage: dict[str, Any]) -> None:
        """Keep the tokens that the answer reports."""
        self.tokens = usage["prompt_tokens"], usage["completion_tokens"]


async def main(work: Work, log: TextIO) -> None:
    """Ask until the input ends."""
    stop, chance = asyncio.create_task(asyncio.to_thread(sys.stdin.read)), random.Random(work.seed)
    async with aiohttp.ClientSession(work.site, timeout=PATIENCE) as http:
        await asyncio.gather(*(client(http, work, chance, log, stop) for _ in range(work.clients)))


async def client(
    http: aiohttp.ClientSession, work: Work, chance: random.Random, log: TextIO, stop: asyncio.Task[str]
) -> None:
    """Ask one request after the other, less often while the service fails."""
    failures = 0
    while not stop.done():
        tenant, key = chance.choice(sorted(work.keys.items()))
        seen = Seen(tenant, chance.choice(STYLES), stream=chance.random() < STREAMED)
        body = {
            "model": seen.model,
            "messages": [{"role": "user", "content": f"Describe {chance.choice(TOPICS)}."}],
            "max_tokens": chance.randint(4, 12),
            "stream": seen.stream,
        }
        if seen.stream:
            body["stream_options"] = {"include_usage": True}
        patience = chance.randint(1, 3) if seen.stream and chance.random() < HUNG_UP else None
        try:
            await ask(http, key, body, seen, patience)
        except (aiohttp.ClientError, OSError, TimeoutError):
            seen.outcome = "broken"
        seen.ended = time.time()
        log.write(json.dumps(asdict(seen)) + "\n")
        failed = seen.outcome in ("broken", "cut short") or seen.status >= 500
        failures = failures + 1 if failed else 0
        if failed or seen.outcome == "refused":
            await asyncio.sleep(min(PAUSE_MAX_S, PAUSE_S * 2**failures))


async def ask(
    http: aiohttp.ClientSession, key: str, body: dict[str, Any], seen: Seen, patience: int | None = None
) -> None:
    """Send one request and note how it ended; `patience` is after how many chunks the client hangs up."""
    headers = {"Authorization": f"Bearer {key}"}
    async with http.post("/v1/chat/completions", json=body, headers=headers) as answer:
        seen.request_id, seen.status = answer.headers.get("x-request-id", ""), answer.status
        if answer.status != 200:
            seen.code = code_of(await answer.read())
            seen.outcome = "refused"
        elif body["stream"]:
            await read_stream(answer, seen, patience)
        else:
            seen.count((await answer.json())["usage"])
            seen.outcome = "complete"


async def read_stream(answer: aiohttp.ClientResponse, seen: Seen, patience: int | None) -> None:
    """Read server-sent events until the stream says that it is done."""
    chunks = 0
    async for line in answer.content:
        data = line.removeprefix(b"data: ").strip()
        if data == b"[DONE]":
            seen.outcome = "complete"
            return
        if not data or data.startswith(b":"):  # a comment: it waits
            continue
        if data.startswith(b'{"error"'):
            seen.outcome, seen.code = "cut short", code_of(data)
            return
        chunk = json.loads(data)
        if chunk.get("usage") and not chunk["choices"]:
            seen.count(chunk["usage"])
        chunks += 1
        if chunks == patience:
            seen.outcome = "hung up"
            answer.close()
            return


def code_of(body: bytes) -> str:
    """Return the code of an error in OpenAI's form, or the body's begin."""
    try:
        return str(json.loads(body)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return body[:80].decode(errors="replace")


if __name__ == "__main__":
    asked = Work(**json.loads(sys.stdin.readline()))
    with open(asked.log, "a", buffering=1) as lines:
        asyncio.run(main(asked, lines))
