"""How often something happens within a minute, counted in Valkey for all processes together.

A minute begins with the first call under a name, and all of its calls are there again when it ends. `COUNT` is
the one script that counts: here, and in the gateway, whose client of Valkey is another one.
"""

from dataclasses import dataclass
from math import ceil

from core import valkey
from core.rest.errors import TooManyRequests

# KEYS: the counter. ARGV: what this one counts. Returns the minute's count, and for how many ms more it runs.
COUNT = """
    local count = redis.call('INCRBY', KEYS[1], ARGV[1])
    if count == tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], 60000) end
    return {count, redis.call('PTTL', KEYS[1])}
"""


@dataclass(frozen=True)
class Rate:
    """What is left of a minute's requests, and in how many seconds all of them are there again."""

    limit: int
    left: int
    reset_s: int

    def headers(self) -> dict[str, str]:
        """Return OpenAI's headers of a limit."""
        return {
            "x-ratelimit-limit-requests": str(self.limit),
            "x-ratelimit-remaining-requests": str(self.left),
            "x-ratelimit-reset-requests": f"{self.reset_s}s",
        }


def take(name: str, limit: int) -> Rate:
    """Count one request under a name; return what is left. Raises TooManyRequests, or redis.RedisError."""
    count, left_ms = valkey.client().register_script(COUNT)([f"rate:{name}"], [1])
    rate = Rate(limit=limit, left=max(0, limit - count), reset_s=max(1, ceil(left_ms / 1000)))
    if count > limit:
        raise TooManyRequests(limit=limit, retry_s=rate.reset_s, rate=rate)
    return rate
