"""`python -m labs.impostors NOVELS`: write what the verifier knows of other authors, as numbers.

NOVELS is a folder of texts named AUTHOR-TITLE-YEAR.txt, or de-AUTHOR-TITLE.txt for German ones. The same
folder gives the same bytes. See adapters/verifier/impostors.py for what the files hold.
"""

import sys
from pathlib import Path

from adapters.verifier.features import measure_passages
from adapters.verifier.impostors import (
    DATA,
    SUPPORTED_LANGUAGES,
    join_authors,
    measure_author,
    save_impostors,
)

PASSAGE_WORDS = 230  # the middle of what a style is trained on


def find_books(novels: Path, language: str) -> dict[str, list[Path]]:
    """Return author → books in this language; the earliest first, where the names end with years."""
    books: dict[str, list[Path]] = {}
    for book in sorted(novels.glob("*.txt"), key=lambda file: file.stem.rsplit("-", 1)[-1]):
        parts = book.stem.split("-")
        is_german = parts[0] == "de"
        if is_german == (language == "de"):
            books.setdefault(parts[1] if is_german else parts[0], []).append(book)
    return dict(sorted(books.items()))


def cut_passages(text: str, *, words: int = PASSAGE_WORDS) -> list[str]:
    """Return passages of exactly so many words, in order; what remains at the end is left out."""
    every = text.split()
    return [" ".join(every[start : start + words]) for start in range(0, len(every) - words + 1, words)]


def write_impostors(novels: Path, language: str) -> Path:
    """Measure the authors of a language and return the written file."""
    authors = []
    for books in find_books(novels, language).values():
        passages = [passage for book in books for passage in cut_passages(book.read_text())]
        authors.append(measure_author(measure_passages(passages, language)))
    file = DATA / f"{language}.npz"
    save_impostors(join_authors(authors), file)
    return file


if __name__ == "__main__":
    for each in SUPPORTED_LANGUAGES:
        written = write_impostors(Path(sys.argv[1]), each)
        print(f"{written.name}: {written.stat().st_size:,} bytes")
