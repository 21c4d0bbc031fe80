"""`trials fuzz`: mutated adapters. What validation accepts, a real vLLM must serve, to nobody's harm."""

import asyncio
import os
import shutil
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import batched, chain
from pathlib import Path

from adapters.validation import base_model_reader
from stack import engine as vllm
from stack.errors import Interrupted
from stack.folders import ROOT, shown
from stack.whole import start_engine
from trials.fuzz.cases import Case, Cases, FuzzVerdict, Violation, read_trained
from trials.fuzz.engine import MUTANT_TOKENS, Engine, Gone, Refused, Witnesses, write_witnesses
from trials.harness import Context, pause, run_on_own_stack

# One run of `make trial NAME=fuzz`: batches of mutants beside witnesses, and who of them is to blame.

TOGETHER = 13  # mutants in a batch: with the three witnesses, as many as an engine on a CPU answers at once
REMEMBERED = 4  # batches in whose memory a harm may have begun
EVERY = 250  # cases for each line of progress


@dataclass
class Run:
    """One run over many cases: batches of mutants beside the witnesses."""

    context: Context
    cases: Cases
    verdict: FuzzVerdict
    recent: deque[list[Case]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    async def all(self, numbers: Sequence[int], present: Witnesses) -> None:
        """Try every case; the next ones are made while the engine is asked about these."""
        began = time.monotonic()
        batches = batched(self._accepted_cases(numbers), TOGETHER)
        async with Engine(self.context.variables) as engine:
            present = await present.come(engine)
            batch = next(batches, ())
            while batch:
                upcoming = asyncio.create_task(asyncio.to_thread(next, batches, ()))
                await self._try([*batch], engine, present)
                batch = await upcoming
            await present.go(engine)
        self.verdict.seconds = round(time.monotonic() - began, 1)

    async def _try(self, batch: list[Case], engine: Engine, present: Witnesses) -> None:
        if self.context.stopping.is_set():
            raise Interrupted("stopped")
        self.recent.append(batch)
        if found := await self._try_together(batch, engine, present):
            self.verdict.violations += await self._trace(found, engine, present)

    def _accepted_cases(self, numbers: Sequence[int]) -> Iterator[Case]:
        """Yield the cases that an engine is to serve; count all."""
        began = time.monotonic()
        for done, number in enumerate(numbers, 1):
            for case in self.cases.make_cases(number):
                self.verdict.count(case)
                if case.fault:
                    self._keep(case)
                if len(numbers) == 1:
                    codes = ", ".join(case.codes) or "accepted"
                    self.context.say(f"  {', '.join(case.mutant.mutations)}: {codes}")
                if case.is_accepted:
                    yield case
            if done % EVERY == 0:
                self.context.say(
                    f"  {done:>6}/{len(numbers)}  accepted {self.verdict.accepted}, "
                    f"violations {len(self.verdict.violations)}, {time.monotonic() - began:.0f} s"
                )

    async def _try_together(self, batch: list[Case], engine: Engine, present: Witnesses) -> list[Violation]:
        """Load a batch, ask it and the witnesses at one moment, unload it; return what never may happen."""
        try:
            loaded, found = await self._load(batch, engine)
            answers = asyncio.gather(
                *(engine.complete(case.name, tokens=MUTANT_TOKENS) for case in loaded), return_exceptions=True
            )
            said = await present.said(engine)
            found += _refusals(loaded, await answers)
            if changed := await present.changed(engine, said, is_exact=self.verdict.dtype == "float32"):
                found.append(Violation("changed", _numbers(batch), "; ".join(changed)))
            for case in loaded:
                await engine.unload(case.name)
            if not await engine.is_alive():
                raise Gone("/health is not well")
        except (Gone, Refused) as error:
            found = [Violation("died", _numbers(batch), str(error))]
        for case in batch:
            shutil.rmtree(self._folder(case), ignore_errors=True)
        return found

    async def _load(self, batch: list[Case], engine: Engine) -> tuple[list[Case], list[Violation]]:
        loaded = []
        found = []
        for case in batch:
            case.write(self._folder(case))
            try:
                await engine.load(case.name, self._folder(case))
                loaded.append(case)
            except Refused as error:
                found.append(Violation("refused", (case.number,), str(error)))
        return loaded, found

    async def _trace(self, found: list[Violation], engine: Engine, present: Witnesses) -> list[Violation]:
        """Return violations with the one case that does it alone on a fresh engine, where there is one."""
        suspects = list(chain.from_iterable(self.recent))
        self.recent.clear()
        blamed = set(chain.from_iterable(violation.cases for violation in found))
        for case in suspects:
            if case.number in blamed:
                self._keep(case)
        if self.context.kill is None or all(violation.kind == "refused" for violation in found):
            return found
        await self._refresh(engine, present)
        alone: list[Violation] = []
        for case in suspects:
            if one := await self._try_alone(case, engine, present):
                alone += one
                await self._refresh(engine, present)
        return alone or found

    async def _try_alone(self, case: Case, engine: Engine, present: Witnesses) -> list[Violation]:
        """Try one case until the memory that it left is used again."""
        for _ in range(REMEMBERED):
            if found := await self._try_together([case], engine, present):
                self._keep(case)
                return found
        return []

    async def _refresh(self, engine: Engine, present: Witnesses) -> None:
        """Kill the engine, wait for the next one and bring the witnesses back."""
        if self.context.kill:
            self.context.kill("engine")
        url, key = (self.context.variables[name] for name in ("ENGINE_URL", "ENGINE_API_KEY"))
        pause(self.context.stopping, 1.0)  # until the killed one is gone
        self.context.wait_until(
            lambda: vllm.ready(url, key), within_s=vllm.READY_WITHIN_S, lack="the engine is not back"
        )
        await present.come(engine)

    def _keep(self, case: Case) -> None:
        """Keep a case's files."""
        if not (folder := self.context.notes / "kept" / case.name).exists():
            case.write(folder)

    def _folder(self, case: Case) -> Path:
        return self.context.notes / "adapters" / case.name


def _numbers(batch: Sequence[Case]) -> tuple[int, ...]:
    return tuple(case.number for case in batch)


def _refusals(asked: Sequence[Case], answers: Sequence[str | BaseException]) -> list[Violation]:
    """Return which mutants did not answer. Raises Gone."""
    found = []
    for case, answer in zip(asked, answers, strict=True):
        if isinstance(answer, Refused):
            found.append(Violation("refused", (case.number,), str(answer)))
        elif isinstance(answer, BaseException):
            raise answer
    return found


STYLES = ROOT / "engine" / "styles"
# So little memory for answers that each batch gets what a mutant has just left, all of it read in one step.
SMALL_MEMORY = "--num-gpu-blocks-override 48 --max-num-batched-tokens 256"


def fuzz(*, cases: int, seed: int, case: int | None) -> int:
    """Run the trial on an engine of its own; return 0 if the verdict is good."""
    os.environ.setdefault("ENGINE_DTYPE", "float32")  # exact: the witnesses' texts must stay to the letter
    os.environ.setdefault("ENGINE_OPTIONS", SMALL_MEMORY)
    for limit in ("ENGINE_MAX_LORAS", "ENGINE_MAX_NUM_SEQS"):
        os.environ.setdefault(limit, "16")
    numbers = range(cases) if case is None else [case]
    return run_on_own_stack(
        "fuzz",
        partial(trial, numbers=numbers, seed=seed),
        start=lambda stack: stack.waiting.all(start_engine(stack)),
    )


def trial(context: Context, *, numbers: Sequence[int], seed: int) -> FuzzVerdict:
    """Let validation and a running engine judge mutants; an engine that may be killed finds who did harm."""
    variables = context.variables
    base = base_model_reader.read_base_model(Path(variables["BASE_MODEL_DIR"]), variables["BASE_MODEL"])
    styles = read_trained(STYLES, base)
    cases = Cases(seed, base, styles, int(variables["ENGINE_MAX_LORA_RANK"]))
    present = write_witnesses(styles, context.notes / "adapters")
    verdict = FuzzVerdict(seed, variables["ENGINE_DTYPE"])
    notes = shown(context.notes)
    context.say(f"\nfuzz: {len(numbers)} cases, seed {seed}, {verdict.dtype}, notes in {notes}/")
    asyncio.run(Run(context, cases, verdict).all(numbers, present))
    verdict.write(context.notes)
    for violation in verdict.violations:
        context.say(f"  ! {violation.describe()}")
    return verdict
