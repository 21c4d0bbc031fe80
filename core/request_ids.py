"""The ids of requests to both APIs: an answer and its lines in the log have one."""

import os


def new_request_id() -> str:
    """Return an id that is unique for ever: it names the hold, the usage event and the ledger entry."""
    return f"req_{os.urandom(16).hex()}"
