"""An application that listens, with a fake engine behind it, for clients that need a real address."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from tests.fakes.vllm_data import FakeVllm
from tests.inference.builders import open_tables
from tests.waiting import eventually


@contextmanager
def serving(application, engine: FakeVllm, offer: Callable[[str], None]) -> Iterator[str]:
    """Serve from a thread of its own; yield the address. `offer` is told where the engine is."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, lifespan="on", log_config=None))

    async def serve() -> None:
        async with engine.serve() as url:
            offer(url)
            open_tables()
            await server.serve([listener])

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    eventually(lambda: server.started, what="the application does not start")
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(60)
