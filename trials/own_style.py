"""`make trial-own-style`: do styles learn their author, or only the genre?

Trains a style on two books of each author of NOVELS with the product's own corpus, examples and trainer, and
lets each style predict each author's third book. Prints a table: perplexity below the base's, in percent.
Adapters stay in var/own-style, so that an interrupted trial goes on.
"""

import json
import math
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from stack.errors import StackError
from stack.folders import ROOT
from training.corpus import SourceDocument, as_jsonl, build_corpus, make_examples, plan_examples
from training.reading import read_document

WORK = ROOT / "var" / "own-style"
PYTHON = ROOT / ".venv-engine" / "bin" / "python"
BASE = ROOT / "var" / "models" / "SmolLM2-135M-Instruct"
SEED = 7
JUDGED_WORDS = 6_000
SKIPPED_WORDS = 3_000  # of the third book: its beginning has titles and prefaces
LEAST_OWN_PERCENT = 15


@dataclass(frozen=True)
class Author:
    """An author's books, the earliest first: two to learn, the third to judge."""

    name: str
    books: tuple[Path, ...]


def find_authors(novels: Path, names: list[str], *, language: str = "en") -> list[Author]:
    """Return the authors with three books, or those of them that are named. Raises StackError.

    A book is AUTHOR-TITLE-YEAR.txt, or LANGUAGE-AUTHOR-TITLE.txt if it isn't English.
    """
    by_name: dict[str, list[Path]] = {}
    prefix = "" if language == "en" else f"{language}-"
    for book in sorted(novels.glob(f"{prefix}*.txt"), key=lambda file: file.stem.rsplit("-", 1)[-1]):
        name = book.stem.removeprefix(prefix).split("-")[0]
        if len(name) > 2:
            by_name.setdefault(name, []).append(book)
    authors = [Author(name, tuple(books)) for name, books in sorted(by_name.items()) if len(books) == 3]
    chosen = [author for author in authors if not names or author.name in names]
    if not chosen:
        raise StackError(f"{novels} has no three books of an author: NOVELS names the folder.")
    return chosen


def take_words(book: Path, count: int, *, skipped: int = 0) -> str:
    """Return so many words of a book, in its paragraphs, after those that are skipped.

    It is read as an uploaded file is: half of such books are wrapped, and no writer means those line breaks.
    """
    [document] = read_document(book.name, book.read_bytes())
    taken: list[str] = []
    seen = 0
    for paragraph in document.text.split("\n\n"):
        words = paragraph.split()
        part = words[max(0, skipped - seen) : max(0, skipped + count - seen)]
        if part:
            taken.append(" ".join(part))
        seen += len(words)
    return "\n\n".join(taken)


def lay_job(author: Author, folder: Path, *, words: int, recipe: dict[str, object], threads: int) -> None:
    """Write the job of an author's style."""
    documents = []
    for book in author.books[:2]:
        documents.append(SourceDocument(id=book.stem, text=take_words(book, words // 2), language="en"))
    examples = make_examples(plan_examples(build_corpus(documents, seed=SEED), seed=SEED), {})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "learn.jsonl").write_bytes(as_jsonl(examples.learned))
    (folder / "validate.jsonl").write_bytes(as_jsonl(examples.validation))
    job = {"base": str(BASE), "base_name": BASE.name, "threads": threads, "seed": SEED, "recipe": recipe}
    (folder / "job.json").write_text(json.dumps(job))


def write_judged(author: Author, file: Path) -> None:
    """Write the examples of an author's third book."""
    text = take_words(author.books[2], JUDGED_WORDS, skipped=SKIPPED_WORDS)
    document = SourceDocument(id=author.name, text=text, language="en")
    examples = make_examples(plan_examples(build_corpus([document], seed=SEED), seed=SEED), {})
    file.write_bytes(as_jsonl([*examples.learned, *examples.validation]))


def train_style(folder: Path) -> float:
    """Train a job; return its seconds. One that is trained is left alone. Raises StackError."""
    if (folder / "adapter" / "adapter_model.safetensors").exists():
        return 0.0
    started_s = time.monotonic()
    done = subprocess.run([PYTHON, ROOT / "engine" / "train.py", folder], capture_output=True, text=True)
    if done.returncode:
        raise StackError(f"{folder.name} failed: {done.stdout[-300:]} {done.stderr[-300:]}")
    return time.monotonic() - started_s


def judge_styles(authors: list[Author], *, threads: int) -> dict[str, dict[str, float]]:
    """Return third book → style → loss. Raises StackError."""
    adapters = []
    for author in authors:
        adapters += ["--adapter", f"{author.name}={WORK / author.name / 'adapter'}"]
    texts = [str(WORK / f"{author.name}.jsonl") for author in authors]
    command: list[str | Path] = [
        PYTHON,
        ROOT / "engine" / "judge.py",
        "--base",
        BASE,
        "--threads",
        str(threads),
    ]
    done = subprocess.run([*command, *adapters, *texts], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise StackError("The styles could not be judged. See above.")
    judged: dict[str, dict[str, float]] = json.loads(done.stdout)
    return judged


def gains_percent(judged: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Return third book → style → by how many percent its perplexity is below the base's."""
    gains = {}
    for book, losses in judged.items():
        gains[book] = {
            name: 100 * (1 - math.exp(loss - losses["base"]))
            for name, loss in losses.items()
            if name != "base"
        }
    return gains


def describe_gains(gains: dict[str, dict[str, float]]) -> str:
    """Return the table, and what it says."""
    names = list(gains)
    lines = ["| third book of | " + " | ".join(names) + " | lead |", "|---" * (len(names) + 2) + "|"]
    leads = []
    for book in names:
        others = [gains[book][name] for name in names if name != book]
        leads.append(gains[book][book] - mean(others) if others else 0.0)
        cells = [
            f"**{gains[book][name]:.1f}**" if name == book else f"{gains[book][name]:.1f}" for name in names
        ]
        lines.append(f"| {book} | " + " | ".join(cells) + f" | {leads[-1]:+.1f} |")
    own = [gains[book][book] for book in names]
    best = sum(gains[book][book] == max(gains[book].values()) for book in names)
    lines.append("")
    lines.append(
        f"Own style: {min(own):.1f} % at least, median {median(own):.1f} %. Best in its row for {best} of "
        f"{len(names)}; median lead over the others' mean {median(leads):.1f} points."
    )
    return "\n".join(lines)


def own_style(*, authors: list[str], words: int, recipe: str, threads: int) -> int:
    """Run the trial; return 0 if each style predicts its author as well as it must. Raises StackError."""
    chosen = find_authors(Path(os.environ.get("NOVELS", "")), authors)
    for author in chosen:
        lay_job(author, WORK / author.name, words=words, recipe=json.loads(recipe), threads=threads)
        write_judged(author, WORK / f"{author.name}.jsonl")
        print(f"{author.name}: trained in {train_style(WORK / author.name):.0f} s", flush=True)
    gains = gains_percent(judge_styles(chosen, threads=threads))
    print(describe_gains(gains))
    return int(any(gains[name][name] < LEAST_OWN_PERCENT for name in gains))
