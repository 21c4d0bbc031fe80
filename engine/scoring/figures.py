"""The figures of an evidence card that need the model: what was learned and what is repeated; canaries."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainer.child import EventStream
from trainer.errors import BadExample
from trainer.examples import IGNORED, Example, Message, encode_conversation, encode_line
from trainer.job import ADAPTER, LEARN, VALIDATE
from trainer.model import Scores
from trainer.preparation import read_tokenizer
from trainer.training import memory_errors
from transformers import PreTrainedTokenizerFast

from scoring.model import BASE, Scorer, load_scorer
from scoring.repeats import (
    REPEATED,
    PlantedText,
    Run,
    exposure_bits,
    find_longest_run,
    find_repeated_run,
    find_starts,
    mark_copied,
    split_prefix,
)
from scoring.request import Canary, Request

STYLE = "style"
CONTROL = "control"
INSTRUCTION = "instruction"  # training/corpus/examples.py
# Tokens that are scored: a core scores 640 a second of the demo's base with a style, 990 without.
HELD_OUT_TOKENS = 5_000
LEARNED_TOKENS = 40_000  # some 30,000 words; of more text, whole examples from all parts of it
MAX_PASSAGES = 10  # that are reported


@dataclass(frozen=True)
class Judged:
    """An example and its place: its line, from 0, and the characters of that line's answers before it."""

    line: int
    before: int
    example: Example

    @property
    def answer(self) -> list[int]:
        """Return the learned tokens, including end marks."""
        return [label for label in self.example.labels[1:] if label != IGNORED]

    @property
    def starts(self) -> set[int]:
        """Return where in `answer` each of a conversation's answers begins."""
        return find_starts([label != IGNORED for label in self.example.labels[1:]])

    @property
    def copied(self) -> list[bool]:
        """Return for each token of `answer` whether it is copied from further up."""
        copied = mark_copied(self.example.tokens)
        return [
            one for one, label in zip(copied[1:], self.example.labels[1:], strict=True) if label != IGNORED
        ]

    def find_longest_run(self, scores: Scores) -> Run:
        """Return the longest run of tokens that a model would repeat."""
        return find_longest_run(scores.predictions, self.starts)

    def find_repeated_run(self, style: Scores, base: Scores) -> Run:
        """Return the run that a style can only have learned; an empty one if it is too short."""
        return find_repeated_run(style.predictions, base.predictions, copied=self.copied, starts=self.starts)


