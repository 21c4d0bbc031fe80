"""People at work while containers are replaced or crash: they open pages, ask, and read streams."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Self

import httpx2
import openai

from stack import smoke

PAGE_EVERY_S = 0.2
PAGE_WITHIN_S = 30.0
STREAM_TOKENS = 100
MESSAGES: list[openai.types.chat.ChatCompletionUserMessageParam] = [
    {"role": "user", "content": smoke.QUESTION}
]


@dataclass
class Pages:
    """A page, asked for again and again in a thread; `away_s` is for how long it was not answered."""

    site: str
    asked: int = 0
    slowest_s: float = 0.0
    away_s: float = 0.0
    faults: list[str] = field(default_factory=list)
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._ask_until_over, name="pages")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()

    def _ask_until_over(self) -> None:
        last_answer_s = time.monotonic()
        is_away = False
        with httpx2.Client(base_url=self.site, timeout=PAGE_WITHIN_S) as client:
            while not self._over.wait(PAGE_EVERY_S):
                began_s = time.monotonic()
                fault = _open_page(client)
                now_s = time.monotonic()
                self.asked += 1
                self.slowest_s = round(max(self.slowest_s, now_s - began_s), 2)
                if fault:
                    self.faults.append(fault)
                    is_away = True
                    continue
                if is_away:
                    self.away_s = round(self.away_s + now_s - last_answer_s, 1)
                is_away = False
                last_answer_s = now_s
        if is_away:
            self.away_s = round(self.away_s + time.monotonic() - last_answer_s, 1)


def _open_page(client: httpx2.Client) -> str:
    """Return why a page was not answered, or nothing."""
    try:
        answer = client.get("/")
    except httpx2.TransportError as error:
        return repr(error)
    return "" if answer.status_code == 200 else f"{answer.status_code} {answer.text[:100]}"


@dataclass
class Requests:
    """What was asked of /v1, when each stream began and ended (Unix seconds), and what failed."""

    answered: int = 0
    streams: list[tuple[float, float]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def count_streams_across(self, moment_s: float) -> int:
        """Return how many streams had begun by a moment and went on after it."""
        return sum(began_s < moment_s < ended_s for began_s, ended_s in self.streams)


@contextmanager
def asking(client: openai.OpenAI, model: str, *, streams: int) -> Iterator[Requests]:
    """Read so many streams at once, and send short requests beside, one after the other."""
    seen = Requests()
    over = threading.Event()

    def repeat(ask: Callable[[], None]) -> None:
        while not over.is_set():
            try:
                ask()
            except (openai.OpenAIError, httpx2.TransportError, ValueError) as error:
                seen.faults.append(repr(error))
                over.wait(PAGE_EVERY_S)

    def ask_whole() -> None:
        answer = client.chat.completions.create(model=model, messages=MESSAGES, max_tokens=4)
        if not answer.choices[0].finish_reason:
            raise ValueError(f"an answer without its end: {answer}")
        seen.answered += 1

    def ask_streamed() -> None:
        began_s = time.time()
        reasons: list[str] = []
        for chunk in client.chat.completions.create(
            model=model, messages=MESSAGES, max_tokens=STREAM_TOKENS, stream=True
        ):
            reasons += [choice.finish_reason for choice in chunk.choices if choice.finish_reason]
        if not reasons:
            raise ValueError("a stream without its end")
        seen.streams.append((began_s, time.time()))

    threads = [threading.Thread(target=repeat, args=[ask]) for ask in [ask_whole] + [ask_streamed] * streams]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()
