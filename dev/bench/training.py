"""`bench training`: what a training takes, what reading takes, and what serving notices of a training.

`python -m stack run --all -- python -m bench.training [way] [reading] [serving]`. `way` sends a .docx and
follows it to a candidate version: the seconds of each phase, the shown remaining time against what it then
took, the memory of the training child. `reading` has 5 MB of text in 40 documents read. `serving` asks at a
steady pace while a training is paused and while it runs, in turn. With NOVELS the texts are novels, else this
project's guides. Writes bench/results/training.json, unless --words, --seconds or --epochs say that it is a
trial.
"""

import argparse
import asyncio
import os
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from xml.sax.saxutils import escape

import uvloop

from bench import report
from bench.report import Goal
from labs import machine
from labs.chat_client import Outcome, Reply, open_client
from stack.api import Api, await_estimate, await_read, create_training, wait_until
from stack.errors import Miss
from trials.harness import Context, create_tenants
from trials.texts import take_paragraphs

WORDS = 20_000
EPOCHS = 2
SECONDS = 180.0
POLL_S = 1.0
SLUG = "bench"
ENDED = ("succeeded", "failed", "cancelled")
# The first minute shows what a step takes. In the last half minute a second is a large share of what is left.
SETTLED_S = 60.0
NEARLY_OVER_S = 30.0
KEPT_POLLS = 40
DOCUMENTS = 40
DOCUMENT_CHARACTERS = 128_000
SUFFIXES = (".txt", ".md", ".html", ".docx")
ROUNDS = 2
EVERY_S = 1.5
TOKENS = 16
OURS = "poetry"
QUESTION = "What is rain?"
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
CONTENT_TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override PartName='
    '"/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.'
    'document.main+xml"/></Types>'
)
GOALS = (
    Goal("20,000 words of .docx to a candidate version (s)", "way_s", 600, False),
    Goal("shown remaining time, at most off by (%)", "remaining_off_percent", 25, False),
    Goal("memory of the training child at most (GB)", "child_gb", 2.5, False),
    Goal("5 MB in 40 documents read (s)", "reading_s", 20, False),
    Goal("the same, processor time (s)", "reading_cpu_s", 20, False),
    Goal("p95 of an answer, during / without a training", "answer_p95_ratio", 1.10, False),
    Goal("p95 of the first token, during / without", "first_token_p95_ratio", 1.10, False),
)

type Figures = dict[str, Any]


class Follower:
    """Looks at a training once a second, and at the memory of its child."""

    def __init__(self, api: Api, address: str, worker_pid: int) -> None:
        self._api = api
        self._address = address
        self._worker_pid = worker_pid
        self.polls: list[tuple[float, dict[str, Any]]] = []
        self.child_kb = 0

    def follow(self) -> dict[str, Any]:
        """Return the training once it has ended."""
        while not self.polls or self.polls[-1][1]["status"] not in ENDED:
            self.polls.append((time.time(), self._api.get(self._address)))
            self.child_kb = max(self.child_kb, read_peak_kb(self._worker_pid))
            time.sleep(POLL_S)
        return self.polls[-1][1]

    def first_at(self, is_there: Callable[[dict[str, Any]], bool]) -> float:
        """Return when the training was first seen like that."""
        return next(at for at, training in self.polls if is_there(training))

    def remaining(self) -> list[dict[str, float | None]]:
        """Return what was shown while it ran, and what was left then: seconds.

        A training may stop before its last step. What the other steps would have taken counts as left, too:
        nobody knows before that they aren't needed.
        """
        running = self.first_at(lambda training: training["status"] == "running")
        trained = self.first_at(lambda training: training["status"] in ("finishing", *ENDED))
        first_step = self.first_at(lambda training: training["step"] > 0)
        ended = self.polls[-1][1]
        skipped_s = (trained - first_step) * (ended["steps"] - ended["step"]) / ended["step"]
        rows = []
        for at, training in self.polls:
            if training["status"] == "running":
                left_s = round(trained - at + skipped_s, 1)
                rows.append({"at_s": round(at - running, 1), "shown_s": training["left_s"], "left_s": left_s})
        return rows


