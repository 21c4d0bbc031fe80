"""The load: keep-alive connections that ask again as soon as they are answered, and verify every answer.

`python -m bench.load --url URL --key KEY --model MODEL --parallel 32 --seconds 5 [--stream]` prints one line
of JSON. With --hold it opens streams, prints how many have begun, and hangs up when its standard input ends.
"""

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from urllib.parse import urlsplit

import httptools
import uvloop

from labs.stub_engine import TEXT, TOKENS, WORD
from stack.folders import ROOT

CHAT = "/v1/chat/completions"
PATIENCE_S = 120.0  # for what is still open at the end
PROMPT = "Describe a morning in the city, in the manner of somebody who has just arrived by the night train."


@dataclass
class Tally:
    """What came back. After the deadline nothing more is sent, but what is open is awaited and counted."""

    deadline_s: float
    most: int
    sent: int = 0
    answered: int = 0
    last_s: float = 0.0
    failures: list[str] = field(default_factory=list)
    whole_s: list[float] = field(default_factory=list)
    first_s: list[float] = field(default_factory=list)

    def is_over(self) -> bool:
        return time.perf_counter() >= self.deadline_s or self.sent >= self.most


@dataclass
class Report:
    """One run's figures; `per_s` is over the time until the last answer."""

    answered: int
    failed: int
    failure: str
    per_s: float
    p50_ms: float
    p99_ms: float
    first_p50_ms: float
    first_p99_ms: float


class Client(asyncio.Protocol):
    """One connection. It fails on everything but a complete answer with status 200."""

    def __init__(self, request: bytes, tally: Tally, *, stream: bool) -> None:
        self.request = request
        self.tally = tally
        self.stream = stream
        self.parser = httptools.HttpResponseParser(self)
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def ask(self) -> None:
        """Send the request, or end when the time is over."""
        if self.tally.is_over():
            return self._end()
        self.tally.sent += 1
        self.parts: list[bytes] = []
        self.sent_s = time.perf_counter()
        self.transport.write(self.request)
        return None

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        if not self.parts:
            self.first_s = time.perf_counter()
            if not self.begun.done():
                self.begun.set_result(None)
        self.parts.append(body)

    def on_message_complete(self) -> None:
        now = time.perf_counter()
        body = b"".join(self.parts)
        status = self.parser.get_status_code()
        if status != 200 or not self._is_whole(body):
            return self._end(f"status {status}: {body[-300:].decode(errors='replace')}")
        tally = self.tally
        tally.answered += 1
        tally.whole_s.append(now - self.sent_s)
        tally.first_s.append(self.first_s - self.sent_s)
        tally.last_s = now
        if not self.parser.should_keep_alive():
            return self._end("the connection is not kept alive")
        return self.ask()

    def _is_whole(self, body: bytes) -> bool:
        """Return whether an answer is there to its end: with its usage, or every token and [DONE]."""
        if self.stream:
            return body.count(f'"{WORD}"'.encode()) == TOKENS and body.endswith(b"data: [DONE]\n\n")
        return TEXT.encode() in body and b'"completion_tokens"' in body and body.rstrip().endswith(b"}")

    def connection_lost(self, error: Exception | None) -> None:
        self._end(f"the connection was closed ({error})")

    def _end(self, failure: str = "") -> None:
        if self.done.done():
            return
        if failure:
            self.tally.failures.append(failure)
        self.done.set_result(None)
        self.transport.close()


