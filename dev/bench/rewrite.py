"""`make bench NAME=rewrite`: does a style rewrite plain drafts as its author would, and keep what they say?

NOVELS is a folder with three books of each author (labs/impostors.py says how they are named). Styles of the
authors in AUTHORS, or of those named, are trained on two books with the demo's base, drafts included. From
each third book come parts that nobody has learned. The base writes neutral drafts of them, and the style and
the base are asked to rewrite these drafts in the same words, drawn as Write draws them. A verifier of the
author's two books, with the other authors as impostors, says which is nearer; of the content, the draft's
words and names that are still there count. Adapters and drafts stay in var/rewrite, so that an interrupted
run goes on. Writes bench/results/desk.json and a table in docs/evidence.md.
"""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from adapters.verifier import Verifier, train_verifier  # noqa: E402
from adapters.verifier.features import measure_passages  # noqa: E402
from adapters.verifier.impostors import join_authors, measure_author  # noqa: E402
from bench.evidence import DOC  # noqa: E402
from labs import machine, report  # noqa: E402
from labs.impostors import cut_passages, find_books  # noqa: E402
from stack.folders import ROOT  # noqa: E402
from training.corpus import SourceDocument, build_corpus, draft_prompt  # noqa: E402
from training.corpus.pairs import kept_share  # noqa: E402
from training.runs.rewriting import choose_parts, rewrite_prompts, usable_drafts  # noqa: E402
from trials import own_style  # noqa: E402
from trials.own_style import BASE, SEED, Author, answer_prompts, keep_answers, lay_job, train_style  # noqa: E402

WORK = ROOT / "var" / "rewrite"
# Every third of the twelve whose styles the other benches train, and every fifth of twenty others.
AUTHORS = ("burnett", "doyle", "haggard", "morris", "barclay", "conrad", "james", "schreiner")
UNSEEN = ("barclay", "conrad", "james", "schreiner")
WORDS, EPOCHS = 10_000, 1  # of two books
JUDGED_WORDS = 12_000  # of the third, after its beginning
ASKED, MOST = 60, 16  # parts of which a draft is asked for, and drafts that are rewritten
MAX_TOKENS = 96
SAMPLING = {"temperature": 0.3, "top_p": 0.95, "penalty": 1.0}
LEAST_NEARER, LEAST_KEPT = 0.8, 0.9
# Whose scores are compared. What the author wrote is how far a verifier can tell texts that are so short.
COMPARED = (
    ("style", "base", "nearer_than_base"),
    ("style", "drafts", "nearer_than_draft"),
    ("parts", "base", "author_nearer_than_base"),
)

type Figures = dict[str, float]


@dataclass(frozen=True)
class Rewritten:
    """Parts of a book, their drafts, and what became of them."""

    parts: Sequence[str]
    drafts: Sequence[str]
    base: Sequence[str]
    style: Sequence[str]


def train(author: Author, *, words: int, epochs: int) -> None:
    """Train an author's style, unless it is there. Raises StackError."""
    folder = WORK / author.name
    lay_job(author, folder, words=words, recipe={"epochs": epochs}, threads=1)
    seconds = train_style(folder)
    print(f"  {author.name}: {count_tasks(author)}, trained in {seconds:.0f} s", flush=True)


def count_tasks(author: Author) -> dict[str, int]:
    """Return how many examples of each task a style has learned."""
    lines = (WORK / author.name / "learn.jsonl").read_text().splitlines()
    return dict(Counter(json.loads(line)["task"] for line in lines))


def write_drafts(author: Author) -> dict[str, str]:
    """Return parts of the author's third book, each with its draft. Raises StackError."""
    text = own_style.take_words(author.books[2], JUDGED_WORDS, skipped=own_style.SKIPPED_WORDS)
    corpus = build_corpus([SourceDocument(id=author.name, text=text, language="en")], seed=SEED)
    parts = choose_parts([one.text for one in (*corpus.learned, *corpus.held_out)], most=ASKED)
    asked = {part: draft_prompt(part, "en") for part in parts}
    file = WORK / author.name / "judged.json"
    answers = keep_answers(file, asked, base=BASE, max_tokens=MAX_TOKENS, penalty=1.0)
    usable = usable_drafts([answers[part] for part in parts], parts, "en")
    return {parts[number]: draft for number, draft in list(usable.items())[:MOST]}


def rewrite_all(drafts: Mapping[str, Mapping[str, str]]) -> dict[str, Rewritten]:
    """Return what the base and each author's style make of the author's drafts. Raises StackError."""
    requests = []
    for name, by_part in drafts.items():
        prompts = rewrite_prompts(list(by_part.values()), "en")
        for adapter in (None, WORK / name / "adapter"):
            requests += [(adapter, prompt) for prompt in prompts]
    answers = iter(answer_prompts(requests, base=BASE, max_tokens=MAX_TOKENS, **SAMPLING))
    found = {}
    for name, by_part in drafts.items():
        base, style = [[next(answers) for _ in by_part] for _ in range(2)]
        found[name] = Rewritten(list(by_part), list(by_part.values()), base, style)
    return found