def read_peak_kb(worker_pid: int) -> int:
    """Return the most memory that the worker's training child has had until now; 0 where there is none."""
    child = machine.find_trainer(worker_pid)
    if child is None:
        return 0
    try:
        lines = Path(f"/proc/{child.pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def measure_way(api: Api, context: Context, folder: Path, options: argparse.Namespace) -> Figures:
    """Return what a training took, phase by phase, and how right the remaining time was."""
    file = folder / "writing.docx"
    write_docx(file, take_paragraphs(options.words))
    began = time.time()
    address = create_training(api, SLUG, [file], epochs=options.epochs)
    sent = time.time()
    await_read(api, address)
    read = time.time()
    ready = await_estimate(api, address)
    prepared = time.time()
    follower = Follower(api, address, context.read_pid("worker-training"))
    api.post(f"{address}/start", {"rights": True})
    ended = follower.follow()
    if ended["status"] != "succeeded":
        raise Miss(f"The training {ended['status']}: {ended['failure']}")
    first_step = follower.first_at(lambda training: training["step"] > 0)
    trained = follower.first_at(lambda training: training["status"] in ("finishing", *ENDED))
    over = follower.polls[-1][0]
    remaining = follower.remaining()
    return {
        "words": ready["words"],
        "epochs": options.epochs,
        "trained_tokens": ended["trained_tokens"],
        "steps": {"done": ended["step"], "planned": ended["steps"]},
        "phases_s": {
            "sent": round(sent - began, 1),
            "read": round(read - sent, 1),
            "examples made": round(prepared - read, 1),
            "begun": round(first_step - prepared, 1),
            "trained": round(trained - first_step, 1),
            "version ready": round(over - trained, 1),
        },
        "way_s": round(over - began, 1),
        "estimated_s": ready["estimated_s"],
        "ran_s": round(trained - prepared, 1),
        "remaining_off_percent": find_furthest_off(remaining),
        "remaining": remaining[:: max(1, len(remaining) // KEPT_POLLS)],
        "child_gb": round(follower.child_kb * 1024 / 10**9, 3),
    }


def find_furthest_off(remaining: Sequence[dict[str, float | None]]) -> float:
    """Return by how many percent the shown time was furthest off; where none was shown, by 100."""
    off = [0.0]
    for row in remaining:
        left_s = row["left_s"] or 0.0
        if (row["at_s"] or 0.0) >= SETTLED_S and left_s >= NEARLY_OVER_S:
            off.append(abs((row["shown_s"] or 0.0) - left_s) / left_s)
    return round(100 * max(off), 1)


def measure_reading(api: Api, context: Context, folder: Path) -> Figures:
    """Return what it took to have many documents read by the product."""
    files = write_documents(folder)
    worker_pid = context.read_pid("worker-uploads")
    address = create_training(api, "bench-reading", files, epochs=1)
    cpu_s = machine.cpu_s(worker_pid)
    began_s = time.monotonic()
    documents = await_read(api, address)
    return {
        "documents": len(documents),
        "words_read": sum(document["words"] for document in documents),
        "text_mb": round(DOCUMENTS * DOCUMENT_CHARACTERS / 10**6, 1),
        "reading_s": round(time.monotonic() - began_s, 1),
        "reading_cpu_s": round(machine.cpu_s(worker_pid) - cpu_s, 1),
    }


def write_documents(folder: Path) -> list[Path]:
    """Return new files of 128,000 letters each, in the formats in turn."""
    paragraphs = cycle(take_paragraphs(10**6))
    files = []
    for number, suffix in zip(range(DOCUMENTS), cycle(SUFFIXES), strict=False):
        taken: list[str] = []
        while sum(map(len, taken)) < DOCUMENT_CHARACTERS:
            taken.append(next(paragraphs))
        files.append(folder / f"chapter-{number}{suffix}")
        write_document(files[-1], taken)
    return files


def write_document(file: Path, paragraphs: Sequence[str]) -> None:
    """Write paragraphs in the format that the file's name has."""
    match file.suffix:
        case ".docx":
            write_docx(file, paragraphs)
        case ".html":
            file.write_text("\n".join(f"<p>{escape(text)}</p>" for text in paragraphs))
        case _:
            file.write_text("\n\n".join(paragraphs))


def write_docx(file: Path, paragraphs: Sequence[str]) -> None:
    """Write a Word document of plain paragraphs."""
    body = "".join(f"<w:p><w:r><w:t>{escape(text)}</w:t></w:r></w:p>" for text in paragraphs)
    document = f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", CONTENT_TYPES)
        archive.writestr("word/document.xml", document)


def measure_serving(api: Api, key: str, folder: Path, options: argparse.Namespace) -> Figures:
    """Return the p95 of answers without and during a training, in turn, and their ratio. Raises Miss."""
    file = folder / "long.txt"
    file.write_text("\n\n".join(take_paragraphs(options.words)))
    address = create_training(api, "bench-serving", [file], epochs=EPOCHS)
    await_read(api, address)
    await_estimate(api, address)
    uvloop.run(ask_paced(key, min(options.seconds, 30)))  # what the stack does at its start is over then
    api.post(f"{address}/start", {"rights": True})
    await_step(api, address)
    replies: dict[str, list[Reply]] = {"without": [], "during": []}
    for number in range(ROUNDS):
        api.post(f"{address}/pause")
        await_status(api, address, "paused")
        replies["without"] += show(f"{number + 1}. without", uvloop.run(ask_paced(key, options.seconds)))
        api.post(f"{address}/resume")
        await_step(api, address)
        replies["during"] += show(f"{number + 1}. during ", uvloop.run(ask_paced(key, options.seconds)))
        await_status(api, address, "running")
    api.post(f"{address}/cancel")
    found = {name: describe_replies(some) for name, some in replies.items()}
    without, during = found.values()
    return {
        "every_s": EVERY_S,
        "tokens_an_answer": TOKENS,
        "training_threads": int(os.environ.get("TRAINING_THREADS") or 1),
        **found,
        "answer_p95_ratio": round(during["answer_p95_ms"] / without["answer_p95_ms"], 3),
        "first_token_p95_ratio": round(during["first_token_p95_ms"] / without["first_token_p95_ms"], 3),
    }


def await_status(api: Api, address: str, status: str) -> None:
    """Wait until a training has a status. Raises Miss when it ends instead, or too late."""

    def is_there() -> bool:
        training = api.get(address)
        if training["status"] != status and training["status"] in ("finishing", *ENDED):
            raise Miss(f"The training has ended before the measurement: use more --words. {training}")
        return bool(training["status"] == status)

    wait_until(is_there, within_s=300, what=f"the training is not {status}")


def await_step(api: Api, address: str) -> None:
    """Wait until a training that was just started or resumed has taken a step. Raises Miss."""
    await_status(api, address, "running")
    before = api.get(address)["step"]
    wait_until(lambda: api.get(address)["step"] > before, within_s=300, what="the training takes no step")


async def ask_paced(key: str, seconds: float) -> list[Reply]:
    """Ask once every EVERY_S, whether answers have come or not; return all answers. Raises Miss."""
    asked = []
    async with open_client(os.environ["SITE_URL"], key=key) as client, asyncio.TaskGroup() as group:
        for _ in range(round(seconds / EVERY_S)):
            asked.append(group.create_task(client.chat(OURS, QUESTION, max_tokens=TOKENS)))
            await asyncio.sleep(EVERY_S)
    replies = [task.result() for task in asked]
    for reply in replies:
        if reply.outcome != Outcome.COMPLETE:
            raise Miss(f"An answer failed: {reply.describe_failure()}")
    return replies


def show(what: str, replies: list[Reply]) -> list[Reply]:
    """Print what a pass found, and return it."""
    print(f"  {what}  {describe_replies(replies)}", flush=True)
    return replies


def describe_replies(replies: Sequence[Reply]) -> dict[str, float]:
    """Return p50 and p95 of the whole time and of the first token, in milliseconds."""
    found: dict[str, float] = {"answers": len(replies)}
    times_s = {
        "answer": [reply.ended_s - reply.began_s for reply in replies],
        "first_token": [reply.first_token_s or 0.0 for reply in replies],
    }
    for name, seconds in times_s.items():
        found[f"{name}_p50_ms"] = round(1000 * median(seconds), 1)
        found[f"{name}_p95_ms"] = round(1000 * quantiles(seconds, n=20, method="inclusive")[-1], 1)
    return found


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help="way, reading, serving (default: all)")
    parser.add_argument("--words", type=int, default=WORDS, help="of the text that is trained on")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of `way`")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each pass of `serving`")
    options = parser.parse_args()
    report.require_variables("bench NAME=training", "SITE_URL", "DATABASE_URL", "DEMO_SECRETS_FILE")
    writer, reader = create_tenants(os.environ, {"writer": 10**9, "reader": 10**9})
    found = report.read_results("training")
    with (
        tempfile.TemporaryDirectory(prefix="bench-training-") as folder,
        Api(os.environ["SITE_URL"], writer.api_key) as api,
    ):
        context = Context(os.environ, Path(folder))
        parts: dict[str, Callable[[], Figures]] = {
            "way": lambda: measure_way(api, context, Path(folder), options),
            "reading": lambda: measure_reading(api, context, Path(folder)),
            "serving": lambda: measure_serving(api, reader.api_key, Path(folder), options),
        }
        for name in options.parts or parts:
            print(f"{name} …", flush=True)
            found[name] = parts[name]()
            shown = {figure: value for figure, value in found[name].items() if figure != "remaining"}
            print(f"  {shown}", flush=True)
    found |= {"cores": os.cpu_count(), "machine": machine.model()}
    figures: Figures = {}
    for name in parts:
        figures |= found.get(name, {})
    print(report.aligned([["goal", "bound", "found", ""], *(goal.line(figures) for goal in GOALS)]))
    if (options.words, options.epochs, options.seconds) == (WORDS, EPOCHS, SECONDS):
        report.write_results("training", found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
