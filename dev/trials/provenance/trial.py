"""`make trial NAME=provenance`: the mark of a real vLLM and its detector, on this machine's CPU.

Marked and unmarked answers of the base and of a style are written by turns, so that what else runs on the
machine slows both alike. The folder NOVELS has the human texts. All random numbers but the engine's are
fixed; the keys are the trial's own. Writes bench/results/provenance.json and tables of docs/provenance.md.
"""

import asyncio
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import batched
from pathlib import Path
from statistics import mean, median
from typing import Any

import aiohttp
import numpy as np
from tokenizers import Tokenizer

from labs import machine, report
from provenance.watermark import detect
from provenance.watermark.detector import CountedTokens, count_tokens, gamma_survival
from stack.environment import base_model_folder
from stack.folders import ROOT
from stack.services import Stack
from stack.whole import start_engine
from trials.harness import Context, Verdict, open_engine, run_on_own_stack
from trials.provenance import texts
from trials.provenance.texts import area_under_curve, find_missed, share

# The first marks here, the others are those of earlier epochs.
KEYS = {3: 0x9D3C1F0A7B5E2468, 1: 0x0123456789ABCDEF, 2: 0xFEDCBA9876543210}
STYLE = "poetry"
MOST_P_VALUE = 1e-4
ANSWER_TOKENS = 256
LENGTHS = (30, 60, 100, 200)
PASSAGES = 10_000
TEMPLATE_TEXTS = 1_000
RANDOM_KEYS = 50
SPEED_TOKENS = 64
# What the gateway sends for a request that sends neither (docs/api.md), and how long answers to it are here.
DEFAULTS: dict[str, dict[str, Any]] = {
    f"style {STYLE}": {"model": STYLE, "temperature": 0.8, "top_p": 0.95},
    "base model": {"temperature": 0.7, "top_p": 0.95},
}
DEFAULTS_TOKENS = 160
COUNTED_FROM_TOKENS = 100

DOC = ROOT / "docs" / "provenance.md"

SPEED_PARALLEL = 8
PARALLEL = 40  # where speed isn't measured
PATIENCE_S = 600.0
UNMARKED = {"watermarking": False, "vllm_xargs": {"watermarking": 0}}  # as the gateway sends
# Without these a request gets what the model's generation_config.json says: for the demo's base top_p 0.9 and
# repetition_penalty 1.1.
PLAIN: dict[str, Any] = {"top_p": 1.0, "repetition_penalty": 1.0}

type Table = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """An answer: its text, its tokens, and the mean of their negative log probabilities under the model."""

    text: str
    tokens: list[int]
    nats: float
    is_cut: bool


@dataclass(frozen=True)
class Speed:
    """What an engine took for eight answers at once."""

    tokens_per_s: float
    tokens_per_cpu_s: float


class Engine:
    """The trial's engine."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def write(self, prompts: Sequence[str], *, is_marked: bool, **fields: Any) -> list[Answer]:
        """Return an answer to each prompt; `fields` are the request's, with the base as its model."""
        body = {"return_token_ids": True, "logprobs": True, **fields}
        return asyncio.run(self._write_all(prompts, self._complete(body, is_marked)))

    def measure_speed(self, prompt: str, tokens: int, *, is_marked: bool, **fields: Any) -> Speed:
        """Return how fast eight answers of so many tokens to one prompt are written at once."""
        body = {"max_tokens": tokens, "ignore_eos": True, **fields}
        pid = self._context.read_pid("engine")
        before_s, started_s = machine.cpu_s(pid), time.monotonic()
        asyncio.run(self._write_all([prompt] * SPEED_PARALLEL, self._complete(body, is_marked)))
        written = SPEED_PARALLEL * tokens
        return Speed(written / (time.monotonic() - started_s), written / (machine.cpu_s(pid) - before_s))

    def _complete(self, body: dict[str, Any], is_marked: bool) -> dict[str, Any]:
        return {"model": self._context.variables["BASE_MODEL"], **body, **({} if is_marked else UNMARKED)}

    async def _write_all(self, prompts: Sequence[str], body: dict[str, Any]) -> list[Answer]:
        places = asyncio.Semaphore(PARALLEL)
        async with open_engine(self._context.variables, timeout_s=PATIENCE_S) as http:
            return await asyncio.gather(*(self._write(http, places, prompt, body) for prompt in prompts))

    async def _write(
        self, http: aiohttp.ClientSession, places: asyncio.Semaphore, prompt: str, body: dict[str, Any]
    ) -> Answer:
        messages = [{"role": "user", "content": prompt}]
        async with places, http.post("/v1/chat/completions", json={**body, "messages": messages}) as response:
            response.raise_for_status()
            choice = (await response.json())["choices"][0]
        chosen = (choice.get("logprobs") or {}).get("content") or []
        nats = -sum(token["logprob"] for token in chosen) / max(1, len(chosen))
        text = choice["message"]["content"] or ""
        return Answer(text, choice.get("token_ids") or [], nats, choice["finish_reason"] == "length")


