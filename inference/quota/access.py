"""What admission checked of a caller, checked again for a request that waits: it may wait for minutes."""

import asyncio
import time
from collections.abc import Sequence

from inference.contract.route import BASE, NO_STYLE, Target, read_style
from inference.quota.admission import DENIED, Caller
from inference.wire.valkey_client import ValkeyClient

LIBRARY_MARK = "@generation"  # every published library has it, also one without styles


async def find_targets(client: ValkeyClient, caller: Caller, fields: Sequence[str]) -> list[Target] | None:
    """Return where fields of grants lead now, without those that lead nowhere or where the key may not.

    None when Valkey forgot the workspace, its key, its library or the routes. Raises the error that says why
    the caller may ask no more (Suspended, RevokedKey, ExpiredKey, InsufficientScope), and LimitsUnavailable.
    """
    names = caller.names
    styles = [field.partition("@")[0] for field in fields]
    # Commands of one moment go out in one write.
    tenant_state, key, (mark, *rights), rows, incarnation = await asyncio.gather(
        client.execute("HGET", names.limits, "state"),
        client.execute("HMGET", names.api_key, "state", "expires_at", "styles"),
        client.execute("HMGET", names.library, LIBRARY_MARK, *styles),
        client.execute("HMGET", names.styles, *styles),
        client.execute("GET", names.incarnation),
    )
    key_state, expires_at, allowed_styles = key
    if not (tenant_state and key_state and mark and incarnation):
        return None
    if tenant_state != "live":
        raise DENIED["suspended"]()
    if key_state != "live":
        raise DENIED[key_state]()
    if expires_at and int(expires_at) <= time.time():
        raise DENIED["expired"]()
    found = []
    for field, row, right in zip(fields, rows, rights, strict=True):
        target = _find_target(field, row, right)
        if target and (not allowed_styles or target.style in allowed_styles.split(",")):
            found.append(target)
    return found


def _find_target(field: str, row: str | None, right: str | None) -> Target | None:
    if field == BASE:
        return Target(NO_STYLE, BASE, "")
    _, at, alias = field.partition("@")
    style = read_style(row, right)
    return style.target(at + alias) if style else None
