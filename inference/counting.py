"""Counts a prompt's tokens with the base model's own tokenizer, for when the byte bound is too crude."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from inference.schemas import MESSAGE_OVERHEAD, TEXT_OVERHEAD, Asked

if TYPE_CHECKING:
    from tokenizers import Tokenizer


@cache
def _tokenizer(path: Path) -> "Tokenizer | None":
    from tokenizers import Tokenizer  # noqa: PLC0415  only where a byte bound was too crude

    return Tokenizer.from_file(str(path)) if path.exists() else None


def prompt_tokens(asked: Asked) -> int:
    """Return a close upper bound of the prompt's tokens: its texts' own, and the template's overhead."""
    tokenizer = _tokenizer(settings.BASE_MODEL_DIR / "tokenizer.json")
    if tokenizer is None:
        return asked.prompt_bound()
    counts = [len(e.ids) for e in tokenizer.encode_batch(asked.text(), add_special_tokens=False)]
    return sum(count + MESSAGE_OVERHEAD for count in counts) + TEXT_OVERHEAD
