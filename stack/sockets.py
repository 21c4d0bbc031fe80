"""Unix domain sockets of a stack: no port that another user of this machine could reach."""

import os
from pathlib import Path
from urllib.parse import quote, urlsplit

LONGEST_PATH_BYTES = 103  # macOS takes no longer path of a socket, Linux takes 107
UNIX = "unix"


def usable(path: Path) -> Path | None:
    """Return the path, or None where it is too long for a socket or can't stand in an address as it is."""
    text = str(path)
    is_plain = quote(text) == text
    is_short = len(os.fsencode(text)) <= LONGEST_PATH_BYTES
    return path if is_plain and is_short else None


def address_of(path: Path) -> str:
    """Return the address of a socket."""
    return f"{UNIX}://{path}"


def split_address(url: str) -> tuple[str, str]:
    """Return the URL for an HTTP client, and the path of the socket that it must use, "" for a port."""
    parts = urlsplit(url)
    if parts.scheme == UNIX:
        return "http://localhost", parts.path
    return url, ""
