"""Count tokens in separate threads, so that a long prompt delays no key look-up and no page."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from inference.contract import tokenizer
from inference.contract.requests import ParsedRequest
from inference.errors import EngineBusy

THREADS = 1
WAITING_MAX = 2048  # prompts of all workspaces
WAITING_MAX_PER_TENANT = 512


class TokenPool:
    """Counts prompts with the base model's tokenizer, one prompt of a workspace at a time."""

    def __init__(self) -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # else one prompt uses every core
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="tokens")
        self._waiting: Counter[str] = Counter()
        self._locks: dict[str, asyncio.Lock] = {}

    async def count(self, tenant: str, parsed: ParsedRequest) -> int:
        """Return a close upper bound of a prompt's tokens. Raises EngineBusy when too many wait."""
        return await self.run(tenant, partial(tokenizer.count_prompt_tokens, parsed))

    async def run[T](self, tenant: str, task: Callable[[], T]) -> T:
        """Return what a task of the tokenizer returns. Raises EngineBusy when too many wait."""
        waiting = self._waiting
        if waiting[tenant] >= WAITING_MAX_PER_TENANT or waiting.total() >= WAITING_MAX:
            raise EngineBusy(retry_s=2)
        waiting[tenant] += 1
        lock = self._locks.setdefault(tenant, asyncio.Lock())
        try:
            async with lock:
                loop = asyncio.get_running_loop()
                return await loop.run_in_executor(self._threads, task)
        finally:
            waiting[tenant] -= 1
            if not waiting[tenant]:
                del waiting[tenant], self._locks[tenant]

    def close(self) -> None:
        """Stop the threads; prompts that wait are no longer counted."""
        self._threads.shutdown(wait=False, cancel_futures=True)