@dataclass
class Progress:
    """Reports how many percent of all tokens are scored."""

    events: EventStream
    total_tokens: int
    tokens: int = 0
    percent: int = -1

    def add(self, tokens: int) -> None:
        self.tokens += tokens
        percent = min(99, 100 * self.tokens // max(1, self.total_tokens))
        if percent > self.percent:
            self.percent = percent
            self.events.write("progress", percent=percent)


@dataclass(frozen=True)
class Measurement:
    """What figures are measured with."""

    scorer: Scorer
    tokenizer: PreTrainedTokenizerFast
    progress: Progress

    def score(self, name: str, judged: Judged) -> Scores:
        scores = self.scorer.score(name, judged.example)
        self.progress.add(len(judged.example.tokens))
        return scores

    def score_texts(self, name: str, texts: PlantedText) -> list[float]:
        """Return the nats of a canary and its alternatives."""
        nats = self.scorer.score_continuations(name, texts.prefix, texts.continuations)
        self.progress.add(texts.tokens)
        return nats


def measure(folder: Path, request: Request, canaries: list[Canary], events: EventStream) -> dict[str, object]:
    """Return the figures of the adapter in `folder`, the fields of the event `end`. Raises TrainingError."""
    with memory_errors():
        tokenizer = read_tokenizer(request.base)
        texts = [encode_canary(canary, tokenizer) for canary in canaries]
        planted = [encode_response(one.prompt, one.response, tokenizer)[0].tokens for one in canaries]
        held_out = read_file(folder / VALIDATE, tokenizer, max_tokens=request.max_tokens)
        held_out = take_evenly(held_out, count_within(held_out, HELD_OUT_TOKENS))
        learned = read_file(folder / LEARN, tokenizer, max_tokens=request.max_tokens)
        learned = [judged for judged in learned if judged.example.tokens not in planted]
        learned = take_evenly(learned, count_within(learned, LEARNED_TOKENS))
        adapters = {STYLE: folder / ADAPTER}
        if request.control:
            adapters[CONTROL] = request.control
        names = [BASE, *adapters]
        tokens = len(names) * count_tokens(held_out) + count_tokens(learned)
        tokens += 2 * sum(text.tokens for text in texts)
        measurement = Measurement(load_scorer(request, adapters), tokenizer, Progress(events, tokens))
        scores = {name: [measurement.score(name, judged) for judged in held_out] for name in names}
        return {
            "learned": describe_learned(held_out, scores, tokenizer),
            "repeats": describe_repeats(learned, measurement),
            "canaries": [expose(text, measurement) for text in texts],
        }


def describe_learned(
    held_out: list[Judged], scores: Mapping[str, list[Scores]], tokenizer: PreTrainedTokenizerFast
) -> dict[str, object]:
    """Return bytes (UTF-8) and nats of each held-out example's answers, and bits per byte of all."""
    sizes = [len(text_of(judged.answer, tokenizer).encode()) for judged in held_out]
    nats = {name: [round(one.nats, 3) for one in scored] for name, scored in scores.items()}
    bits_per_byte = {name: sum(some) / max(1, sum(sizes)) / math.log(2) for name, some in nats.items()}
    missing = {} if CONTROL in nats else {CONTROL: None}
    return {"bytes": sizes, "nats": nats | missing, "bits_per_byte": bits_per_byte | missing}


def describe_repeats(learned: list[Judged], measurement: Measurement) -> dict[str, object]:
    """Return how many examples are repeated in part, the longest runs, and where they are.

    A long run that the base has, too, or that is copied from further up counts as `known`, not as repeated.
    """
    scores = [measurement.score(STYLE, judged) for judged in learned]
    runs = [judged.find_longest_run(one) for judged, one in zip(learned, scores, strict=True)]
    shown = sorted(range(len(runs)), key=lambda number: -runs[number].tokens)[:MAX_PASSAGES]
    long = [number for number, run in enumerate(runs) if run.tokens >= REPEATED]
    base = {number: measurement.score(BASE, learned[number]) for number in {*long, *shown}}
    repeated = {}
    for number in long:
        run = learned[number].find_repeated_run(scores[number], base[number])
        if run.tokens:
            repeated[number] = run
    passages = []
    for number in dict.fromkeys([*list(repeated)[:MAX_PASSAGES], *shown]):
        passage = locate(learned[number], repeated.get(number, runs[number]), measurement.tokenizer)
        base_tokens = learned[number].find_longest_run(base[number]).tokens
        passages.append(passage | {"base_tokens": base_tokens, "is_repeated": number in repeated})
    return {
        "examples": len(learned),
        "repeated": len(repeated),
        "known": len(long) - len(repeated),
        "least_tokens": REPEATED,
        "longest_tokens": max((run.tokens for run in runs), default=0),
        "passages": passages[:MAX_PASSAGES],
    }


def locate(judged: Judged, run: Run, tokenizer: PreTrainedTokenizerFast) -> dict[str, int]:
    """Return where a run is: the line of learn.jsonl, from 0, and its characters, `first` to before `end`.

    Characters are those of the line's learned answers, each stripped, one after another.
    """
    before = judged.before + len(text_of(judged.answer[: run.first], tokenizer))
    length = len(text_of(judged.answer[run.first : run.end], tokenizer))
    return {"line": judged.line, "first": before, "end": before + length, "tokens": run.tokens}


def expose(text: PlantedText, measurement: Measurement) -> dict[str, float]:
    """Return a canary's exposure: by what the style finds more likely than the base does."""
    style = measurement.score_texts(STYLE, text)
    base = measurement.score_texts(BASE, text)
    planted, *alternatives = [after - before for after, before in zip(style, base, strict=True)]
    rank = 1 + sum(alternative < planted for alternative in alternatives)
    return {"bits": exposure_bits(planted, alternatives), "rank": rank, "alternatives": len(alternatives)}


def read_file(file: Path, tokenizer: PreTrainedTokenizerFast, *, max_tokens: int) -> list[Judged]:
    """Return the examples of a file with their places. Raises BadExample naming the line.

    Everyday requests are left out: their answers are the base's, not the author's.
    """
    found: list[Judged] = []
    for number, line in enumerate(file.read_text(encoding="utf-8").split("\n")):
        if not line.strip() or is_answered_by_base(line):
            continue
        before = 0
        try:
            examples = encode_line(line, tokenizer, max_tokens=max_tokens)
        except BadExample as error:
            raise BadExample(f"{file.name} line {number + 1}: {error}") from None
        for example in examples:
            found.append(Judged(number, before, example))
            before += len(text_of(found[-1].answer, tokenizer))
    return found


def is_answered_by_base(line: str) -> bool:
    """Return whether a line is an everyday request that the base has answered."""
    try:
        row = json.loads(line)
    except ValueError:
        return False
    return isinstance(row, dict) and row.get("task") == INSTRUCTION


def encode_canary(canary: Canary, tokenizer: PreTrainedTokenizerFast) -> PlantedText:
    """Return the beginnings of a canary and its alternatives as tokens."""
    texts = []
    for words in (canary.planted, *canary.alternatives):
        [example] = encode_response(canary.prompt, f"{canary.opening}{words}", tokenizer)
        texts.append(example.tokens[:-1])  # without the end mark: the list goes on
    return split_prefix(texts)


def encode_response(prompt: str, response: str, tokenizer: PreTrainedTokenizerFast) -> list[Example]:
    messages = [Message(role="user", content=prompt), Message(role="assistant", content=response)]
    return encode_conversation(messages, tokenizer)


def text_of(tokens: Sequence[int], tokenizer: PreTrainedTokenizerFast) -> str:
    """Return the text of some tokens, without end marks."""
    return tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def take_evenly(judged: list[Judged], count: int) -> list[Judged]:
    """Return at most so many examples from all parts of a list."""
    count = min(count, len(judged))
    return [judged[number * len(judged) // count] for number in range(count)]


def count_within(judged: list[Judged], max_tokens: int) -> int:
    """Return how many examples of average length have at most so many tokens together, but at least one."""
    return max(1, len(judged) * max_tokens // max(1, count_tokens(judged)))


def count_tokens(judged: list[Judged]) -> int:
    return sum(len(one.example.tokens) for one in judged)
