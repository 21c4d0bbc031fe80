"""Requests that an engine had when it died. Any may be the cause, so for some minutes none is let in again.

All that were in flight are suspects, the innocent among them, too: which one it was can't be known. So the
time is short, and only the very same request of the same workspace is refused. Valkey keeps the fingerprints,
where every gateway meets them: admission asks for one in its own script.
"""

from hashlib import blake2b

import orjson

from inference.contract.requests import ParsedRequest
from inference.quota.admission import Caller
from inference.wire.valkey_client import ValkeyClient

SUSPECT_FOR_S = 300


def fingerprint(parsed: ParsedRequest) -> str:
    """Return what is the same each time when a request is sent again: all of it that reaches an engine."""
    what = orjson.dumps((parsed.kind, parsed.model, parsed.fields))
    return blake2b(what, digest_size=16).hexdigest()


async def suspect(valkey: ValkeyClient, caller: Caller, parsed: ParsedRequest) -> None:
    """Have a request refused for a while. Raises GateUnavailable."""
    key = caller.names.suspect + fingerprint(parsed)
    await valkey.execute("SET", key, "1", "EX", SUSPECT_FOR_S)
