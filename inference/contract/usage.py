"""What one request got from the engine: the tokens as it counted them, and whether it watermarked them."""

from dataclasses import dataclass

from inference.facts import JsonObject
from metering.style_usage import EMPTY


@dataclass
class Usage:
    """The engine's running count of one request, in tokens; `watermark` is what is said of the mark."""

    prompt: int = 0
    cached: int = 0
    completion: int = 0
    finish_reason: str = ""
    cache_written: int = 0  # of the prompt, too; it is shown and not billed apart
    watermark: str = ""  # see contract/watermark.py
    text_sha256: str = ""  # of a complete answer of one sequence, in hex
    constrained: str = ""  # see contract/constraints.py

    def read_reported(self, reported: JsonObject) -> None:
        """Keep the counts of a `usage` object that the engine reported."""
        details = reported.get("prompt_tokens_details") or {}
        self.prompt = reported.get("prompt_tokens") or 0
        self.cached = min(details.get("cached_tokens") or 0, self.prompt)
        written = details.get("created_cache_tokens") or 0
        self.cache_written = min(written, self.prompt - self.cached)
        self.completion = reported.get("completion_tokens") or 0

    def reset(self) -> None:
        """Reset all counts: the engine failed before the first token."""
        self.prompt = self.cached = self.completion = self.cache_written = 0
        self.finish_reason = self.watermark = self.text_sha256 = ""

    def mark_empty(self, choices: int) -> None:
        """Set the reason of an empty answer, so that the ledger shows it."""
        # Each choice counts the token that ended it. An answer of one token that was cut by `max_tokens`
        # (`length`) is not empty.
        if self.completion <= choices and self.finish_reason != "length":
            self.finish_reason = EMPTY

    @property
    def tokens(self) -> int:
        """The prompt's tokens and the completion's."""
        return self.prompt + self.completion

    def serialize(self) -> str:
        """Return the counts as a hold stores them."""
        return f"{self.prompt} {self.cached} {self.completion}"


def describe_usage(reported: JsonObject) -> JsonObject:
    """Return a `usage` object of the engine in OpenAI's form, without what only vLLM has."""
    usage = Usage()
    usage.read_reported(reported)
    described: JsonObject = {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.tokens,
    }
    if reported.get("prompt_tokens_details"):
        described["prompt_tokens_details"] = {
            "cached_tokens": usage.cached,
            "cache_write_tokens": usage.cache_written,
        }
    return described
