"""May this key ask, and for what? Asked by what admits no request: lists, reports, a request that waits.

Admission asks the same function of access.lua.
"""

import asyncio
from collections.abc import Sequence

from inference.contract.route import BASE_NAME, NO_STYLE, Target, read_style
from inference.quota.admission import DENIED, Caller
from inference.quota.scripts import CHECK_ACCESS
from inference.wire.valkey_client import ValkeyClient

LIBRARY_MARK = "@generation"  # every published library has it, also one without styles


class KeyAccess:
    """What keys may do now, by what Valkey has of them."""

    def __init__(self, client: ValkeyClient) -> None:
        self._client = client
        self._check_access = client.script(CHECK_ACCESS)

    async def check(self, caller: Caller, *, needs_inference: bool = True) -> str | None:
        """Return the styles that a key is limited to, "" for all; None where Valkey forgot the key.

        Raises why the caller may not ask: Suspended, RevokedKey, ExpiredKey, InsufficientScope; and
        LimitsUnavailable.
        """
        facts = await self._ask(caller, needs_inference=needs_inference)
        return None if facts is None else facts[0]

    async def stores_responses(self, caller: Caller) -> bool | None:
        """Return whether the caller's workspace has us store responses; None where Valkey forgot the key.

        Raises what `check` raises.
        """
        facts = await self._ask(caller, needs_inference=True)
        return None if facts is None else bool(facts[1])

    async def _ask(self, caller: Caller, *, needs_inference: bool) -> list[str] | None:
        names = caller.names
        keys = (names.limits, names.api_key, names.incarnation)
        verdict, *facts = await self._check_access(keys, (int(not needs_inference),))
        if verdict == "denied":
            raise DENIED[facts[0]]
        return None if verdict == "cache_miss" else facts

    async def find_targets(self, caller: Caller, fields: Sequence[str]) -> list[Target] | None:
        """Return where fields of grants lead now, without those that lead nowhere or where the key may not.

        None when Valkey forgot the workspace, its key, its library or the routes. Raises what `check` raises.
        """
        names = caller.names
        styles = [field.partition("@")[0] for field in fields]
        # Commands of one moment go out in one write.
        allowed_styles, (mark, *rights), rows = await asyncio.gather(
            self.check(caller),
            self._client.execute("HMGET", names.library, LIBRARY_MARK, *styles),
            self._client.execute("HMGET", names.styles, *styles),
        )
        if allowed_styles is None or not mark:
            return None
        found = []
        for field, row, right in zip(fields, rows, rights, strict=True):
            target = _find_target(field, row, right)
            if target and allows_style(allowed_styles, target.style):
                found.append(target)
        return found


def allows_style(allowed_styles: str, style: str) -> bool:
    """Return whether a key that is limited to some styles ("": all) may use one."""
    return not allowed_styles or style in allowed_styles.split(",")


def _find_target(field: str, row: str | None, right: str | None) -> Target | None:
    if field == BASE_NAME:
        return Target(NO_STYLE, BASE_NAME, "")
    _, at, alias = field.partition("@")
    style = read_style(row, right)
    return style.target(at + alias) if style else None
