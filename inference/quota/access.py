"""What admission checked of a caller, checked again for a request that waits: it may wait for minutes."""

import asyncio
import time

from inference.contract.route import BASE, Target, read_target
from inference.quota.admission import DENIED, Caller
from inference.wire.valkey_client import ValkeyClient


async def find_targets(client: ValkeyClient, caller: Caller, fields: tuple[str, ...]) -> list[Target] | None:
    """Return where names lead now, without those that lead nowhere or to a style that the key may not use.

    None when Valkey forgot the workspace, its key or its names. Raises the error that says why the caller may
    ask no more (Suspended, RevokedKey, ExpiredKey, InsufficientScope), and LimitsUnavailable.
    """
    names = caller.names
    # Three commands of one moment go out in one write.
    tenant_state, key, (*targets, base) = await asyncio.gather(
        client.execute("HGET", names.limits, "state"),
        client.execute("HMGET", names.api_key, "state", "expires_at", "styles"),
        client.execute("HMGET", names.styles, *fields, BASE),
    )
    key_state, expires_at, allowed_styles = key
    # Every workspace has the base model among its names, so without it the names were flushed.
    if not (tenant_state and key_state and base):
        return None
    if tenant_state != "live":
        raise DENIED["suspended"]()
    if key_state != "live":
        raise DENIED[key_state]()
    if expires_at and int(expires_at) <= time.time():
        raise DENIED["expired"]()
    found = [read_target(target) for target in targets if target]
    if not allowed_styles:
        return found
    return [target for target in found if target.style in allowed_styles.split(",")]
