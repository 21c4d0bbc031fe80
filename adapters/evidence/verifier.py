"""Placeholder of the interface until the verifier is merged."""

from collections.abc import Sequence
from dataclasses import dataclass


class UnsupportedLanguage(Exception):
    """There are no impostors for this language."""


@dataclass(frozen=True)
class SentenceScore:
    """A sentence, and how near it is to the author."""

    start: int
    end: int
    score: float


@dataclass(frozen=True)
class Verifier:
    """What recognises an author."""

    def score(self, text: str) -> float:
        """Return how near a text is: 0 as impostors, 1 as the author."""
        raise NotImplementedError

    def score_sentences(self, text: str) -> list[SentenceScore]:
        """Return the same for each sentence."""
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """Return what is stored."""
        raise NotImplementedError

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Verifier":
        """Return a stored verifier."""
        raise NotImplementedError


def train_verifier(texts: Sequence[str], language: str) -> Verifier:
    """Return the verifier of an author's texts. Raises UnsupportedLanguage."""
    raise UnsupportedLanguage(language)
