"""How often something happens within a minute, counted in Valkey for all processes together.

A minute begins with the first call under a name; when it ends, all of its calls are there again.
"""

from dataclasses import dataclass
from math import ceil

from core import valkey
from core.errors import TooManyRequests

# The gateway counts by the same function, in a script that does more in the same call.
COUNT_IN_MINUTE = """
local function count_in_minute(key, cost)
  local count = redis.call('INCRBY', key, cost)
  if count == tonumber(cost) then redis.call('PEXPIRE', key, 60000) end
  return count, redis.call('PTTL', key)
end
"""
TAKE = COUNT_IN_MINUTE + "return {count_in_minute(KEYS[1], 1)}"


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
    count, left_ms = valkey.client().register_script(TAKE)([f"rate:{name}"])
    rate = Rate(limit=limit, left=max(0, limit - count), reset_s=max(1, ceil(left_ms / 1000)))
    if count > limit:
        raise TooManyRequests(limit=limit, retry_s=rate.reset_s, rate=rate)
    return rate
