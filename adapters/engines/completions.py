"""Many completions from one engine, for the product itself. They give way to tenants' requests."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from adapters.engines import client
from adapters.errors import EngineUnavailable
from adapters.models import Engine

CONCURRENT_REQUESTS = 8


@dataclass(frozen=True)
class Completion:
    """A model, by its name on the engine, and a prompt. A seed draws at temperature 1."""

    name: str
    prompt: str
    max_tokens: int
    seed: int | None = None


def complete_all(
    engine: Engine, completions: Sequence[Completion], *, is_refusal_empty: bool = False
) -> list[str]:
    """Return the answers, in order. `is_refusal_empty`: "" for a prompt that a healthy engine refuses.

    The engine must be loaded with its base model: a row that a thread loads keeps a connection. Raises
    EngineUnavailable.
    """

    def complete(one: Completion) -> str:
        try:
            return client.complete(engine, one.name, one.prompt, tokens=one.max_tokens, seed=one.seed)
        except EngineUnavailable:
            if is_refusal_empty and client.is_healthy(engine):
                return ""
            raise

    with ThreadPoolExecutor(CONCURRENT_REQUESTS) as pool:
        return list(pool.map(complete, completions))
