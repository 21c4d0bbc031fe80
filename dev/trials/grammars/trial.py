"""`trials fuzz-grammars`: random and expensive grammars at a real vLLM, and what a neighbour feels of them.

A neighbour asks one short question after the other. It is measured alone, beside plain requests, and beside
grammars, in turn, so that a machine that others use slows all three alike.
"""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import batched
from statistics import median
from typing import Any

import aiohttp

from stack.errors import Interrupted
from stack.folders import shown
from stack.whole import start_engine
from trials.grammars.case import PROMPT, Case, random_case
from trials.harness import Context, Verdict, open_engine, run_on_own_stack

# Fifty grammars that are expensive to compile or to follow, made by hand: EXPENSIVE, of these.
TEXT = {"type": "string"}
# Of SmolLM2: token ids of single letters, digits, blanks and brackets, which lead into a grammar's branches.
SMALL_TOKENS = {str(token): 40 for token in range(17, 110)}

REGEXES = {
    "quantifier without a count in a group": "([a-z]{1,}){1,}0",
    "group that may be empty": "([a-z]?)*0",
    "groups within each other": "(([a-z]+)?)*0",
    "two stars": "((a|b)*(a|b)*)*c",
    "repeated wide class": "(.{1,20})+",
    "repeated wide lengths": "(.{2}|.{3}|.{5}|.{7})*",
    "adjacent wide lengths": ".{0,30}.{0,30}.{0,30}",
    "lengths within lengths": "([a-z]{1,10}){1,30}",
    "questions": "(.?.?.?.?)*",
    "plus and question": "(.+.?)+",
    "backtracking": "(x+x+)+y",
    "plus of plus": "([a-z]+)+",
    "counted plus": "([a-z]+){20}",
    "doubling": "((((((((((a{2}){2}){2}){2}){2}){2}){2}){2}){2}){2}){99}",
    "open lengths": "(.{1,20}){1,}",
    "ten open lengths": "(" + ".{1,}" * 10 + ")+",
    "many alternatives": "(" + "|".join("a" * count for count in range(1, 60)) + ")*b",
    "words that overlap": "((a|ab|abc|abcd|[a-z]+)+ ?)+0",
    "escaped classes": r"([\w\s]{1,50}[\d\w]{1,50})+!",
    "a hundred questions": ".?" * 100,
}


