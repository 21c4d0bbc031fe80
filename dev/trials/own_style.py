"""`make trial NAME=own-style`: do styles learn their author, or only the genre?

Trains a style on two books of each author of NOVELS with the product's own corpus, examples and trainer, and
lets each style predict each author's third book. Prints a table: perplexity below the base's, in percent.
Everyday requests are answered by the base greedily, without an engine. Adapters stay in var/own-style, so
that an interrupted trial goes on.
"""

import json
import math
import os
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from labs import report
from labs.impostors import find_books
from stack.errors import StackError
from stack.folders import ROOT
from training.corpus import (
    MOST_ANSWER_TOKENS,
    CorpusReport,
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

type Losses = dict[str, dict[str, float]]

WORK = ROOT / "var" / "own-style"
PYTHON = ROOT / ".venv-engine" / "bin" / "python"
BASE = ROOT / "var" / "models" / "SmolLM2-135M-Instruct"
SEED = 7
JUDGED_WORDS = 6_000
BATCH = 16
MAX_DRAFT_TOKENS = 96
SKIPPED_WORDS = 3_000  # of the third book: its beginning has titles and prefaces
LEAST_OWN_PERCENT = 20
CONTROL = "control"
PROGRAMS = ROOT / "dev" / "labs" / "engine"
LEAST_LEAD = 1.0  # points of perplexity over the control
# The control is trained like a style, on many authors together: what a style predicts better is its writer's
# own. The texts stay outside the repository: control.json names them.
CONTROLS = ROOT / "engine" / "controls"
SHIPPED = ROOT / "engine" / "styles"
SHIPPED_BASE_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
SHIPPED_THREADS = 2  # the order of sums, and so the last bits of the weights, depends on it
VALIDATE_EVERY = 10
CONTROL_SKIPPED_WORDS = 12_000  # of each book: trials and benches learn and hold out what comes before
LEARNED_BOOKS = 2  # of each author; the third is judged
CONTROL_RECIPE = {"rank": 8, "epochs": 2}  # a style's own, so that only the texts differ
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


@dataclass(frozen=True)
class Author:
    """An author's books, the earliest first: two to learn, the third to judge."""

    name: str
    books: tuple[Path, ...]


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


def keep_answers(
    file: Path, prompts: Mapping[str, str], *, base: Path, max_tokens: int, **sampling: float
) -> dict[str, str]:
    """Return a base's answers by the names of the prompts, from a file if it has them. Raises StackError."""
    kept: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    if missing := [name for name in prompts if name not in kept]:
        missing.sort(key=lambda name: len(prompts[name]))  # those that are answered at once are alike
        requests = [(None, prompts[name]) for name in missing]
        answers = answer_prompts(requests, base=base, max_tokens=max_tokens, **sampling)
        kept |= dict(zip(missing, answers, strict=True))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(kept))
    return kept


def answer_prompts(
    requests: Sequence[tuple[Path | None, str]], *, base: Path, max_tokens: int, **sampling: float
) -> list[str]:
    """Return answers to prompts by adapters, or by the base where there is none. Raises StackError.

    `sampling` is what greedy.py takes: a temperature, top_p, and a penalty on repetitions.
    """
    asked = [{"adapter": adapter and str(adapter), "prompt": prompt} for adapter, prompt in requests]
    program: list[str | Path] = [PYTHON, PROGRAMS / "greedy.py", "--base", base]
    command = [*program, "--max-tokens", str(max_tokens), "--batch", str(BATCH)]
    for name, value in sampling.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    done = subprocess.run(command, input=json.dumps(asked), stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise StackError("Nothing was answered. See above.")
    answers: list[str] = json.loads(done.stdout)
    return answers


def write_examples(
    documents: list[SourceDocument], folder: Path, *, base: Path, language: str
) -> CorpusReport:
    """Write learn.jsonl and validate.jsonl as the product makes them; return the report of the corpus."""
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
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "learn.jsonl").write_bytes(as_jsonl(examples.learned))
    (folder / "validate.jsonl").write_bytes(as_jsonl(examples.validation))
    return corpus.report


