"""The real site over a socket, in this process."""

import asyncio
import socket
import threading
from importlib import import_module

import uvicorn


class SiteThread:
    """uvicorn in a thread with an event loop of its own."""

    def __enter__(self) -> str:
        site = import_module("config.asgi").site  # loaded late: it builds the site's middleware
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(site, lifespan="off", log_config=None)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._server.serve(sockets=[listener])), daemon=True
        )
        self._thread.start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(60)
