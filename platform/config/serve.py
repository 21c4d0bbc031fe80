"""`python -m config.serve config.gateway:application`: serve an ASGI app with the gateway's own server.

With several workers, each is a process, and this one only holds the port and restarts workers that die.
"""

import argparse
import asyncio
import importlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

import uvloop

from config.variables import HTTP_MAX_CONNECTIONS, HTTP_MAX_CONNECTIONS_PER_ADDRESS, TRUSTED_PROXIES
from inference.server.server import Limits, Server, serve

FILE_PATHS = ("/v1/files",)
LOOK_EVERY_S = 0.2
RESTART_AFTER_S = 1.0


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return 0."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    parser = argparse.ArgumentParser(prog="python -m config.serve", description=__doc__)
    parser.add_argument("app", help="MODULE:NAME")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=1, help="processes; one for each core")
    parser.add_argument("--graceful-stop-s", type=float, default=120, help="how long answers may still take")
    parser.add_argument("--listener", type=int, help=argparse.SUPPRESS)  # of a worker: the port's descriptor
    options = parser.parse_args(arguments)
    if options.listener is not None:
        listener, while_open = socket.socket(fileno=options.listener), sys.stdin.fileno()
    else:
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        listener = socket.create_server((options.host, options.port), family=family)
        while_open = None
        if options.workers > 1:
            return supervise(arguments, listener, options.workers)
    module, _, name = options.app.partition(":")
    app = getattr(importlib.import_module(module), name)
    limits = Limits(
        connections=HTTP_MAX_CONNECTIONS,
        connections_per_address=HTTP_MAX_CONNECTIONS_PER_ADDRESS,
        file_paths=FILE_PATHS,
    )
    server = Server(app, limits, TRUSTED_PROXIES)
    serving = serve(server, listener, graceful_stop_s=options.graceful_stop_s, while_open=while_open)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serving)
    return 0


def supervise(arguments: Sequence[str], listener: socket.socket, workers: int) -> int:
    """Run so many workers that accept from one port, until SIGTERM or SIGINT; return 0.

    A second signal kills them. A worker's standard input ends with this process, and the worker with it.
    """
    is_stopping = False
    running: list[subprocess.Popen[bytes]] = []

    def stop(_number: int, _frame: object) -> None:
        nonlocal is_stopping
        if is_stopping:
            for worker in running:
                worker.kill()
        is_stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    descriptor = listener.fileno()
    command = [sys.executable, "-m", "config.serve", *arguments, f"--listener={descriptor}"]
    while not is_stopping:
        while len(running) < workers:
            running.append(subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[descriptor]))
        time.sleep(LOOK_EVERY_S)
        ended = [worker for worker in running if worker.poll() is not None]
        for worker in ended:
            print(f"A worker ended with exit status {worker.returncode}; starting another.", file=sys.stderr)
            running.remove(worker)
        if ended:
            time.sleep(RESTART_AFTER_S)  # so that one that can't start takes no whole core
    listener.close()
    for worker in running:
        assert worker.stdin
        worker.stdin.close()  # no signal: Ctrl-C sent them one, and a second one would cut their answers
    for worker in running:
        worker.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
