"""`make trial NAME=provenance`: the mark of a real vLLM and its detector, on this machine's CPU.

Marked and unmarked answers of the base and of a style are written by turns, so that what else runs on the
machine slows both alike. The folder NOVELS has the human texts. All random numbers but the engine's are
fixed; the keys are the trial's own.
"""

import json
import math
import operator
import os
import random
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import batched
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from provenance.watermark import detect, examine
from provenance.watermark.detector import CountedTokens, count_tokens, gamma_survival
from stack.engine import PYTHON
from stack.environment import base_model_folder
from stack.folders import ROOT
from stack.services import Stack
from stack.whole import start_engine
from trials.harness import Context, run_on_own_stack
from trials.provenance import texts
from trials.provenance.engine import PARALLEL, PLAIN, Answer, Engine, Speed
from trials.provenance.texts import area_under_curve, difference, distinct_pairs, find_missed, has_loop, share
from trials.verdict import RESULTS, Verdict

# The first marks here, the others are those of earlier epochs.
KEYS = {3: 0x9D3C1F0A7B5E2468, 1: 0x0123456789ABCDEF, 2: 0xFEDCBA9876543210}
STYLE = "poetry"
MOST_P_VALUE = 1e-4
ANSWER_TOKENS = 256
LENGTHS = (30, 60, 100, 200)
DELETED = (0.1, 0.3, 0.5)
PASSAGES = 10_000
TEMPLATE_TEXTS = 1_000
RANDOM_KEYS = 50
COMPARED_TEXTS = 1_000
REGENERATIONS = 8
SPEED_TOKENS = 64
# What the gateway sends for a request that sends neither (docs/api.md), and how long answers to it are here.
DEFAULTS: dict[str, dict[str, Any]] = {
    f"style {STYLE}": {"model": STYLE, "temperature": 0.8, "top_p": 0.95},
    "base model": {"temperature": 0.7, "top_p": 0.95},
}
DEFAULTS_TOKENS = 160
COUNTED_FROM_TOKENS = 100
PARAPHRASE = "Rewrite the following text in other words. Keep its meaning.\n\n{}"

type Table = dict[str, Any]


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