def lay_job(author: Author, folder: Path, *, words: int, recipe: dict[str, object], threads: int) -> None:
    """Write the job of an author's style. Raises StackError."""
    documents = []
    for book in author.books[:2]:
        documents.append(SourceDocument(id=book.stem, text=take_words(book, words // 2), language="en"))
    corpus = write_examples(documents, folder, base=BASE, language="en")
    job = {"base": str(BASE), "base_name": BASE.name, "threads": threads, "seed": SEED, "recipe": recipe}
    job["early_stopping"] = corpus.held_out_documents
    (folder / "job.json").write_text(json.dumps(job))


def write_judged(author: Author, file: Path) -> None:
    """Write the examples of an author's third book."""
    text = take_words(author.books[2], JUDGED_WORDS, skipped=SKIPPED_WORDS)
    document = SourceDocument(id=author.name, text=text, language="en")
    plans = plan_examples(build_corpus([document], seed=SEED), seed=SEED, keeps_names=True)
    examples = make_examples(plans, {})
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


def judge_styles(authors: list[Author], *, threads: int, is_plain: bool = False) -> Losses:
    """Return third book → style → loss in nats a token. Raises StackError."""
    command: list[str | Path] = [PYTHON, PROGRAMS / "judge.py", "--base", BASE]
    command += ["--threads", str(threads), *(["--plain"] if is_plain else [])]
    for name, folder in {author.name: WORK / author.name / "adapter" for author in authors}.items():
        command += ["--adapter", f"{name}={folder}"]
    command += ["--adapter", f"{CONTROL}={CONTROLS / 'en'}"]
    texts = [WORK / f"{author.name}.jsonl" for author in authors]
    done = subprocess.run([*command, *texts], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise StackError("The styles could not be judged. See above.")
    judged: Losses = json.loads(done.stdout)
    return judged


def gains_percent(judged: Losses) -> Losses:
    """Return third book → style → by how many percent its perplexity is below the base's."""
    gains = {}
    for book, losses in judged.items():
        gains[book] = {
            name: 100 * (1 - math.exp(loss - losses["base"]))
            for name, loss in losses.items()
            if name != "base"
        }
    return gains


def describe_gains(gains: Losses, plain: Losses) -> str:
    """Return the table, and what it says. `plain` are the gains without requests and the chat template."""
    rows = [["third book of", "own style", "best of the others", "control", "lead", "without the template"]]
    own, leads, without = [], [], []
    for book, of in gains.items():
        others = {name: gain for name, gain in of.items() if name not in (book, CONTROL)}
        best = max(others, key=others.__getitem__, default=None)
        own.append(of[book])
        leads.append(of[book] - of[CONTROL])
        without.append(plain[book][book])
        others_best = f"{others[best]:.1f}% ({best.capitalize()})" if best else "-"
        cells = [f"**{own[-1]:.1f}%**", others_best, f"{of[CONTROL]:.1f}%"]
        rows.append([book.capitalize(), *cells, f"{leads[-1]:+.1f}", f"{without[-1]:.1f}%"])
    verdict = (
        f"Own style: {min(own):.1f}% at least, {median(own):.1f}% in the median; without the chat template "
        f"{median(without):.1f}%. Ahead of the control by {LEAST_LEAD:.0f} point or more for "
        f"{sum(lead >= LEAST_LEAD for lead in leads)} of {len(leads)}, by {median(leads):.1f} in the median."
    )
    return f"{report.aligned(rows)}\n\n{verdict}"


def own_style(*, authors: list[str], words: int, recipe: str, threads: int) -> int:
    """Run the trial; return 0 if each style predicts its author as well as it must. Raises StackError."""
    chosen = find_authors(Path(os.environ.get("NOVELS", "")), authors)
    for author in chosen:
        lay_job(author, WORK / author.name, words=words, recipe=json.loads(recipe), threads=threads)
        write_judged(author, WORK / f"{author.name}.jsonl")
        print(f"{author.name}: trained in {train_style(WORK / author.name):.0f} s", flush=True)
    gains = gains_percent(judge_styles(chosen, threads=threads))
    plain = gains_percent(judge_styles(chosen, threads=threads, is_plain=True))
    print(describe_gains(gains, plain))
    return int(any(gains[name][name] < LEAST_OWN_PERCENT for name in gains))


def train_shipped(*, styles: list[str], base: Path) -> int:
    """Train these of the shipped styles, or all, and write their adapters beside their texts.

    Every tenth example is kept for validation. heldout.jsonl is never read here: the figures of
    docs/styles.md are of it. The same texts, base and torch build give the same weights. Raises StackError.
    """
    for name in styles or sorted(folder.name for folder in SHIPPED.iterdir() if folder.is_dir()):
        lines = (SHIPPED / name / "examples.jsonl").read_text().splitlines()
        conversations = [_as_conversation(json.loads(line)) for line in lines]
        learned = [line for number, line in enumerate(conversations, 1) if number % VALIDATE_EVERY]
        validated = conversations[VALIDATE_EVERY - 1 :: VALIDATE_EVERY]
        settings = {"base": str(base.absolute()), "base_name": SHIPPED_BASE_NAME, "threads": SHIPPED_THREADS}
        with TemporaryDirectory() as scratch:
            job = Path(scratch)
            (job / "learn.jsonl").write_text("\n".join(learned))
            (job / "validate.jsonl").write_text("\n".join(validated))
            (job / "job.json").write_text(json.dumps(settings))
            seconds = train_style(job)
            copy_adapter(job, SHIPPED / name)
        print(f"{name}: trained in {seconds:.0f} s", flush=True)
    return 0


def _as_conversation(row: Mapping[str, str]) -> str:
    roles = {"user": row["prompt"], "assistant": row["response"]}
    return json.dumps({"messages": [{"role": role, "content": text} for role, text in roles.items()]})


def copy_adapter(job: Path, folder: Path) -> None:
    """Copy what a job has trained."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ADAPTER_FILES:
        shutil.copyfile(job / "adapter" / name, folder / name)


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
            text = take_words(book, words // len(books), skipped=CONTROL_SKIPPED_WORDS)
            documents.append(SourceDocument(id=book.stem, text=text, language=language))
        write_examples(documents, job, base=base, language=language)
        settings = {"base": str(base), "base_name": base_name, "threads": threads}
        (job / "job.json").write_text(
            json.dumps(settings | {"seed": SEED, "early_stopping": False, "recipe": CONTROL_RECIPE})
        )
        seconds = train_style(job)
        copy_adapter(job, folder)
    described = {
        "base": base_name,
        "language": language,
        "words": words,
        "books": [book.stem for book in books],
        "recipe": CONTROL_RECIPE,
        "seed": SEED,
    }
    (folder / "control.json").write_text(json.dumps(described, indent=2) + "\n")
    print(f"{folder}: {len(chosen)} authors, trained in {seconds:.0f} s", flush=True)
    return 0
