"""`make styles`, `make trial NAME=control`: train shipped styles and controls by the product's own trainer.

A style learns its examples.jsonl but every tenth line, which is kept for validation. heldout.jsonl is never
read here: the figures of docs/styles.md are of it. The same texts, base and torch build give the same
weights.

A control is what styles are compared with. It is trained like a style, on many authors of NOVELS together:
what a style predicts better is its writer's own. The texts stay outside the repository: control.json names
them. Everyday requests and plain versions are answered by the base greedily, without an engine; var/controls
keeps these answers.
"""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from labs.impostors import find_books
from stack.engine import PYTHON
from stack.errors import StackError
from stack.folders import ROOT, shown
from training.corpus import (
    MOST_ANSWER_TOKENS,
    SourceDocument,
    Task,
    as_jsonl,
    build_corpus,
    choose_instructions,
    make_examples,
    plan_examples,
    writer_prompts,
)
from training.reading import read_document

WORK = ROOT / "var" / "controls"
CONTROLS = ROOT / "engine" / "controls"
STYLES = ROOT / "engine" / "styles"
STYLES_BASE_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
STYLES_THREADS = 2  # the order of sums, and so the last bits of the weights, depends on it
VALIDATE_EVERY = 10
GREEDY = ROOT / "dev" / "labs" / "engine" / "greedy.py"
SEED = 7
BATCH = 16
MAX_DRAFT_TOKENS = 96
SKIPPED_WORDS = 12_000  # of each book: what is measured learns and holds out what comes before
LEARNED_BOOKS = 2  # of each author; the third is left for what judges a style
RECIPE = {"rank": 8, "epochs": 2}  # a style's own, so that only the texts differ
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


@dataclass(frozen=True)
class Author:
    """An author's books, the earliest first: two to learn, the third to judge."""

    name: str
    books: tuple[Path, ...]


def train_styles(*, styles: list[str], base: Path) -> int:
    """Train these of the shipped styles, or all, and write their adapters beside their texts.

    Raises StackError.
    """
    for name in styles or sorted(folder.name for folder in STYLES.iterdir() if folder.is_dir()):
        lines = (STYLES / name / "examples.jsonl").read_text().splitlines()
        conversations = [_as_conversation(json.loads(line)) for line in lines]
        learned = [line for number, line in enumerate(conversations, 1) if number % VALIDATE_EVERY]
        with TemporaryDirectory() as scratch:
            job = Path(scratch)
            (job / "learn.jsonl").write_text("\n".join(learned))
            (job / "validate.jsonl").write_text(
                "\n".join(conversations[VALIDATE_EVERY - 1 :: VALIDATE_EVERY])
            )
            settings = {
                "base": str(base.absolute()),
                "base_name": STYLES_BASE_NAME,
                "threads": STYLES_THREADS,
            }
            train(job, settings, STYLES / name)
    return 0


def _as_conversation(row: dict[str, str]) -> str:
    roles = {"user": row["prompt"], "assistant": row["response"]}
    return json.dumps({"messages": [{"role": role, "content": text} for role, text in roles.items()]})


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
    books = [book for author in chosen for book in author.books[:LEARNED_BOOKS]]
    folder = out or CONTROLS / language
    with TemporaryDirectory() as scratch:
        job = Path(scratch)
        documents = []
        for book in books:
            text = take_words(book, words // len(books), skipped=SKIPPED_WORDS)
            documents.append(SourceDocument(id=book.stem, text=text, language=language))
        write_examples(documents, job, base=base, language=language)
        settings: dict[str, object] = {"base": str(base), "base_name": base_name, "threads": threads}
        settings |= {"seed": SEED, "early_stopping": False, "recipe": RECIPE}
        train(job, settings, folder)
    described = {
        "base": base_name,
        "language": language,
        "words": words,
        "books": [book.stem for book in books],
        "recipe": RECIPE,
        "seed": SEED,
    }
    (folder / "control.json").write_text(json.dumps(described, indent=2) + "\n")
    return 0


def find_authors(novels: Path, names: list[str], *, language: str = "en") -> list[Author]:
    """Return the authors with three books, or those of them that are named. Raises StackError."""
    books = find_books(novels, language)
    authors = [Author(name, tuple(three)) for name, three in books.items() if len(three) == 3]
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


def write_examples(documents: list[SourceDocument], folder: Path, *, base: Path, language: str) -> None:
    """Write learn.jsonl and validate.jsonl as the product makes them. Raises StackError."""
    corpus = build_corpus(documents, seed=SEED)
    instructions = choose_instructions(language, examples=len(corpus.learned), seed=SEED)
    prompts = {instruction.id: instruction.prompt for instruction in instructions}
    file = WORK / f"answers-{base.name}-{language}.json"
    answers = keep_answers(file, prompts, base=base, max_tokens=MOST_ANSWER_TOKENS)
    plans = plan_examples(corpus, seed=SEED)
    asked = {
        name: text for plan in plans if plan.task is Task.DRAFT for name, text in writer_prompts(plan).items()
    }
    drafts = keep_answers(folder / "drafts.json", asked, base=base, max_tokens=MAX_DRAFT_TOKENS, penalty=1.0)
    examples = make_examples(plans, answers | drafts, instructions)
    (folder / "learn.jsonl").write_bytes(as_jsonl(examples.learned))
    (folder / "validate.jsonl").write_bytes(as_jsonl(examples.validation))


def keep_answers(
    file: Path, prompts: Mapping[str, str], *, base: Path, max_tokens: int, penalty: float | None = None
) -> dict[str, str]:
    """Return a base's answers by the names of the prompts, from a file if it has them. Raises StackError.

    Without a penalty on repetitions, the base model's own counts.
    """
    kept: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    if missing := [name for name in prompts if name not in kept]:
        missing.sort(key=lambda name: len(prompts[name]))  # those that are answered at once are alike
        asked = [{"adapter": None, "prompt": prompts[name]} for name in missing]
        command = [str(PYTHON), str(GREEDY), "--base", str(base), "--max-tokens", str(max_tokens)]
        command += ["--batch", str(BATCH), *(["--penalty", str(penalty)] if penalty else [])]
        done = subprocess.run(command, input=json.dumps(asked), stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise StackError("Nothing was answered. See above.")
        kept |= dict(zip(missing, json.loads(done.stdout), strict=True))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(kept))
    return kept


def train(job: Path, settings: Mapping[str, object], out: Path) -> None:
    """Train on the texts in a job's folder, and write the adapter's files to `out`. Raises StackError."""
    (job / "job.json").write_text(json.dumps(settings))
    began_s = time.monotonic()
    done = subprocess.run([PYTHON, ROOT / "engine" / "train.py", job], capture_output=True, text=True)
    if done.returncode:
        raise StackError(f"{shown(out)} was not trained: {done.stdout[-300:]} {done.stderr[-300:]}")
    out.mkdir(parents=True, exist_ok=True)
    for name in ADAPTER_FILES:
        shutil.copyfile(job / "adapter" / name, out / name)
    print(f"{shown(out)}: trained in {time.monotonic() - began_s:.0f} s", flush=True)