def read_published() -> dict[str, Any]:
    """Return the parts that an earlier run published."""
    file = RESULTS / "provenance.json"
    return dict(json.loads(file.read_text())["found"]) if file.exists() else {}


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
        self._verdict = ProvenanceVerdict(answers, read_published())

    def run(self, only: Sequence[str] = ()) -> ProvenanceVerdict:
        """Measure one part after the other, and publish each at once beside what was found before."""
        parts: dict[str, Callable[[], Table]] = {
            "speed": self._measure_speed,
            "quality": self._measure_quality,
            "power": self._measure_power,
            "defaults": self._measure_defaults,
            "variety": self._measure_variety,
            "edits": self._measure_edits,
            "false_alarms": self._count_false_alarms,
            "agreement": self._compare_with_vllm,
            "detector": self._time_detector,
        }
        verdict = self._verdict
        for name in only or parts:
            started_s = time.monotonic()
            rows = parts[name]()
            load = round(os.getloadavg()[0], 1)  # the engine alone makes about 2
            verdict.found[name] = {"answers": len(self._prompts), "machine_load": load, "rows": rows}
            self._context.say(f"\n{name}, {time.monotonic() - started_s:.0f} s")
            self._context.say(json.dumps(rows, indent=1))
            verdict.missed = find_missed({name: each["rows"] for name, each in verdict.found.items()})
            verdict.write(self._context.notes)
            verdict.publish("provenance.json", how="make trial NAME=provenance")
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

    def _measure_quality(self) -> Table:
        """Return how marked and unmarked answers differ under the base."""
        groups = self._answers
        nats = [[answer.nats for answer in group] for group in groups]
        lengths = [[float(len(answer.tokens)) for answer in group] for group in groups]
        perplexity, low, high = difference(nats[0], nats[1], lambda one, other: math.exp(one - other))
        length, shortest, longest = difference(lengths[0], lengths[1], operator.truediv)
        found: Table = {
            "perplexity_ratio": perplexity,
            "perplexity_low": low,
            "perplexity_high": high,
            "length_ratio": length,
            "length_low": shortest,
            "length_high": longest,
        }
        for name, group in zip(("marked", "unmarked"), groups, strict=True):
            found[f"{name}_loops"] = share([has_loop(answer.text) for answer in group])
            found[f"{name}_distinct_2"] = mean(distinct_pairs(answer.text) for answer in group)
            found[f"{name}_tokens"] = mean(len(answer.tokens) for answer in group)
            found[f"{name}_cut"] = share([answer.is_cut for answer in group])
        return found

    def _measure_power(self) -> Table:
        """Return how many marked answers are found, by temperature and number of tokens."""
        long = texts.make_prompts(len(self._prompts), forms=texts.LONG_FORMS)
        half, quarter = (long[: max(8, len(long) // part)] for part in (2, 4))
        write = self._write_marked
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

    def _write_marked(self, prompts: Sequence[str], **fields: Any) -> list[Answer]:
        return self._engine.write(prompts, is_marked=True, max_tokens=ANSWER_TOKENS, **fields)

    def _power_of(self, answers: Sequence[Answer]) -> Table:
        whole = [detect(answer.tokens, self._key) for answer in answers if len(answer.tokens) >= LENGTHS[0]]
        found: Table = {
            "answers": len(answers),
            "nats_above_chance": mean(one.score / one.scored_tokens - 1 for one in whole),
        }
        for length in LENGTHS:
            starts = [answer.tokens[:length] for answer in answers if len(answer.tokens) >= length]
            found[f"of_{length}"] = len(starts)
            found[f"found_{length}"] = share(self._find_all(starts)) if starts else None
        return found

    def _find_all(self, every: Sequence[Sequence[int]]) -> list[bool]:
        return [detect(tokens, self._key).p_value <= MOST_P_VALUE for tokens in every]

    def _measure_variety(self) -> Table:
        """Return how different eight answers to one prompt are."""
        prompts = self._prompts[: max(4, len(self._prompts) // 15)]
        found = {}
        for temperature in (0.7, 1.0):
            for is_marked in (True, False):
                repeated = [prompt for prompt in prompts for _ in range(REGENERATIONS)]
                fields: dict[str, Any] = {"temperature": temperature, "max_tokens": 40}
                answers = self._engine.write(repeated, is_marked=is_marked, **fields)
                groups = [
                    [tuple(answer.tokens) for answer in group] for group in batched(answers, REGENERATIONS)
                ]
                name = f"temperature {temperature}, {'marked' if is_marked else 'unmarked'}"
                found[name] = {
                    "prompts": len(prompts),
                    **{
                        f"distinct_{length}": mean(len({one[:length] for one in group}) for group in groups)
                        / REGENERATIONS
                        for length in (5, 10, 20, 40)
                    },
                }
        return found

    def _measure_edits(self) -> Table:
        """Return how many answers of 100 tokens or more are found after what people do to texts."""
        long = [answer for answer in self._answers[0] if len(answer.tokens) >= 100]
        chance = random.Random(4)
        changed = {
            "as written": [answer.text for answer in long],
            "from the middle of a sentence": [" ".join(answer.text.split()[10:]) for answer in long],
        }
        for part in DELETED:
            changed[f"{part:.0%} of the words deleted"] = [
                texts.delete_words(answer.text, part, chance) for answer in long
            ]
        sources = [answer.text for answer in long[: max(8, len(long) // 4)]]
        prompts = [PARAPHRASE.format(text) for text in sources]
        fields: dict[str, Any] = {"temperature": 0.7, "max_tokens": ANSWER_TOKENS}
        paraphrases = self._engine.write(prompts, is_marked=False, **fields)
        changed["rewritten by the base, unmarked"] = [answer.text for answer in paraphrases]
        found = {"the engine's own tokens": self._survival([answer.tokens for answer in long])}
        for name, every in changed.items():
            found[name] = self._survival([self._tokenize(text) for text in every])
        return found

    def _survival(self, every: Sequence[Sequence[int]]) -> Table:
        detections = [detect(tokens, self._key) for tokens in every if tokens]
        return {
            "texts": len(every),
            "found": share(self._find_all(every)),
            "nats_above_chance": mean(one.score / one.scored_tokens - 1 for one in detections),
            "median_tokens": median(map(len, every)),
        }

    def _tokenize(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _count_false_alarms(self) -> Table:
        """Return how often each key is found in texts that no engine wrote, and how often random keys are."""
        groups = {
            "passages of books": texts.read_passages(self._novels, PASSAGES),
            "template texts": texts.fill_templates(TEMPLATE_TEXTS),
        }
        chance = random.Random(5)
        found: Table = {}
        for name, every in groups.items():
            counted = [count_tokens(self._tokenize(text)) for text in every]
            for epoch, key in KEYS.items():
                found[f"{name}, epoch {epoch}"] = count_alarms(counted, [key])
            keys = [chance.getrandbits(64) for _ in range(RANDOM_KEYS)]
            found[f"{name}, {RANDOM_KEYS} random keys"] = count_alarms(counted, keys)
        return found

    def _compare_with_vllm(self) -> Table:
        """Return how far p-values are from those of vLLM's own detector, at most."""
        human = texts.read_passages(self._novels, COMPARED_TEXTS)
        every = [answer.tokens for answer in (*self._answers[0], *self._answers[1])][: COMPARED_TEXTS // 2]
        every += [self._tokenize(text) for text in human[: COMPARED_TEXTS - len(every)]]
        asked = json.dumps([[self._key, tokens] for tokens in every])
        script = str(ROOT / "dev" / "labs" / "engine" / "detect.py")
        done = subprocess.run([str(PYTHON), script], input=asked, capture_output=True, text=True, check=True)
        farthest = 0.0
        wrong = 0
        for tokens, (_, p_value, scored) in zip(every, json.loads(done.stdout), strict=True):
            own = detect(tokens, self._key)
            wrong += own.scored_tokens != scored
            farthest = max(farthest, abs(own.p_value - p_value) / p_value if p_value else own.p_value)
        return {"texts": len(every), "relative_difference": farthest, "other_counts": wrong}

    def _time_detector(self) -> Table:
        """Return how long 2,000 tokens in 20 paragraphs take under all keys."""
        tokens = [token for answer in self._answers[1] for token in answer.tokens][:2000]
        spans = [(start, start + 100) for start in range(0, len(tokens), 100)]
        taken_ms, cpu_ms = [], []
        for _ in range(50):
            started_s, cpu_started_s = time.perf_counter(), time.thread_time()
            examine(tokens, KEYS, spans=spans)
            taken_ms.append(1000 * (time.perf_counter() - started_s))
            cpu_ms.append(1000 * (time.thread_time() - cpu_started_s))
        return {
            "tokens": len(tokens),
            "keys": len(KEYS),
            "cpu_ms": median(cpu_ms),
            "median_ms": median(taken_ms),
            "worst_ms": max(taken_ms),
        }


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