def request_of(
    url: str,
    key: str,
    model: str,
    *,
    stream: bool,
    prompt_bytes: int = 0,
    path: str = CHAT,
) -> bytes:
    """Return the one request that is sent over and over; its prompt is as long as `prompt_bytes` says."""
    prompt = (PROMPT + " ") * (prompt_bytes // len(PROMPT)) + PROMPT
    parsed = {"model": model, "messages": [{"role": "user", "content": prompt}], "max_tokens": TOKENS}
    options = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    body = json.dumps(parsed | options, separators=(",", ":"))
    head = [
        f"POST {path} HTTP/1.1",
        f"host: {urlsplit(url).netloc}",
        f"authorization: Bearer {key}",
        "content-type: application/json",
        f"content-length: {len(body)}",
    ]
    return "\r\n".join([*head, "", body]).encode()


def command_of(url: str, key: str, model: str, *, parallel: int, **options: object) -> list[str]:
    """Return the command that puts load on an address; `options` are those of `main`, True for a switch."""
    command = [sys.executable, "-m", "bench.load", f"--url={url}", f"--key={key}", f"--model={model}"]
    command.append(f"--parallel={parallel}")
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        command.append(option if value is True else f"{option}={value}")
    return command


def run(command: list[str]) -> Report:
    """Return what a command of load reports. Raises CalledProcessError."""
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return Report(**json.loads(done.stdout))


async def closed_loop(
    url: str,
    request: bytes,
    *,
    parallel: int,
    seconds: float,
    most: int,
    stream: bool,
    spread_s: float,
) -> Report:
    """Keep `parallel` requests open until the time or the number is over; return the figures.

    Connections begin spread over `spread_s`, so that paced streams don't walk in step.
    """
    began_s = time.perf_counter()
    tally = Tally(began_s + seconds, most)
    clients = await connected(url, request, tally, parallel=parallel, stream=stream)
    for client in clients:
        client.ask()
        if spread_s:
            await asyncio.sleep(spread_s / parallel)
    await asyncio.wait([client.done for client in clients], timeout=seconds + PATIENCE_S)
    tally.failures += ["it did not end"] * sum(not client.done.done() for client in clients)
    return Report(
        answered=tally.answered,
        failed=len(tally.failures),
        failure=next(iter(tally.failures), ""),
        per_s=round(tally.answered / (tally.last_s - began_s), 1) if tally.answered else 0.0,
        p50_ms=percentile_ms(tally.whole_s, 0.5),
        p99_ms=percentile_ms(tally.whole_s, 0.99),
        first_p50_ms=percentile_ms(tally.first_s, 0.5),
        first_p99_ms=percentile_ms(tally.first_s, 0.99),
    )


async def connected(
    url: str,
    request: bytes,
    tally: Tally,
    *,
    parallel: int,
    stream: bool,
) -> list[Client]:
    """Return open connections that have asked nothing yet."""
    at = urlsplit(url)
    loop = asyncio.get_running_loop()
    host = at.hostname or ""
    port = at.port or 80
    connect = partial(Client, request, tally, stream=stream)
    made = [await loop.create_connection(connect, host, port) for _ in range(parallel)]
    return [client for _, client in made]


async def hold(url: str, request: bytes, *, parallel: int) -> None:
    """Open streams, print how many have begun, keep them open until standard input ends, hang up."""
    tally = Tally(time.perf_counter() + PATIENCE_S, parallel)
    clients = await connected(url, request, tally, parallel=parallel, stream=True)
    for client in clients:
        client.ask()
    begun, _ = await asyncio.wait([client.begun for client in clients], timeout=PATIENCE_S)
    print(len(begun), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


def percentile_ms(times_s: list[float], share: float) -> float:
    """Return a percentile in milliseconds; 0 when there is nothing."""
    ordered = sorted(times_s)
    return round(ordered[int(share * (len(ordered) - 1))] * 1000, 3) if ordered else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--key", default="none")
    parser.add_argument("--model", required=True)
    parser.add_argument("--path", default=CHAT)
    parser.add_argument("--parallel", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--requests", type=int, default=sys.maxsize)
    parser.add_argument("--spread", type=float, default=0)
    parser.add_argument("--prompt-bytes", type=int, default=0)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--hold", action="store_true")
    options = parser.parse_args()
    gc.disable()  # a pause here would be counted as the gateway's
    request = request_of(
        options.url,
        options.key,
        options.model,
        stream=options.stream or options.hold,
        prompt_bytes=options.prompt_bytes,
        path=options.path,
    )
    if options.hold:
        return uvloop.run(hold(options.url, request, parallel=options.parallel))
    report = uvloop.run(
        closed_loop(
            options.url,
            request,
            parallel=options.parallel,
            seconds=options.seconds,
            most=options.requests,
            stream=options.stream,
            spread_s=options.spread,
        )
    )
    print(json.dumps(asdict(report)))
    return None


if __name__ == "__main__":
    main()
