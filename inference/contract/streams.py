"""A stream of an answer's parts."""

from collections.abc import AsyncIterator
from typing import Protocol


class Stream(AsyncIterator[bytes], Protocol):
    """Parts of an answer. Read it to its end, or `aclose` it: an async generator is one."""

    async def aclose(self) -> None:
        """Stop what writes the stream."""
