"""One of the processes that ask at one moment: `python -m trials.storm.volley` reads a `Volley` as JSON."""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass

from labs.chat_client import COMPLETIONS, ChatClient, Outcome, open_client, run_concurrently

# One digit is one byte and one token, so the crude bound of a prompt and its exact count are the same hold.
BODY = {"prompt": "0123456789" * 6, "max_tokens": 4, "temperature": 0}


@dataclass(frozen=True)
class Volley:
    """What one process asks: so many requests, all at one moment (seconds since the epoch; 0: now)."""

    site: str
    api_key: str
    count: int
    at: float
    model: str = "base"


@dataclass(frozen=True)
class Answer:
    """One answer: the tokens that it reports if it was admitted, else why not; and what was held for it."""

    status: int
    request_id: str
    code: str
    tokens: int
    held_tokens: int


async def fire_volley(volley: Volley) -> list[Answer]:
    """Return the answers to one volley."""
    async with open_client(volley.site, key=volley.api_key) as client:
        await asyncio.sleep(max(0, volley.at - time.time()))
        jobs = range(volley.count)
        return await run_concurrently(jobs, lambda _: ask_once(client, volley.model), at_once=volley.count)


async def ask_once(client: ChatClient, model: str) -> Answer:
    """Return the answer to one request."""
    reply = await client.post(COMPLETIONS, {"model": model, **BODY})
    if reply.outcome != Outcome.COMPLETE:
        return Answer(reply.status, reply.request_id, reply.error or reply.code, 0, 0)
    limit = int(reply.headers["x-ratelimit-limit-tokens"])
    remaining = int(reply.headers["x-ratelimit-remaining-tokens"])
    return Answer(200, reply.request_id, "", reply.usage["total_tokens"], limit - remaining)


if __name__ == "__main__":
    given = Volley(**json.loads(sys.stdin.readline()))
    answers = asyncio.run(fire_volley(given))
    print(json.dumps([asdict(answer) for answer in answers]))
