"""What the engine counted of one request."""

from dataclasses import dataclass
from typing import Any

from tenants.public import EMPTY


@dataclass
class Usage:
    """The engine's own running count for one request, in tokens."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    finish_reason: str = ""

    def take(self, reported: dict[str, Any]) -> None:
        """Keep the counts of a `usage` object that the engine reported."""
        details = reported.get("prompt_tokens_details") or {}
        self.prompt = reported.get("prompt_tokens") or 0
        self.cached = min(details.get("cached_tokens") or 0, self.prompt)
        self.completion = reported.get("completion_tokens") or 0

    def forget(self) -> None:
        """Count nothing: the engine failed before the first token."""
        self.prompt = self.cached = self.completion = 0
        self.finish_reason = ""

    def end(self, choices: int) -> None:
        """Note an answer that ended with nothing said: `empty` is what the ledger keeps as its reason."""
        # The token that ends a choice is counted; who asked for one only (`length`) got what it asked for.
        if self.completion <= choices and self.finish_reason != "length":
            self.finish_reason = EMPTY

    @property
    def tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt + self.completion

    def written(self) -> str:
        """Return the counts as a hold keeps them."""
        return f"{self.prompt} {self.cached} {self.completion}"
