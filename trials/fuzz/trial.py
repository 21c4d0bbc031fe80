"""`make fuzz`: mutated adapters. What validation accepts, a real vLLM must serve, to nobody's harm."""

import asyncio
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from adapters.validation import base_model_reader
from stack.folders import ROOT, shown
from stack.services import Stack
from stack.whole import start_engine
from trials.fuzz.cases import Cases, read_trained
from trials.fuzz.engine import write_witnesses
from trials.fuzz.run import Run
from trials.fuzz.verdict import FuzzVerdict
from trials.harness import run_on_own_stack
from trials.verdict import Say

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

    def fuzzing(stack: Stack, notes: Path) -> FuzzVerdict:
        return trial(
            stack.variables,
            notes=notes,
            numbers=numbers,
            seed=seed,
            say=stack.steps.say,
            stopping=stack.supervisor.stopping,
            restart=partial(stack.supervisor.kill, "engine"),
        )

    return run_on_own_stack("fuzz", fuzzing, start=lambda stack: stack.waiting.all(start_engine(stack)))


def trial(
    variables: Mapping[str, str],
    *,
    notes: Path,
    numbers: Sequence[int],
    seed: int = 1,
    say: Say = print,
    stopping: threading.Event | None = None,
    restart: Callable[[], None] | None = None,
) -> FuzzVerdict:
    """Let validation and a running engine judge mutants; somebody revives the engine that `restart` kills."""
    base = base_model_reader.read_base_model(Path(variables["BASE_MODEL_DIR"]), variables["BASE_MODEL"])
    styles = read_trained(STYLES, base)
    cases = Cases(seed, base, styles, int(variables["ENGINE_MAX_LORA_RANK"]))
    present = write_witnesses(styles, notes / "adapters")
    verdict = FuzzVerdict(seed, variables["ENGINE_DTYPE"])
    say(f"\nfuzz: {len(numbers)} cases, seed {seed}, {verdict.dtype}, notes in {shown(notes)}/")
    run = Run(variables, notes, cases, verdict, say, stopping or threading.Event(), restart)
    asyncio.run(run.all(numbers, present))
    verdict.write(notes)
    for violation in verdict.violations:
        say(f"  ! {violation.describe()}")
    return verdict
