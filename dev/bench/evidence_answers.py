"""`make bench NAME=evidence-answers`: do a style's answers lie nearer to its author than the base model's?

Needs NOVELS, and the styles that `trials own-style` has left in var/own-style. Each style and the base
answer 20 requests from the author's third book on the real engine. The author's verifier is trained on the
passages that the style has learned; the author is not among its impostors. The same is compared by a linear
SVM. Thirty further requests, at a style's default sampling, show whether it does what it is asked
(evidence_requests.py). Writes two tables in docs/evidence.md.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from statistics import fmean

import numpy as np

from adapters.verifier import train_verifier
from adapters.verifier.features import measure_passages
from adapters.verifier.impostors import join_authors, measure_author
from bench import report
from bench.evidence import DOC, Features, normalise
from bench.evidence_requests import describe_requests, measure_requests
from bench.linear_svm import train_svm
from labs.impostors import cut_passages, find_books
from stack import engine
from trials.own_style import WORK

AUTHORS_TASKS = ("brief", "draft", "continuation")  # what else a style learns isn't its author's
ANSWERS = 20
TOKENS = 64
AT_ONCE = 8
SEED = 7
DRAWS = 2_000
LEAST_AUTHORS = 12
LEAST_AUTHORS_BY_SVM = 9
SVM_PASSAGES = 150  # of each other author

FREE = {"temperature": 1.0}
# What the product draws by where a request says nothing.
DEFAULT = {"temperature": 0.8, "top_p": 0.95}

type Scorer = Callable[[Sequence[str]], list[float]]


def read_examples(file: Path) -> list[tuple[str, str]]:
    """Return the prompt and the passage of each line, of briefs alone where the file has any."""
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    briefs = [row for row in rows if row["task"] == "brief"] or rows
    return [(row["messages"][0]["content"], row["messages"][1]["content"]) for row in briefs]


def read_learned(author: str) -> list[str]:
    """Return the passages that an author's style has learned."""
    rows = [json.loads(line) for line in (WORK / author / "learn.jsonl").read_text().splitlines()]
    return [row["messages"][1]["content"] for row in rows if row["task"] in AUTHORS_TASKS]


def measure_others(author: str, novels: Path) -> list[Features]:
    """Return the passages of two books of each other author of the novels."""
    others = []
    for name, books in find_books(novels, "en").items():
        if name != author:
            passages = [passage for book in books[:2] for passage in cut_passages(book.read_text())]
            others.append(measure_passages(passages, "en"))
    return others


