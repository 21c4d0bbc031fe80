"""Passes over many prompts, some at once: how many tokens they brought, and how soon the first ones came."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from labs.chat_client import ChatClient, Outcome, run_concurrently

THINGS = ("the sea", "an old clock", "a letter", "the market", "a bridge", "bread", "the first snow", "a cat")


@dataclass(frozen=True)
class Pass:
    """What one pass brought; `first_token_s` has a time for each answer."""

    tokens: int
    seconds: float
    first_token_s: list[float]

    @property
    def tokens_per_s(self) -> float:
        return self.tokens / self.seconds


async def run_pass(
    client: ChatClient, jobs: Iterable[tuple[str, str]], *, at_once: int, **fields: Any
) -> Pass:
    """Send each job, a model and a prompt, greedily. Raises SystemExit unless every answer is complete."""
    tokens = 0
    first_token_s: list[float] = []

    async def ask(job: tuple[str, str]) -> None:
        nonlocal tokens
        model, prompt = job
        reply = await client.chat(model, prompt, temperature=0, **fields)
        if reply.outcome != Outcome.COMPLETE or reply.first_token_s is None:
            raise SystemExit(f"✗ {model}: {reply.describe_failure()}")
        tokens += reply.completion_tokens
        first_token_s.append(reply.first_token_s)

    began_s = time.perf_counter()
    await run_concurrently(jobs, ask, at_once=at_once)
    return Pass(tokens, time.perf_counter() - began_s, first_token_s)
