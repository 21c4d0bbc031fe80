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
from trials.grammars.expensive import hand_made
from trials.harness import Context, open_engine, run_on_own_stack
from trials.verdict import Verdict

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
            "fuzz-grammars.json", how=f"make trial NAME=fuzz-grammars ARGS='--cases {cases} --seed {seed}'"
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
