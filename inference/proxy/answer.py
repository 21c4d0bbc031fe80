"""The answer of one request as the app sends it on: whole, or a stream that is still being written."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from inference.contract import http_errors
from inference.contract.http_errors import Headers
from inference.errors import DomainError
from inference.proxy import response_headers
from inference.quota.admission import Grant

COMMENT = b": waiting\n\n"


@dataclass(eq=False, slots=True)
class Answer:
    """An answer to one request: a body, or a stream that must be read to its end or closed to settle it."""

    request_id: str
    headers: Headers
    body: bytes = b""
    stream: "AsyncGenerator[bytes] | None" = None


def headers_of(grant: Grant | None, *, has_begun: bool) -> Headers:
    """Return the headers that are certain by now.

    A stream that still waits may yet go to another engine or a newer version, so it does not say which.
    """
    if grant is None:
        return http_errors.adapter_state("loading")
    headers = response_headers.rate_headers(grant.rates)
    headers += http_errors.adapter_state(grant.state or "loading")
    if has_begun:
        headers += response_headers.provenance(grant.route_json, grant.engine)
    return headers


def frame_error(error: DomainError) -> bytes:
    """Return an error as the last event of a stream."""
    return b"data: " + http_errors.body(error) + b"\n\n"


async def stream_with_comments(
    first_part: asyncio.Future[bytes], other_parts: AsyncGenerator[bytes], *, comment_every_s: float
) -> AsyncGenerator[bytes]:
    """Yield a stream's parts, and comments until the first one is there."""
    try:
        while not first_part.done():
            yield COMMENT
            await asyncio.wait({first_part}, timeout=comment_every_s)
        try:
            yield first_part.result()
        except DomainError as error:  # the status line has long been sent
            yield frame_error(error)
            return
        async for part in other_parts:
            yield part
    finally:
        if first_part.cancel():
            await asyncio.wait({first_part})
        await other_parts.aclose()
