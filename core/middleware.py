"""Middleware that is written once and runs both ways: in threads and in the event loop."""

from collections.abc import Callable, Generator
from contextlib import closing
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

type GetResponse = Callable[[HttpRequest], Any]
type Steps = Generator[Callable[[], Any] | None, Any, HttpResponseBase]


def in_steps(steps: Callable[[HttpRequest], Steps]) -> Callable[[GetResponse], GetResponse]:
    """Return middleware of a generator function, which gets a request and returns a response.

    `response = yield None` waits for the view's answer. `answer = yield function` calls what may block, as a
    query does: in the event loop, a thread calls it.
    """

    @sync_and_async_middleware
    def middleware(get_response: GetResponse) -> GetResponse:
        def answer(request: HttpRequest) -> Any:
            result = None
            with closing(steps(request)) as run:
                while True:
                    try:
                        function = run.send(result)
                    except StopIteration as end:
                        return end.value
                    result = function() if function else get_response(request)

        async def answer_async(request: HttpRequest) -> Any:
            result = None
            with closing(steps(request)) as run:
                while True:
                    try:
                        function = run.send(result)
                    except StopIteration as end:
                        return end.value
                    if function:
                        result = await sync_to_async(function, thread_sensitive=True)()
                    else:
                        result = await get_response(request)

        return answer_async if iscoroutinefunction(get_response) else answer

    return middleware