def _any_of(options: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {"anyOf": list(options)}


def _array(items: dict[str, Any], **bounds: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, **bounds}


def _texts(facts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return a schema of texts of several kinds."""
    return _any_of(TEXT | fact for fact in facts)


def _properties(schemas: Iterable[dict[str, Any]]) -> dict[str, Any]:
    return {"properties": {f"p{number}": schema for number, schema in enumerate(schemas)}}


def _rules() -> str:
    """Return a hundred rules that lead to each other."""
    rules = ["root ::= r0"]
    for rule in range(100):
        branches = [f'r{(rule * 7 + branch) % 100} "{chr(97 + branch)}"' for branch in range(5)]
        rules.append(f'r{rule} ::= {" | ".join(branches)} | "z"')
    return "\n".join(rules)


NODES = [{"$ref": f"#/$defs/n{number}"} for number in range(8)]
CIRCLES = {f"n{number}": _any_of([*NODES, TEXT]) for number in range(8)}
ARRAYS = {f"n{size}": _any_of(_array(node, maxItems=50 + size) for node in NODES[:6]) for size in range(6)}
LINKS = {f"{number:x}": {"$ref": f"#/$defs/{number + 1:x}"} for number in range(800)}
PREFIXES = {"prefixItems": [TEXT] * 20}
FORMATS = ("email", "uri", "hostname", "ipv6", "uri-reference", "duration")
SCHEMAS: dict[str, Any] = {
    "alternatives that are arrays of each other": {"$defs": ARRAYS, "$ref": "#/$defs/n0"},
    "alternatives that lead to each other": {"$defs": CIRCLES, "$ref": "#/$defs/n0"},
    "prefix items with items": _array(_array(TEXT, **PREFIXES), prefixItems=[_array(TEXT, **PREFIXES)] * 20),
    "long texts": {"type": "string", "maxLength": 100_000},
    "many lengths": _properties({"type": "string", "maxLength": 40 + i} for i in range(60)),
    "256 optional properties": _properties([TEXT] * 256) | {"additionalProperties": False},
    "3,000 optional properties": _properties([TEXT] * 3000),
    "bounded arrays": _any_of(
        _array({"type": "integer", "maximum": 10**6 + i}, maxItems=900) for i in range(100)
    ),
    "an array within an array": _array(
        {"type": "array", "minItems": 900, "maxItems": 1000}, minItems=900, maxItems=1000
    ),
    "a large enum": {"enum": [f"value {i} " + "x" * (i % 90) for i in range(5000)]},
    "many patterns": _texts({"pattern": f"^a{i}[a-z]{{1,40}}$"} for i in range(100)),
    "a pattern of plus in plus": {"type": "string", "pattern": "^(([a-z]+)+,?)+$"},
    "adjacent lengths": {"type": "string", "pattern": "^.{0,30}.{0,30}.{0,30}$"},
    "a chain of references": {"$defs": LINKS | {f"{800:x}": TEXT}, "$ref": "#/$defs/0"},
    "names of any form": {"type": "object", "additionalProperties": _any_of([TEXT, {"$ref": "#"}])},
    "numbers between bounds": _any_of(
        {"type": "number", "minimum": i + 0.125, "maximum": 10**9 + i} for i in range(100)
    ),
    "formats": _texts({"format": name} for name in FORMATS),
}
TOOLS = ("many lengths", "256 optional properties", "prefix items with items", "bounded arrays")
GRAMMARS = {
    "left recursion": 'root ::= root "a" | root "b" | "c"',
    "ambiguous sums": 'root ::= root root | "a" | "a" root',
    "rules that may be empty": 'root ::= a a a a a a a a\na ::= "x" a | b | ""\nb ::= a | "y" | ""',
    "a hundred rules of each other": _rules(),
    "brackets within each other": 'root ::= "(" root ")" root | [a-z]* root | ""',
}
CHOICES = {
    "thousands of choices": [f"{'ab' * (i % 40)}{i}" for i in range(5000)],
    "choices that begin alike": ["a" * i for i in range(1, 800)],
    "long choices": ["lorem ipsum " * 500 + str(i) for i in range(20)],
}


def hand_made() -> list[Case]:
    """Return all of them; some are steered into the expensive branch."""
    cases = [Case(name, "regex", text, bias=SMALL_TOKENS) for name, text in REGEXES.items()]
    cases += [Case(name, "json", schema) for name, schema in SCHEMAS.items()]
    cases += [Case(name, "grammar", text, bias=SMALL_TOKENS) for name, text in GRAMMARS.items()]
    cases += [Case(name, "choice", choices) for name, choices in CHOICES.items()]
    for name in TOOLS:
        cases.append(Case(f"tool: {name}", "tools", {"type": "object", "properties": {"a": SCHEMAS[name]}}))
    circles = {"type": "object", "$defs": CIRCLES, "properties": {"a": NODES[0]}}
    cases.append(Case("tool: circles", "tools", circles))
    return cases


QUESTION = "What is rain?"
QUESTION_TOKENS = 8
ANSWER_TOKENS = 24
BLOCK_CASES = 25  # between two measurements without grammars
PLAIN_REQUESTS = 10
QUIET_QUESTIONS = 5
MAX_PARALLEL = 4  # cases, or plain requests
PATIENCE_S = 180.0
MAX_MEDIAN_TIMES = 1.5
MAX_WORST_MORE_S = 2.0
STOPPED = "polyscribe:"


@dataclass
class GrammarsVerdict(Verdict):
    """What the neighbour felt, in seconds a question, and how the cases ended."""

    title = "FUZZ-GRAMMARS"

    seed: int
    cases: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    faults: list[dict[str, str]] = field(default_factory=list)
    alone_s: list[float] = field(default_factory=list)
    beside_plain_s: list[float] = field(default_factory=list)
    beside_grammars_s: list[float] = field(default_factory=list)
    slowest: list[tuple[float, str]] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """True if no case broke anything, and the neighbour was answered about as beside plain requests."""
        return bool(
            self.cases
            and not self.faults
            and self.times <= MAX_MEDIAN_TIMES
            and self.more_s <= MAX_WORST_MORE_S
        )

    @property
    def times(self) -> float:
        """How many times as long as beside plain requests a question takes, by the medians."""
        return median(self.beside_grammars_s) / median(self.beside_plain_s)

    @property
    def more_s(self) -> float:
        """How much longer the slowest question took beside grammars."""
        return max(self.beside_grammars_s) - max(self.beside_plain_s)

    def published(self) -> dict[str, object]:
        return {
            "machine_load": [round(load, 1) for load in os.getloadavg()],
            "verdict": self.line(),
            "figures": self.figures(),
            "faults": self.faults,
            "slowest": self.slowest,
        }

    def figures(self) -> dict[str, object]:
        return {
            "cases": self.cases,
            "faults": len(self.faults),
            **self.ends,
            "median_alone_s": round(median(self.alone_s), 3),
            "median_beside_plain_s": round(median(self.beside_plain_s), 3),
            "median_beside_grammars_s": round(median(self.beside_grammars_s), 3),
            "times": round(self.times, 2),
            "worst_alone_s": round(max(self.alone_s), 2),
            "worst_beside_plain_s": round(max(self.beside_plain_s), 2),
            "worst_beside_grammars_s": round(max(self.beside_grammars_s), 2),
            "worst_more_s": round(self.more_s, 2),
        }


def fuzz_grammars(*, cases: int, seed: int) -> int:
    """Run the trial on an engine of its own; return 0 if the verdict is good."""

    def fuzzing(context: Context) -> GrammarsVerdict:
        verdict = trial(context, cases=chosen_cases(cases, seed), seed=seed)
        verdict.publish(
            "fuzz-grammars", how=f"make trial NAME=fuzz-grammars ARGS='--cases {cases} --seed {seed}'"
        )
        return verdict

    return run_on_own_stack(
        "fuzz-grammars", fuzzing, start=lambda stack: stack.waiting.all(start_engine(stack))
    )


def chosen_cases(count: int, seed: int) -> list[Case]:
    """Return those made by hand, and so many of chance."""
    return [*hand_made(), *(random_case(seed, number) for number in range(count))]


def trial(context: Context, *, cases: Sequence[Case], seed: int) -> GrammarsVerdict:
    """Send the cases to a running engine while a neighbour asks it."""
    context.say(f"\nfuzz-grammars: {len(cases)} cases, seed {seed}, notes in {shown(context.notes)}/")
    verdict = GrammarsVerdict(seed)
    asyncio.run(_Run(context, verdict).all(cases))
    for fault in verdict.faults:
        context.say(f"  ! {fault['case']}: {fault['what']}")
    return verdict


class _Run:
    """The client of one engine, and the neighbour."""

    def __init__(self, context: Context, verdict: GrammarsVerdict) -> None:
        self._context = context
        self._model = context.variables["BASE_MODEL"]
        self._verdict = verdict

    async def all(self, cases: Sequence[Case]) -> None:
        """Measure block by block. Raises Interrupted."""
        verdict = self._verdict
        async with open_engine(self._context.variables, timeout_s=PATIENCE_S) as self._http:
            await self._ask_times(QUIET_QUESTIONS)  # to warm up
            for block in batched(cases, BLOCK_CASES):
                verdict.alone_s += await self._ask_times(QUIET_QUESTIONS)
                plain = (self._write_plain() for _ in range(PLAIN_REQUESTS))
                verdict.beside_plain_s += await self._ask_beside(plain)
                verdict.beside_grammars_s += await self._ask_beside(map(self._send, block))
                verdict.write(self._context.notes)
                self._context.say(f"  {verdict.line()}")

    async def _ask_times(self, count: int) -> list[float]:
        return [await self._ask() for _ in range(count)]

    async def _ask_beside(self, requests: Iterable[Any]) -> list[float]:
        """Return how long questions took while some requests ran, MAX_PARALLEL of them."""
        pending = iter(requests)

        async def work() -> None:
            for request in pending:
                if self._context.stopping.is_set():
                    request.close()
                    raise Interrupted("stopped")
                await request

        working = asyncio.gather(*(work() for _ in range(MAX_PARALLEL)))
        times: list[float] = []
        while not working.done() or len(times) < 2:
            times.append(await self._ask())
        await working
        return times

    async def _ask(self) -> float:
        """Return how long one question took, whole."""
        began_s = time.perf_counter()
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": QUESTION}],
            "max_tokens": QUESTION_TOKENS,
            "ignore_eos": True,
            "temperature": 0,
        }
        status, text = await self._post(body)
        if status != 200:
            self._note_fault("the neighbour", f"{status} {text[:200]}")
        return time.perf_counter() - began_s

    async def _write_plain(self) -> None:
        messages = [{"role": "user", "content": PROMPT}]
        await self._post({"model": self._model, "messages": messages, "max_tokens": ANSWER_TOKENS})

    async def _send(self, case: Case) -> None:
        """Send a case and note how it ended."""
        began_s = time.perf_counter()
        status, text = await self._post(case.body(self._model, tokens=ANSWER_TOKENS))
        self._verdict.cases += 1
        self._verdict.ends[_end_of(status, text)] += 1
        if status >= 500:
            self._note_fault(case.name, f"{status} {text[:200]}")
        took = (round(time.perf_counter() - began_s, 1), case.name)
        self._verdict.slowest = sorted([*self._verdict.slowest, took], reverse=True)[:10]

    async def _post(self, body: Mapping[str, Any]) -> tuple[int, str]:
        try:
            async with self._http.post("/v1/chat/completions", json=body) as answer:
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            return 599, f"{type(error).__name__} {error}"

    def _note_fault(self, case: str, what: str) -> None:
        self._verdict.faults.append({"case": case, "what": what})


def _end_of(status: int, text: str) -> str:
    """Return in a word how a case ended."""
    if status != 200:
        return f"status_{status}"
    reason = json.loads(text)["choices"][0].get("stop_reason")
    if isinstance(reason, str) and reason.startswith(STOPPED):
        return reason.removeprefix(STOPPED).rstrip(".")
    return "written"
