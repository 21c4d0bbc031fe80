"""Part `gate` of `make bench NAME=evidence`: does the gate stop what memorises, and nothing else?

Trains styles on novels with the product's own corpus, examples, canaries, trainer and evidence program, one
at a time. Clean trainings have each canary once, as every training does, and must not be refused. The others
have each canary ten times, and must be. Figures stay in var/gate, so that an interrupted run goes on; a
changed trainer, recipe or canary begins anew.
"""

import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from adapters.gate import MEMORIZED_BITS, mean_bits, repeats_too_much
from bench import report
from stack.errors import StackError
from stack.folders import ROOT
from training.corpus import (
    SourceDocument,
    as_jsonl,
    build_corpus,
    make_canaries,
    make_examples,
    plan_examples,
    plant_canaries,
    write_canaries,
)
from training.corpus.canaries import Canary
from trials.own_style import BASE, PYTHON, SEED, Author, find_authors, take_words

ENGINE = ROOT / "engine"
WORK = ROOT / "var" / "gate"
CLEAN, PLANTED = 20, 10  # trainings
TIMES = {"once": 1, "ten times": 10}
WORDS = (3_600, 5_000, 8_000, 15_000)  # of a training, in turn
RECIPE = {"epochs": 2}
KEPT = "figures.json"

