"""Unix domain sockets of a stack: no port that another user of this machine could reach."""

import os
from pathlib import Path
from urllib.parse import quote, urlsplit

LONGEST_PATH_BYTES = 103  # macOS takes no longer path of a socket, Linux takes 107
UNIX = "unix"


def fits(path: Path) -> bool:
    """Return whether a path is short enough for a socket."""
    return len(os.fsencode(path)) <= LONGEST_PATH_BYTES


def is_plain(path: Path) -> bool:
    """Return whether a path stands in an address as it is, without escapes."""
    return quote(str(path)) == str(path)


def address_of(path: Path) -> str:
    """Return the address of a socket whose path is plain."""
    return f"{UNIX}://{path}"


def split_address(url: str) -> tuple[str, str]:
    """Return the URL for an HTTP client, and the path of the socket that it must use, "" for a port."""
    parts = urlsplit(url)
    if parts.scheme == UNIX:
        return "http://localhost", parts.path
    return url, ""
