"""`trials fuzz`: mutated adapters. What validation accepts, a real vLLM must serve, to nobody's harm."""

import asyncio
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from adapters.validation import base_model_reader
from stack.folders import ROOT, shown
from stack.whole import start_engine
from trials.fuzz.cases import Cases, FuzzVerdict, read_trained
from trials.fuzz.engine import write_witnesses
from trials.fuzz.run import Run
from trials.harness import Context, run_on_own_stack

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