@dataclass
class ProvenanceVerdict(Verdict):
    """What was measured; `missed` are the bounds that were not met."""

    title = "PROVENANCE"

    answers: int
    found: dict[str, Any] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """True if something was measured, and every bound is met."""
        return bool(self.found) and not self.missed

    def figures(self) -> dict[str, object]:
        return {"answers": self.answers, "missed": len(self.missed)}


def provenance(*, parts: Sequence[str], answers: int, rounds: int) -> int:
    """Run all parts, or these, on an engine of its own; return 0 if every bound is met."""
    novels = Path(os.environ.get("NOVELS", ""))
    if not list(novels.glob("*.txt")):
        raise SystemExit(f"✗ {novels} has no novels: NOVELS names the folder.")
    os.environ["ENGINE_MAX_NUM_SEQS"] = str(PARALLEL)
    os.environ["ENGINE_OPTIONS"] = f"--lora-modules {STYLE}={ROOT / 'engine' / 'styles' / STYLE}"

    def trial(context: Context) -> ProvenanceVerdict:
        return Trial(context, novels, answers=answers, rounds=rounds).run(parts)

    def start(stack: Stack) -> None:
        keys = ",".join(f"{epoch}:{key:016x}" for epoch, key in KEYS.items())
        stack.variables |= {"WATERMARK_KEYS": keys, "WATERMARK_KEY": str(next(iter(KEYS)))}
        stack.waiting.all(start_engine(stack))

    return run_on_own_stack("provenance", trial, start=start)


