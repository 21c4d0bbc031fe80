"""Refused requests count, too: whoever sends too many is refused at the door for the rest of a minute.

A key's are counted by the key, so nobody else can use them up; those without a valid key by the client's
address. The counts are in Valkey, for all processes; each remembers whom it must refuse.
"""

import math
import time
from collections import OrderedDict
from contextlib import suppress

from inference.errors import GateUnavailable, TooManyRefusals
from inference.quota.scripts import REFUSALS
from inference.wire.valkey_client import ValkeyClient

BODY_BYTES_PER_REFUSAL = 64 * 1024  # a refused body of so many bytes counts once more: reading it is work
REMEMBERED_MAX = 10_000


class RefusalLimit:
    """Who is refused everything until when, because too much was refused to them."""

    def __init__(self, valkey: ValkeyClient) -> None:
        self._script = valkey.script(REFUSALS)
        self._until_s: OrderedDict[str, float] = OrderedDict()

    def check(self, name: str) -> None:
        """Raise TooManyRefusals when everything is to be refused under a name in Valkey."""
        until_s = self._until_s.get(name)
        if until_s is None:
            return
        left_s = until_s - time.monotonic()
        if left_s > 0:
            raise TooManyRefusals(retry_s=math.ceil(left_s))
        del self._until_s[name]

    async def count(self, name: str, *, body_bytes: int, most: int) -> None:
        """Count one refusal; after more than `most` a minute everything is refused for the minute's rest."""
        cost = 1 + body_bytes // BODY_BYTES_PER_REFUSAL
        with suppress(GateUnavailable):  # then nobody is served anyway
            left_ms = await self._script((name,), (cost, most))
            if left_ms > 0:
                self._until_s[name] = time.monotonic() + left_ms / 1000
                self._until_s.move_to_end(name)
            if len(self._until_s) > REMEMBERED_MAX:
                self._until_s.popitem(last=False)
