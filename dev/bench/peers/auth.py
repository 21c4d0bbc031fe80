"""LiteLLM's `custom_auth`: one known key with every limit that can be had without LiteLLM's database."""

import os
from hmac import compare_digest

from fastapi import Request  # type: ignore[import-not-found]
from litellm.proxy._types import UserAPIKeyAuth  # type: ignore[import-not-found]

KEY = os.environ["LITELLM_BENCH_KEY"]
HUGE = 2 * 10**9


async def user_api_key_auth(request: Request, api_key: str) -> UserAPIKeyAuth:
    """Return the key's limits: requests and tokens a minute, and parallel requests."""
    if not compare_digest(api_key, KEY):
        raise PermissionError("unknown key")
    return UserAPIKeyAuth(api_key=api_key, rpm_limit=HUGE, tpm_limit=HUGE, max_parallel_requests=10_000)