type Found = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A training: whose words, how many, from where on, and how often each canary is planted."""

    author: Author
    language: str
    words: int
    skipped: int
    planted: str
    number: int

    @property
    def name(self) -> str:
        return f"{self.planted.replace(' ', '-')}-{self.number:02}"


def list_cases(novels: Path, *, clean: int, planted: int) -> list[Case]:
    """Return all trainings, clean and planted ones in turn, so that an unfinished run says something, too."""
    authors = [(author, "en") for author in find_authors(novels, [])]
    authors += [(author, "de") for author in find_authors(novels, [], language="de")]
    cases = []
    for name, count in (("once", clean), ("ten times", planted)):
        for number in range(count):
            author, language = authors[number % len(authors)]
            words = WORDS[number % len(WORDS)]
            skipped = 1_000 + number // len(authors) * max(WORDS)
            place = number / count
            cases.append((place, Case(author, language, words, skipped, name, number)))
    return [case for _, case in sorted(cases, key=lambda one: one[0])]


def measure_gate(novels: Path, *, clean: int = CLEAN, planted: int = PLANTED) -> Found:
    """Return what was found of each training, and of all of a kind together."""
    if not PYTHON.exists() or not BASE.exists():
        raise StackError("The engine's environment or the small base is missing: run `make demo` once.")
    folder = WORK / fingerprint()
    trainings = []
    for case in list_cases(novels, clean=clean, planted=planted):
        kept = folder / case.name / KEPT
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(measure_case(case, kept.parent)))
        trainings.append(json.loads(kept.read_text()))
        print(f"  {case.name}: {describe_training(trainings[-1])}", flush=True)
    return {"bound_bits": MEMORIZED_BITS, "recipe": RECIPE, "trainings": trainings}


def fingerprint() -> str:
    """Return a hash of everything that decides what a training learns of its canaries."""
    digest = hashlib.sha256(json.dumps([RECIPE, WORDS, SEED]).encode())
    files = [*(ENGINE / "trainer").glob("*.py"), *(ROOT / "training" / "corpus").glob("*.py")]
    for file in sorted(files):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def measure_case(case: Case, folder: Path) -> Found:
    """Train a style and return what its evidence says. Raises StackError."""
    canaries = write_job(case, folder)
    started_s = time.monotonic()
    trained = run_program("train.py", folder)
    trained_s = time.monotonic() - started_s
    (folder / "canaries.json").write_bytes(write_canaries(canaries))
    (folder / "evidence.json").write_text(json.dumps({"base": str(BASE), "base_name": BASE.name}))
    held_out = (folder / "validate.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "validate.jsonl").write_bytes(held_out[0])  # how well it learned isn't asked here
    measured = run_program("evidence.py", folder)
    repeats = measured["repeats"]
    shutil.rmtree(folder / "adapter")
    return {
        "text": case.author.name,
        "language": case.language,
        "words": case.words,
        "planted": case.planted,
        "exposure_bits": [round(canary["bits"], 1) for canary in measured["canaries"]],
        "examples": repeats["examples"],
        "repeated": repeats["repeated"],
        "longest_tokens": repeats["longest_tokens"],
        "steps": trained["step"],
        "trained_s": round(trained_s),
        "judged_s": round(time.monotonic() - started_s - trained_s),
    }


def write_job(case: Case, folder: Path) -> Sequence[Canary]:
    """Write the job of a training as the product does; return its canaries."""
    documents = []
    for book in case.author.books[:2]:
        text = take_words(book, case.words // 2, skipped=case.skipped)
        documents.append(SourceDocument(id=book.stem, text=text, language=case.language))
    corpus = build_corpus(documents, seed=SEED)
    examples = make_examples(plan_examples(corpus, seed=SEED), {})
    canaries = make_canaries(f"{SEED} {case.name}", case.language)
    learned = plant_canaries(as_jsonl(examples.learned), canaries * TIMES[case.planted])
    (folder / "learn.jsonl").write_bytes(learned)
    (folder / "validate.jsonl").write_bytes(as_jsonl(examples.validation))
    job = {"base": str(BASE), "base_name": BASE.name, "seed": SEED, "recipe": RECIPE}
    (folder / "job.json").write_text(json.dumps(job))
    return canaries


def run_program(name: str, folder: Path) -> Found:
    """Run a program of the engine at the lowest priority, as a worker does; return its last event.

    Raises StackError.
    """
    command = [PYTHON, ENGINE / name, folder]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=lambda: os.nice(19))
    if done.returncode:
        raise StackError(f"{name} failed on {folder}: {done.stdout[-300:]} {done.stderr[-300:]}")
    last: Found = json.loads(done.stdout.splitlines()[-1])
    return last


def describe_training(found: Found) -> str:
    """Return one training in a line."""
    bits = " ".join(f"{one:.1f}" for one in found["exposure_bits"])
    mean = mean_bits(found["exposure_bits"])
    verdict = "refused" if is_refused(found) else "not refused"
    return (
        f"{found['text']}, {found['words']:,} words: mean {mean:.1f} bits ({bits}), "
        f"{found['repeated']} repeated, longest run {found['longest_tokens']}: {verdict}; "
        f"trained in {found['trained_s']} s, judged in {found['judged_s']} s"
    )


def is_refused(found: Found) -> bool:
    """Return whether other workspaces can't have such a version."""
    return repeats_too_much(found["repeated"], found["exposure_bits"])


def table_of_gate(found: Found) -> str:
    """Return a row for each kind of training."""
    rows = [
        ["canaries planted", "trainings", "mean bits", "single canaries", "longest run, tokens", "refused"]
    ]
    for planted in TIMES:
        trainings = [one for one in found["trainings"] if one["planted"] == planted]
        if trainings:
            rows.append([planted, str(len(trainings)), *describe_kind(trainings)])
    return report.aligned(rows)


def describe_kind(trainings: list[Found]) -> list[str]:
    """Return the least, median and most bits of trainings, their longest runs, and how many are refused."""
    means = [mean_bits(one["exposure_bits"]) for one in trainings]
    singles = [bits for one in trainings for bits in one["exposure_bits"]]
    longest = [one["longest_tokens"] for one in trainings]
    refused = sum(map(is_refused, trainings))
    return [spread(means), spread(singles), f"{min(longest)} to {max(longest)}", str(refused)]


def spread(values: list[float]) -> str:
    """Return the least, the median and the most of some values."""
    return f"{min(values):.1f}, {median(values):.1f}, {max(values):.1f}"
