"""Texts that trials and benches train on."""

import os
from pathlib import Path

from stack.folders import ROOT


def take_paragraphs(words: int) -> list[str]:
    """Return paragraphs of about so many words, no two alike.

    They are of the novels in the folder NOVELS; without it, of this project's own guides, but their tables,
    lists and code.
    """
    novels = os.environ.get("NOVELS")
    files = Path(novels).glob("*.txt") if novels else (ROOT / "docs").glob("*.md")
    taken: dict[str, None] = {}  # in order, and each once
    words_taken = 0
    for file in sorted(files):
        for paragraph in file.read_text().split("\n\n"):
            if words_taken >= words:
                break
            text = " ".join(paragraph.split())
            if text[:1].isalpha() and text not in taken:
                taken[text] = None
                words_taken += len(text.split())
    return list(taken)
