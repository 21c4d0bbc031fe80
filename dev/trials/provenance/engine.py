"""A client of the trial's engine: answers with their tokens."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from labs import machine
from trials.harness import Context, open_engine

SPEED_PARALLEL = 8
PARALLEL = 40  # where speed isn't measured
PATIENCE_S = 600.0
UNMARKED = {"watermarking": False, "vllm_xargs": {"watermarking": 0}}  # as the gateway sends
# Without these a request gets what the model's generation_config.json says: for the demo's base top_p 0.9 and
# repetition_penalty 1.1.
PLAIN = {"top_p": 1.0, "repetition_penalty": 1.0}


@dataclass(frozen=True)
class Answer:
    """An answer: its text, its tokens, and the mean of their negative log probabilities under the model."""

    text: str
    tokens: list[int]
    nats: float
    is_cut: bool


@dataclass(frozen=True)
class Speed:
    """What an engine took for eight answers at once."""

    tokens_per_s: float
    tokens_per_cpu_s: float


class Engine:
    """The trial's engine."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def write(self, prompts: Sequence[str], *, is_marked: bool, **fields: Any) -> list[Answer]:
        """Return an answer to each prompt; `fields` are the request's, with the base as its model."""
        body = {"return_token_ids": True, "logprobs": True, **fields}
        return asyncio.run(self._write_all(prompts, self._complete(body, is_marked)))

    def measure_speed(self, prompt: str, tokens: int, *, is_marked: bool, **fields: Any) -> Speed:
        """Return how fast eight answers of so many tokens to one prompt are written at once."""
        body = {"max_tokens": tokens, "ignore_eos": True, **fields}
        pid = self._context.read_pid("engine")
        before_s, started_s = machine.cpu_s(pid), time.monotonic()
        asyncio.run(self._write_all([prompt] * SPEED_PARALLEL, self._complete(body, is_marked)))
        written = SPEED_PARALLEL * tokens
        return Speed(written / (time.monotonic() - started_s), written / (machine.cpu_s(pid) - before_s))

    def _complete(self, body: dict[str, Any], is_marked: bool) -> dict[str, Any]:
        return {"model": self._context.variables["BASE_MODEL"], **body, **({} if is_marked else UNMARKED)}

    async def _write_all(self, prompts: Sequence[str], body: dict[str, Any]) -> list[Answer]:
        places = asyncio.Semaphore(PARALLEL)
        async with open_engine(self._context.variables, timeout_s=PATIENCE_S) as http:
            return await asyncio.gather(*(self._write(http, places, prompt, body) for prompt in prompts))

    async def _write(
        self, http: aiohttp.ClientSession, places: asyncio.Semaphore, prompt: str, body: dict[str, Any]
    ) -> Answer:
        messages = [{"role": "user", "content": prompt}]
        async with places, http.post("/v1/chat/completions", json={**body, "messages": messages}) as response:
            response.raise_for_status()
            choice = (await response.json())["choices"][0]
        chosen = (choice.get("logprobs") or {}).get("content") or []
        nats = -sum(token["logprob"] for token in chosen) / max(1, len(chosen))
        text = choice["message"]["content"] or ""
        return Answer(text, choice.get("token_ids") or [], nats, choice["finish_reason"] == "length")
