"""A raw TCP server, and a client that speaks ASGI to the app; the engine is tests/fakes/vllm_data.py."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from core.http import new_request_id
from inference.api.app import app
from inference.contract.requests import ParsedRequest, parse_request
from inference.proxy.request import GatewayAnswer, relay_request
from tests.waiting import PATIENCE_S


async def eventually(condition: Callable[[], object], *, within_s: float = PATIENCE_S) -> None:
    """Return once a condition holds. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 it may be about anything
            await asyncio.sleep(0.005)


class RawServer:
    """A TCP server that says what its subclass says in `talk`; what is open at its end is aborted."""

    def __init__(self) -> None:
        self.connections = 0
        self.open: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[int]:
        """Yield the port."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", port)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for writer in list(self.open):
                writer.transport.abort()
            await server.wait_closed()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open.add(writer)
        try:
            await self.talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open.discard(writer)
            writer.close()


class Client:
    """Speaks ASGI to the app; hangs up after `hang_up_after` body parts."""

    def __init__(self, gateway, secret):
        self.gateway, self.secret = gateway, secret

    async def ask(
        self,
        body,
        *,
        path="/v1/chat/completions",
        hang_up_after=None,
        secret=None,
        method="POST",
        headers=None,
        query=b"",
    ):
        sent, gone = [], asyncio.Event()
        sent_body = body if isinstance(body, bytes) else json.dumps(body).encode()
        incoming = iter([{"type": "http.request", "body": sent_body}])

        async def receive():
            for message in incoming:
                return message
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)
            if hang_up_after is not None and len(sent) > hang_up_after:
                gone.set()

        bearer = f"Bearer {secret or self.secret}".encode()
        more = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        scope = {
            "type": "http", "path": path, "method": method, "headers": [(b"authorization", bearer), *more],
            "state": {"gateway": self.gateway}, "query_string": query,
        }  # fmt: skip
        await app(scope, receive, send)
        head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], head, b"".join(m.get("body", b"") for m in sent[1:])


def chat(**more):
    return {"model": "poetry", "messages": [{"role": "user", "content": "Rain?"}], **more}


def parse_chat(**more) -> ParsedRequest:
    return parse_request("chat", json.dumps(chat(**more)).encode())


async def relay(gateway, caller, *, request_id="", client=None, **more) -> GatewayAnswer:
    """Send a chat through the proxy, without the API before it."""
    return await relay_request(
        gateway, caller, parse_chat(**more), request_id or new_request_id(), client=client
    )


async def read_answer(answer: GatewayAnswer) -> bytes:
    """Return all bytes of an answer, streamed or not."""
    return b"".join([part async for part in answer.stream]) if answer.stream else answer.body


async def refusals_written(gateway) -> None:
    """Wait until what was refused is counted and noted."""
    while tasks := [task for task in gateway.tasks._running if "RefusalLimit" in repr(task)]:
        await asyncio.wait(tasks)
