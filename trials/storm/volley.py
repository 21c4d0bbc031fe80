"""One of the processes that ask at one moment: `python -m trials.storm.volley` reads a `Volley` as JSON."""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

import aiohttp

PATIENCE = aiohttp.ClientTimeout(total=300)
# One digit is one byte and one token, so the crude bound of a prompt and its exact count are the same hold.
BODY = {"model": "base", "prompt": "0123456789" * 6, "max_tokens": 4, "temperature": 0}


@dataclass(frozen=True)
class Volley:
    """What one process asks: so many requests, all at one moment (seconds since the epoch; 0: now)."""

    site: str
    api_key: str
    count: int
    at: float


@dataclass(frozen=True)
class Reply:
    """One answer: the tokens that it reports if it was admitted, else why not; and what was held for it."""

    status: int
    request_id: str
    code: str
    tokens: int
    held_tokens: int


async def asked(volley: Volley) -> list[Reply]:
    """Return the answers to one volley."""
    headers = {"Authorization": f"Bearer {volley.api_key}"}
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(
        volley.site, headers=headers, timeout=PATIENCE, connector=connector
    ) as http:
        await asyncio.sleep(max(0, volley.at - time.time()))
        return await asyncio.gather(*(ask(http) for _ in range(volley.count)))


async def ask(http: aiohttp.ClientSession) -> Reply:
    """Return the answer to one request."""
    try:
        async with http.post("/v1/completions", json=BODY) as answer:
            body: Any = json.loads(await answer.read())
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
        return Reply(0, "", type(error).__name__, 0, 0)
    request_id = answer.headers["x-request-id"]
    if answer.status != 200:
        return Reply(answer.status, request_id, str(body["error"]["code"]), 0, 0)
    limit, left = (int(answer.headers[f"x-ratelimit-{name}-tokens"]) for name in ("limit", "remaining"))
    return Reply(200, request_id, "", body["usage"]["total_tokens"], limit - left)


if __name__ == "__main__":
    print(
        json.dumps(
            [asdict(reply) for reply in asyncio.run(asked(Volley(**json.loads(sys.stdin.readline()))))]
        )
    )