def train_verifiers(novels: Path, names: Sequence[str]) -> dict[str, Verifier]:
    """Return a verifier of each of these authors, by two books; the impostors are all others."""
    passages, measured = {}, {}
    for name, books in find_books(novels, "en").items():
        passages[name] = [passage for book in books[:2] for passage in cut_passages(book.read_text())]
        measured[name] = measure_author(measure_passages(passages[name], "en"))
    verifiers = {}
    for name in names:
        others = join_authors([one for other, one in measured.items() if other != name])
        verifiers[name] = train_verifier(passages[name], "en", impostors=others)
    return verifiers


def measure(found: Rewritten, verifier: Verifier) -> Figures:
    """Return one author's figures."""
    scores = {name: [verifier.score(text) for text in texts] for name, texts in vars(found).items()}
    figures: Figures = {f"{name}_score": fmean(each) for name, each in scores.items()}
    figures["rewrites"] = len(found.drafts)
    for who, other, name in COMPARED:
        pairs = zip(scores[who], scores[other], strict=True)
        figures[name] = sum(score > than for score, than in pairs)
    figures["same_as_base"] = sum(style == base for style, base in zip(found.style, found.base, strict=True))
    for name, texts in (("style", found.style), ("base", found.base)):
        shares = [kept_share(draft, text, "en") for draft, text in zip(found.drafts, texts, strict=True)]
        figures[f"{name}_kept"] = fmean(shares)
        figures[f"{name}_words"] = fmean(len(text.split()) for text in texts)
    return {name: round(value, 3) for name, value in figures.items()}


def describe(found: Mapping[str, Figures]) -> str:
    """Return a row for each author, and which bounds hold."""
    heads = [
        "rewrites",
        "nearer than the base's",
        "the same text",
        "nearer than the draft",
        "the author's own, nearer than the base's",
    ]
    rows = [["author", *heads, "scores: draft, base, style, author", "kept", "by the base", "pairs learned"]]
    for name, figures in found.items():
        scores = [f"{figures[f'{who}_score']:.2f}" for who in ("drafts", "base", "style", "parts")]
        counted = (
            "rewrites",
            "nearer_than_base",
            "same_as_base",
            "nearer_than_draft",
            "author_nearer_than_base",
        )
        counts = [f"{figures[one]:.0f}" for one in counted]
        kept = [f"{figures[f'{who}_kept']:.2f}" for who in ("style", "base")]
        label = f"{name.capitalize()}{' (new)' if name in UNSEEN else ''}"
        rows.append([label, *counts, ", ".join(scores), *kept, f"{figures.get('draft', 0):.0f}"])
    rewrites = sum(one["rewrites"] for one in found.values())
    nearer = sum(one["nearer_than_base"] for one in found.values()) / rewrites
    kept_of_base = sum(one["style_kept"] for one in found.values()) / sum(
        one["base_kept"] for one in found.values()
    )
    own = sum(one["author_nearer_than_base"] for one in found.values()) / rewrites
    verdicts = [
        f"Nearer to the author than the base's: {100 * nearer:.0f} % of {rewrites:.0f} (bound "
        f"{100 * LEAST_NEARER:.0f} %, {report.verdict(nearer >= LEAST_NEARER)}).",
        f"What the author wrote is nearer in {100 * own:.0f} %.",
        f"Content kept: {100 * kept_of_base:.0f} % of the base's (bound {100 * LEAST_KEPT:.0f} %, "
        f"{report.verdict(kept_of_base >= LEAST_KEPT)}).",
    ]
    return f"{report.aligned(rows)}\n\n{' '.join(verdicts)}"


def main() -> int:
    """Train, rewrite, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("authors", nargs="*", help="only these")
    parser.add_argument("--words", type=int, default=WORDS, help=f"to learn (default: {WORDS:,})")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"of a training (default: {EPOCHS})")
    options = parser.parse_args()
    novels = Path(os.environ.get("NOVELS", ""))
    authors = own_style.find_authors(novels, options.authors or list(AUTHORS))
    for author in authors:
        train(author, words=options.words, epochs=options.epochs)
    rewritten = rewrite_all({author.name: write_drafts(author) for author in authors})
    verifiers = train_verifiers(novels, list(rewritten))
    found = {}
    for author in authors:
        found[author.name] = measure(rewritten[author.name], verifiers[author.name]) | count_tasks(author)
    table = describe(found)
    print(table)
    report.between_marks("rewrite", table, DOC)
    how = {"words": options.words, "epochs": options.epochs, "sampling": SAMPLING}
    results = how | {"authors": found, "machine": machine.model()}
    report.write_results("desk", report.read_results("desk") | {"rewrite": results})
    return 0


if __name__ == "__main__":
    sys.exit(main())
