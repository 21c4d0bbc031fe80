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
from typing import Any, Self, TextIO

from labs.chat_client import CHAT, ChatClient, Outcome, Reply, open_client

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
# how many ask for a stream, and how many of those do not wait for its end
STREAMED = 0.6
HUNG_UP = 0.2
# after a refusal, doubled after each further failure of the service
PAUSE_S = 0.5
PAUSE_MAX_S = 8.0


@dataclass(frozen=True)
class Work:
    """What one process does: for which keys (by tenant), with how many clients, written where.

    `only` has the one model that a tenant asks for, where it is not any of them.
    """

    site: str
    keys: dict[str, str]
    only: dict[str, str]
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
    outcome: Outcome = Outcome.BROKEN
    status: int = 0
    code: str = ""
    tokens: tuple[int, int] | None = None

    @classmethod
    def read(cls, line: str) -> Self:
        """Return a request that was written as a line of JSON."""
        facts = json.loads(line)
        facts["outcome"] = Outcome(facts["outcome"])
        facts["tokens"] = facts["tokens"] and tuple(facts["tokens"])
        return cls(**facts)

    def note(self, reply: Reply) -> None:
        """Keep how the request ended, and the tokens that its answer reports."""
        self.ended = time.time()
        self.request_id = reply.request_id
        self.status = reply.status
        self.outcome = reply.outcome
        self.code = reply.code
        if reply.usage:
            self.tokens = reply.usage["prompt_tokens"], reply.usage["completion_tokens"]


async def main(work: Work, log: TextIO) -> None:
    """Ask until the input ends."""
    stop = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    chance = random.Random(work.seed)
    async with open_client(work.site, connect_s=5) as client, asyncio.TaskGroup() as group:
        for _ in range(work.clients):
            group.create_task(ask_until(stop, client, work, chance, log))


async def ask_until(
    stop: asyncio.Task[str], client: ChatClient, work: Work, chance: random.Random, log: TextIO
) -> None:
    """Ask one request after the other, less often while the service fails."""
    failures = 0
    while not stop.done():
        tenant, key = chance.choice(sorted(work.keys.items()))
        model = work.only.get(tenant) or chance.choice(STYLES)
        seen = Seen(tenant, model, stream=chance.random() < STREAMED)
        body = draw_body(seen, chance)
        hangs_up = seen.stream and chance.random() < HUNG_UP
        reply = await client.post(
            CHAT, body, key=key, hang_up_after=chance.randint(1, 3) if hangs_up else None
        )
        seen.note(reply)
        log.write(json.dumps(asdict(seen)) + "\n")
        has_failed = seen.outcome in (Outcome.BROKEN, Outcome.CUT_SHORT) or seen.status >= 500
        failures = failures + 1 if has_failed else 0
        if has_failed or seen.outcome == Outcome.REFUSED:
            await asyncio.sleep(min(PAUSE_MAX_S, PAUSE_S * 2**failures))


def draw_body(seen: Seen, chance: random.Random) -> dict[str, Any]:
    """Return a request's body."""
    body: dict[str, Any] = {
        "model": seen.model,
        "messages": [{"role": "user", "content": f"Describe {chance.choice(TOPICS)}."}],
        "max_tokens": chance.randint(4, 12),
        "stream": seen.stream,
    }
    if seen.stream:
        body["stream_options"] = {"include_usage": True}
    return body


if __name__ == "__main__":
    given = Work(**json.loads(sys.stdin.readline()))
    with open(given.log, "a", buffering=1) as lines:
        asyncio.run(main(given, lines))