def train_svm_scorer(learned: Sequence[str], others: Sequence[Features]) -> Scorer:
    """Return how an SVM scores texts: independent of the verifier, though its features are the same.

    It learns from an even sample of the others' passages.
    """
    own = measure_passages(list(learned), "en")
    sampled = [passages[:: max(1, len(passages) // SVM_PASSAGES)] for passages in others]
    rows = normalise(np.concatenate([own, *sampled]))
    products = (rows @ rows.T).astype(np.float64) + 1
    coefficients = train_svm(products, np.arange(len(rows)) < len(own), seed=SEED)
    weights = coefficients.astype(np.float32) @ rows

    def score(texts: Sequence[str]) -> list[float]:
        return [float(value) for value in normalise(measure_passages(list(texts), "en")) @ weights]

    return score


class Asker:
    """Asks the engine, some requests at once."""

    def __init__(self) -> None:
        self._client = engine.open_client(
            os.environ["ENGINE_URL"], os.environ["ENGINE_API_KEY"], timeout_s=600
        )

    def load(self, name: str, folder: Path) -> None:
        """Load a style."""
        body = {"lora_name": name, "lora_path": str(folder.resolve())}
        self._client.post("/v1/load_lora_adapter", json=body).raise_for_status()

    def answer(self, model: str, prompts: list[str], *, sampling: Mapping[str, float] = FREE) -> list[str]:
        """Return answers; the product draws those for an evaluation without limits to the sampling."""

        def ask(prompt: str, seed: int) -> str:
            messages = [{"role": "user", "content": prompt}]
            body = {
                "model": model,
                "messages": messages,
                "max_tokens": TOKENS,
                **sampling,
                "seed": seed,
                "watermarking": False,
                "vllm_xargs": {"watermarking": 0},
            }
            answer = self._client.post("/v1/chat/completions", json=body).raise_for_status()
            return str(answer.json()["choices"][0]["message"]["content"])

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(ask, prompts, range(len(prompts))))


def measure_author_answers(author: str, asker: Asker, novels: Path) -> dict[str, float]:
    """Return where the answers of a style are between the base's and its author's passages."""
    examples = read_examples(WORK / f"{author}.jsonl")
    prompts = [prompt for prompt, _ in islice(cycle(examples), ANSWERS)]
    asker.load(author, WORK / author / "adapter")
    base_answers = asker.answer(os.environ["BASE_MODEL"], prompts)
    style_answers = asker.answer(author, prompts)
    learned = read_learned(author)
    others = measure_others(author, novels)
    impostors = join_authors([measure_author(passages) for passages in others])
    verifier = train_verifier(learned, "en", impostors=impostors)
    svm = train_svm_scorer(learned, others)
    words = round(fmean(len(answer.split()) for answer in style_answers))
    own = [verifier.score(" ".join(passage.split()[:words])) for _, passage in examples]
    base = [verifier.score(answer) for answer in base_answers]
    style = [verifier.score(answer) for answer in style_answers]
    low, high = bootstrap_gain(style, base)
    svm_low, svm_high = bootstrap_gain(svm(style_answers), svm(base_answers))
    found = {"floor": fmean(base), "style": fmean(style), "ceiling": fmean(own), "low": low, "high": high}
    found |= {"svm_low": svm_low, "svm_high": svm_high}
    found["learned_words"] = sum(len(text.split()) for text in learned)
    return {name: round(value, 3) for name, value in found.items()}


def bootstrap_gain(style: list[float], base: list[float]) -> tuple[float, float]:
    """Return the 90 % interval of the mean by which a style's answers score above the base's, by request."""
    gains = np.array(style) - np.array(base)
    draws = np.random.default_rng(SEED).choice(gains, size=(DRAWS, len(gains))).mean(axis=1)
    low, high = np.percentile(draws, [5, 95])
    return float(low), float(high)


def describe(found: dict[str, dict[str, float]]) -> str:
    """Return the table, and for how many authors each interval is above 0."""
    heads = [
        "base's answers",
        "style's answers",
        "third book",
        "nearer by, 90 % interval",
        "the same by an SVM",
    ]
    rows = [["author", "learned words", *heads]]
    for author, figures in found.items():
        scores = [f"{figures[name]:.2f}" for name in ("floor", "style", "ceiling")]
        gains = [f"{figures[f'{by}low']:.2f} to {figures[f'{by}high']:.2f}" for by in ("", "svm_")]
        rows.append([author, f"{figures['learned_words']:,.0f}", *scores, *gains])
    nearer = sum(figures["low"] > 0 for figures in found.values())
    by_svm = sum(figures["svm_low"] > 0 for figures in found.values())
    is_met = nearer >= LEAST_AUTHORS and by_svm >= LEAST_AUTHORS_BY_SVM
    verdict = (
        f"Nearer than the base's for {nearer} of {len(found)} authors by the verifier and for {by_svm} by an "
        f"SVM; bound: {LEAST_AUTHORS} and {LEAST_AUTHORS_BY_SVM} of 12, {report.verdict(is_met)}"
    )
    return f"{report.aligned(rows)}\n\n{verdict}."


def main() -> int:
    """Measure, print, write."""
    novels = Path(os.environ.get("NOVELS", ""))
    authors = [name for name in find_books(novels, "en") if (WORK / name / "adapter").is_dir()]
    if not authors:
        raise SystemExit(
            "✗ No styles in var/own-style: run `make trial NAME=own-style` first, with the same NOVELS."
        )
    asker = Asker()
    answers, requests = {}, {}
    ask = partial(asker.answer, sampling=DEFAULT)
    for author in authors:
        answers[author] = measure_author_answers(author, asker, novels)
        names = json.loads((WORK / author / "names.json").read_text())
        requests[author] = measure_requests(author, os.environ["BASE_MODEL"], names, ask)
        print(author, answers[author], requests[author], flush=True)
    for name, table in (("answers", describe(answers)), ("requests", describe_requests(requests))):
        print(table)
        report.between_marks(name, table, DOC)
    found = {"answers": answers, "requests": requests}
    report.write_results("evidence", report.read_results("evidence") | found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
