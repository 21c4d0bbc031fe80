"""Requests that an engine had when it died. Any of them may be the cause, so none is sent again for minutes.

All requests in flight are suspects, the innocent ones too: nobody can know which one it was. So the time is
short, and only the very same request of the same workspace is refused. Valkey keeps the fingerprints, where
every gateway meets them: the admission script looks one up. Without a fingerprint it refuses every request of
a workspace that has suspects, so nobody else's requests need one.
"""

from hashlib import sha256

from inference.contract.requests import BOUNDED_FIELDS, ParsedRequest
from inference.quota.admission import Caller
from inference.wire.valkey_client import ValkeyClient

# Longer than the official clients go on retrying (decision 14).
SUSPECT_FOR_S = 300


def fingerprint_of(parsed: ParsedRequest) -> str:
    """Return what is the same each time when a request is sent again: all of it that reaches an engine."""
    bounded = [parsed.fields.get(name) for name in BOUNDED_FIELDS]
    # Processors have instructions for SHA-256: of 100 KB it takes a fifth of BLAKE2's time.
    digest = sha256(repr((parsed.kind, parsed.model, bounded)).encode())
    digest.update(parsed.serialize())
    return digest.hexdigest()[:32]


async def add_suspect(valkey: ValkeyClient, caller: Caller, parsed: ParsedRequest) -> None:
    """Have a request refused for a while. Raises LimitsUnavailable."""
    suspect = caller.names.suspect
    # First that there are any, and for longer: no suspect may be there without it.
    await valkey.execute("SET", suspect, "1", "EX", SUSPECT_FOR_S + 1)
    await valkey.execute("SET", suspect + fingerprint_of(parsed), "1", "EX", SUSPECT_FOR_S)
