"""What a connection and its requests may take."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The bounds of one server. Seconds are counted in checks, one every `check_every_s`."""

    connections: int = 4096
    connections_per_address: int = 1024
    check_every_s: float = 1.0
    headers_bytes: int = 32 * 1024
    headers_within_s: int = 10
    idle_for_s: int = 5  # between two requests
    body_bytes: int = 8 * 1024 * 1024
    body_silent_for_s: int = 30
    body_within_s: int = 120
    file_paths: tuple[str, ...] = ()  # their bodies go to the storage as they come
    file_bytes: int = 201 * 1024 * 1024
    file_within_s: int = 1800
    body_after_answer_s: int = 5  # the rest of a body that was answered is read and thrown away
    unread_for_s: int = 30  # of a client that reads nothing of what is written
    unread_body_bytes: int = 64 * 1024  # that the app has not taken: more is not read from the client
