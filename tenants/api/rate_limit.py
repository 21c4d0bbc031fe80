"""Requests a minute to the management API, counted in Valkey for all processes together."""

from dataclasses import dataclass

from core import valkey
from core.rest.errors import TooManyRequests

WINDOW_S = 60


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
    counter = f"rate:{name}"
    pipeline = valkey.client().pipeline(transaction=True)
    pipeline.set(counter, 0, ex=WINDOW_S, nx=True)
    pipeline.incr(counter)
    pipeline.ttl(counter)
    _, count, reset_s = pipeline.execute()
    rate = Rate(limit=limit, left=max(0, limit - count), reset_s=max(1, reset_s))
    if count > limit:
        raise TooManyRequests(limit=limit, retry_s=rate.reset_s, rate=rate)
    return rate
