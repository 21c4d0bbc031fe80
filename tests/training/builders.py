"""Texts and conversations to learn from, and what the storage has of a training."""

import json
import random
from uuid import UUID

from adapters import object_store
from training import documents, preparation, storage

WORDS = ("river", "stone", "morning", "window", "paper", "garden", "letter", "shadow", "summer", "winter")


def make_text(words: int, seed: int = 0) -> str:
    """Return a text of so many words in paragraphs of some 60: no eight words are there twice."""
    dice = random.Random(seed)
    paragraphs = []
    for start in range(0, words, 60):
        count = min(60, words - start)
        paragraphs.append(" ".join(dice.choices(WORDS, k=count)) + ".")
    return "\n\n".join(paragraphs)


def make_chats(count: int = 40) -> bytes:
    """Return a file of so many conversations, no two of them alike."""
    lines = []
    for number in range(count):
        messages = [
            {"role": "system", "content": "Write as I do."},
            {"role": "user", "content": f"Write about morning number {number}."},
            {"role": "assistant", "content": f"The river had risen {number} times in the night."},
        ]
        lines.append(json.dumps({"messages": messages}))
    return "\n".join(lines).encode()


def answer_for_the_base(monkeypatch) -> None:
    """Have everyday instructions answered without an engine."""

    def answer(prompts, *, max_tokens, keeps_words):
        return ["Dear neighbour, I would be glad if the nights were quiet."] * len(prompts)

    monkeypatch.setattr(preparation, "write_with_base", answer)


def list_stored(training_id: UUID) -> list[str]:
    """Return the keys of all files that the storage has of a training."""
    return object_store.list_folder(storage.folder_of(training_id))


def read_all() -> None:
    """Read all documents that have arrived, as the workers of the queue `reading` do."""
    while documents.read_next():
        pass