class Trial:
    """One run."""

    def __init__(self, context: Context, novels: Path, *, answers: int, rounds: int) -> None:
        self._context = context
        self._novels = novels
        self._rounds = rounds
        self._prompts = texts.make_prompts(answers)
        self._engine = Engine(context)
        self._tokenizer = Tokenizer.from_file(str(base_model_folder() / "tokenizer.json"))
        self._key = next(iter(KEYS.values()))
        self._verdict = ProvenanceVerdict(answers, report.read_results("provenance").get("found", {}))

    def run(self, only: Sequence[str] = ()) -> ProvenanceVerdict:
        """Measure one part after the other, and publish each at once beside what was found before."""
        parts: dict[str, Callable[[], Table]] = {
            "speed": self._measure_speed,
            "power": self._measure_power,
            "defaults": self._measure_defaults,
            "false_alarms": self._count_false_alarms,
        }
        verdict = self._verdict
        for name in only or parts:
            started_s = time.monotonic()
            rows = parts[name]()
            load = round(os.getloadavg()[0], 1)  # the engine alone makes about 2
            verdict.found[name] = {"answers": len(self._prompts), "machine_load": load, "rows": rows}
            table = describe_part(name, verdict.found[name])
            self._context.say(f"\n{name}, {time.monotonic() - started_s:.0f} s\n{table}")
            report.between_marks(f"watermark-{name}", table, DOC)
            verdict.missed = find_missed({name: each["rows"] for name, each in verdict.found.items()})
            verdict.write(self._context.notes)
            verdict.publish("provenance", how="make trial NAME=provenance")
        for bound in verdict.missed:
            self._context.say(f"  ! missed: {bound}")
        return verdict

    @cached_property
    def _answers(self) -> tuple[list[Answer], list[Answer]]:
        """Marked and unmarked answers to the prompts, written by turns."""
        marked, unmarked = [], []
        for prompts in batched(self._prompts, PARALLEL):
            fields: dict[str, Any] = {"temperature": 0.7, "max_tokens": ANSWER_TOKENS}
            marked += self._engine.write(prompts, is_marked=True, **fields)
            unmarked += self._engine.write(prompts, is_marked=False, **fields)
        return marked, unmarked

    def _measure_speed(self) -> Table:
        """Return tokens per second, eight at once: medians of rounds; each way goes first by turns."""
        settings = {
            "temperature 0.7, the model's top_p and penalty": {"temperature": 0.7},
            "temperature 1.0, the whole vocabulary": {"temperature": 1.0, **PLAIN},
        }
        found = {}
        prompt = texts.LONG_FORMS[0].format(texts.SUBJECTS[0])
        for name, fields in settings.items():
            speeds: dict[bool, list[Speed]] = {True: [], False: []}
            for number in range(self._rounds + 1):
                for is_marked in (True, False) if number % 2 else (False, True):
                    speed = self._engine.measure_speed(prompt, SPEED_TOKENS, is_marked=is_marked, **fields)
                    if number:  # the first round warms up
                        speeds[is_marked].append(speed)
            ratios = [
                one.tokens_per_s / other.tokens_per_s
                for one, other in zip(speeds[True], speeds[False], strict=True)
            ]
            cpu_ratios = [
                one.tokens_per_cpu_s / other.tokens_per_cpu_s
                for one, other in zip(speeds[True], speeds[False], strict=True)
            ]
            found[name] = {
                "marked_tokens_per_s": median(speed.tokens_per_s for speed in speeds[True]),
                "unmarked_tokens_per_s": median(speed.tokens_per_s for speed in speeds[False]),
                "ratio": median(ratios),
                "cpu_ratio": median(cpu_ratios),
                "rounds": self._rounds,
            }
        return found

    def _measure_power(self) -> Table:
        """Return how many marked answers are found, by temperature and number of tokens."""
        long = texts.make_prompts(len(self._prompts), forms=texts.LONG_FORMS)
        half, quarter = (long[: max(8, len(long) // part)] for part in (2, 4))
        write = partial(self._engine.write, is_marked=True, max_tokens=ANSWER_TOKENS)
        groups = {
            "temperature 0.7": self._answers[0],
            "temperature 1.0": write(half, temperature=1.0),
            "temperature 0.4": write(half, temperature=0.4),
            "temperature 0.7, top_p 1, no penalty": write(quarter, temperature=0.7, **PLAIN),
            "temperature 0.4, top_p 1, no penalty": write(quarter, temperature=0.4, **PLAIN),
            f"temperature 0.7, style {STYLE}": write(quarter, temperature=0.7, model=STYLE),
        }
        found = {name: self._power_of(group) for name, group in groups.items()}
        for length in (30, 60):
            marked, unmarked = (
                [
                    detect(answer.tokens[:length], self._key).score
                    for answer in group
                    if len(answer.tokens) >= length
                ]
                for group in self._answers
            )
            found["temperature 0.7"][f"auc_{length}"] = area_under_curve(marked, unmarked)
        return found

    def _measure_defaults(self) -> Table:
        """Return how many answers of 100 tokens and more are found that are drawn at the defaults."""
        prompts = texts.make_prompts(len(self._prompts), forms=texts.LONG_FORMS)
        found = {}
        for name, fields in DEFAULTS.items():
            answers = self._engine.write(prompts, is_marked=True, max_tokens=DEFAULTS_TOKENS, **fields)
            long = [each.tokens for each in answers if len(each.tokens) >= COUNTED_FROM_TOKENS]
            whole = [detect(tokens, self._key) for tokens in long]
            cut = [detect(tokens[:COUNTED_FROM_TOKENS], self._key) for tokens in long]
            found[name] = {
                "temperature": fields["temperature"],
                "top_p": fields["top_p"],
                "answers": len(long),
                "nats_above_chance": mean(one.score / one.scored_tokens - 1 for one in whole),
                "found_100": share([one.p_value <= MOST_P_VALUE for one in cut]),
                "found": share([one.p_value <= MOST_P_VALUE for one in whole]),
            }
        return found

    def _power_of(self, answers: Sequence[Answer]) -> Table:
        whole = [detect(answer.tokens, self._key) for answer in answers if len(answer.tokens) >= LENGTHS[0]]
        found: Table = {
            "answers": len(answers),
            "nats_above_chance": mean(one.score / one.scored_tokens - 1 for one in whole),
        }
        for length in LENGTHS:
            starts = [answer.tokens[:length] for answer in answers if len(answer.tokens) >= length]
            found[f"of_{length}"] = len(starts)
            are_found = [detect(tokens, self._key).p_value <= MOST_P_VALUE for tokens in starts]
            found[f"found_{length}"] = share(are_found) if starts else None
        return found

    def _count_false_alarms(self) -> Table:
        """Return how often each key is found in texts that no engine wrote, and how often random keys are."""
        groups = {
            "passages of books": texts.read_passages(self._novels, PASSAGES),
            "template texts": texts.fill_templates(TEMPLATE_TEXTS),
        }
        chance = random.Random(5)
        found: Table = {}
        for name, every in groups.items():
            encoded = (self._tokenizer.encode(text, add_special_tokens=False) for text in every)
            counted = [count_tokens(list(one.ids)) for one in encoded]
            for epoch, key in KEYS.items():
                found[f"{name}, epoch {epoch}"] = count_alarms(counted, [key])
            keys = [chance.getrandbits(64) for _ in range(RANDOM_KEYS)]
            found[f"{name}, {RANDOM_KEYS} random keys"] = count_alarms(counted, keys)
        return found


def count_alarms(counted: Sequence[CountedTokens], keys: Sequence[int]) -> Table:
    """Return how many texts have small p-values, with each of the keys."""
    every = CountedTokens(
        np.concatenate([one.places for one in counted]),
        np.concatenate([one.contexts for one in counted]),
        np.concatenate([one.tokens for one in counted]),
    )
    lengths = [len(one.places) for one in counted]
    starts = np.cumsum([0, *lengths[:-1]])
    p_values = []
    for key in keys:
        scores = np.add.reduceat(every.weigh(key), starts)
        p_values += [gamma_survival(*one) for one in zip(scores.tolist(), lengths, strict=True)]
    return {
        "texts": len(p_values),
        "alarms": sum(p_value <= MOST_P_VALUE for p_value in p_values),
        "below_1e-2": share([p_value <= 1e-2 for p_value in p_values]),
        "smallest_p_value": min(p_values),
    }


def percent(value: float | None) -> str:
    """Return a share as percent, a dash where there was nothing to count."""
    return report.NOTHING if value is None else f"{100 * value:.1f} %"


def describe_found(length: int, row: Table) -> str:
    """Return how many answers of a length are found, of how many."""
    return f"{percent(row[f'found_{length}'])} of {row[f'of_{length}']}"


# What the first column is, and the others: each a title, and what it says of a row.
COLUMNS: dict[str, tuple[str, dict[str, Callable[[Table], str]]]] = {
    "speed": (
        "eight answers at once",
        {
            "marked, tokens/s": lambda row: f"{row['marked_tokens_per_s']:.0f}",
            "unmarked": lambda row: f"{row['unmarked_tokens_per_s']:.0f}",
            "ratio": lambda row: f"{row['ratio']:.3f}",
            "ratio by processor time": lambda row: f"{row['cpu_ratio']:.3f}",
        },
    ),
    "power": (
        "found at p ≤ 1e-4",
        {
            "answers": lambda row: f"{row['answers']}",
            "evidence above chance": lambda row: f"{row['nats_above_chance']:.2f}",
            **{f"{length} tokens": partial(describe_found, length) for length in LENGTHS},
        },
    ),
    "defaults": (
        "answers of 100 tokens and more",
        {
            "temperature": lambda row: f"{row['temperature']:g}",
            "top_p": lambda row: f"{row['top_p']:g}",
            "answers": lambda row: f"{row['answers']}",
            "evidence above chance": lambda row: f"{row['nats_above_chance']:.2f}",
            "found by 100 tokens": lambda row: percent(row["found_100"]),
            "found": lambda row: percent(row["found"]),
        },
    ),
    "false_alarms": (
        "",
        {
            "texts": lambda row: f"{row['texts']:,}",
            "p ≤ 1e-4": lambda row: f"{row['alarms']}",
            "p ≤ 0.01": lambda row: percent(row["below_1e-2"]),
            "smallest p": lambda row: f"{row['smallest_p_value']:.1e}",
        },
    ),
}


def describe_part(name: str, part: Mapping[str, Any]) -> str:
    """Return a part's table, how large the run was, and what else the machine had to do."""
    rows = part["rows"]
    first, columns = COLUMNS[name]
    lines = [[first, *columns]]
    lines += [[title, *(describe(row) for describe in columns.values())] for title, row in rows.items()]
    said = f"The machine's load was {part['machine_load']:.0f}; the engine alone makes about 2."
    if name == "power":
        usual = rows["temperature 0.7"]
        areas = f"AUC at 0.7: {usual['auc_30']:.4f} from 30 tokens, {usual['auc_60']:.4f} from 60."
        said = f"{areas}\n\n{part['answers']:,} answers of each kind. {said}"
    return f"{report.aligned(lines)}\n\n{said}"
