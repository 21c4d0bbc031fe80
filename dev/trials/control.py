"""`make styles` with NOVELS: the control, an adapter that is trained like a style, on many authors together.

What a style predicts better than the control is its writer's own; what both predict better than the base is
the genre. The texts stay outside the repository: control.json names them.
"""

import json
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from stack.errors import StackError
from stack.folders import ROOT
from training.corpus import SourceDocument
from trials.own_style import SEED, Author, find_authors, take_words, train_style, write_examples

CONTROLS = ROOT / "engine" / "controls"
SKIPPED_WORDS = 12_000  # of each book: trials and benches learn and hold out what comes before
LEARNED_BOOKS = 2  # of each author; the third is judged
RECIPE = {"rank": 8, "epochs": 2}  # a style's own, so that only the texts differ
ADAPTER = ("adapter_config.json", "adapter_model.safetensors")


def train_control(
    *,
    authors: list[str],
    language: str,
    words: int,
    base: Path,
    base_name: str,
    out: Path | None,
    threads: int,
) -> int:
    """Train the control of a language for a base, and write it to `out`. Raises StackError."""
    if not os.environ.get("NOVELS"):
        raise StackError("NOVELS names the folder of the novels from which the control is made.")
    chosen = find_authors(Path(os.environ["NOVELS"]), authors, language=language)
    folder = out or CONTROLS / language
    with TemporaryDirectory() as scratch:
        job = Path(scratch)
        lay_control(chosen, job, language=language, words=words, base=base)
        settings = {"base": str(base), "base_name": base_name, "threads": threads}
        (job / "job.json").write_text(
            json.dumps(settings | {"seed": SEED, "early_stopping": False, "recipe": RECIPE})
        )
        seconds = train_style(job)
        folder.mkdir(parents=True, exist_ok=True)
        for name in ADAPTER:
            shutil.copyfile(job / "adapter" / name, folder / name)
    described = {
        "base": base_name,
        "language": language,
        "words": words,
        "books": [book.stem for author in chosen for book in author.books[:LEARNED_BOOKS]],
        "recipe": RECIPE,
        "seed": SEED,
    }
    (folder / "control.json").write_text(json.dumps(described, indent=2) + "\n")
    print(f"{folder}: {len(chosen)} authors, trained in {seconds:.0f} s", flush=True)
    return 0


def lay_control(authors: list[Author], folder: Path, *, language: str, words: int, base: Path) -> None:
    """Write the examples of a control into `folder`: as many words of each book."""
    books = [book for author in authors for book in author.books[:LEARNED_BOOKS]]
    documents = []
    for book in books:
        text = take_words(book, words // len(books), skipped=SKIPPED_WORDS)
        documents.append(SourceDocument(id=book.stem, text=text, language=language))
    write_examples(documents, folder, base=base, language=language)
