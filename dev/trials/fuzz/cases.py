"""The cases of `trials fuzz`: mutants and what validation says of them, which must never be a crash."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from adapters.validation import BaseShape, Finding, autofix, validate_adapter
from adapters.validation.problems import CLOSING
from adapters.validation.problems import WEIGHTS as OF_WEIGHTS
from labs.broken_adapters.mutants import Mutant, generate_mutants
from labs.broken_adapters.parts import WEIGHTS, Parts, write_files
from labs.broken_adapters.valid import read_adapter

BLOCK = 100  # mutants that are made at once
SLOW_S = 10.0  # on a machine that runs an engine beside it; 0.1 s is usual
CONVERTED = "converted"


@dataclass(frozen=True)
class Case:
    """A mutant by its number; `fault` is what validation did that it never may, or ""."""

    number: int
    mutant: Mutant
    findings: tuple[Finding, ...] = ()
    fault: str = ""

    @cached_property
    def name(self) -> str:
        """Its name in the engine and of its folder."""
        return f"{CONVERTED if self.is_converted else 'mutant'}-{self.number}"

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """The codes of all findings, each once."""
        return tuple(sorted({finding.code for finding in self.findings}))

    @property
    def is_converted(self) -> bool:
        """True if it is what a conversion made of a mutant that was refused."""
        return self.mutant.mutations[-1:] == (CONVERTED,)

    @property
    def is_accepted(self) -> bool:
        """True if an engine is to serve it."""
        return not self.findings and not self.fault

    def write(self, folder: Path) -> None:
        """Write the two files into a new folder."""
        write_files(folder, self.mutant.config, self.mutant.weights)


@dataclass(frozen=True)
class Cases:
    """All cases of a seed, for one base model and one engine's highest rank."""

    seed: int
    base: BaseShape
    trained: Sequence[Parts]
    max_rank: int
    _blocks: dict[int, list[Mutant]] = field(default_factory=dict, compare=False)

    def make_cases(self, number: int) -> list[Case]:
        """Return a mutant's case and, if a conversion is offered for it, what that makes of it."""
        made = self._mutant(number)
        try:
            return [Case(number, made, *self._examined(made)), *self._converted(number, made)]
        except Exception as error:  # noqa: BLE001 (a crash of any kind is what is looked for)
            return [Case(number, made, fault=f"validation crashed: {error!r:.300}")]

    def _mutant(self, number: int) -> Mutant:
        block, place = divmod(number, BLOCK)
        if block not in self._blocks:
            self._blocks.clear()  # cases are tried in their order
            self._blocks[block] = generate_mutants(
                self.base, self.trained, number=BLOCK, seeded=f"{self.seed}-{block}"
            )
        return self._blocks[block][place]

    def _converted(self, number: int, made: Mutant) -> list[Case]:
        """A conversion may leave only what is wrong with the weights themselves."""
        if not validate_adapter(made.config, made, self.base, self.max_rank).conversions:
            return []
        plan = autofix.plan_autofix(made.config, made, self.base, self.max_rank)
        if plan is None:
            return [Case(number, made, fault="a conversion was offered that can't be made")]
        mutations = (*made.mutations, CONVERTED)
        after = Mutant(mutations, plan.config_bytes, b"".join(plan.weights(made)))
        findings, fault = self._examined(after)
        left = {finding.code for finding in findings} - OF_WEIGHTS.keys() - CLOSING.keys()
        return [Case(number, after, findings, fault or (f"a conversion leaves {left}" if left else ""))]

    def _examined(self, made: Mutant) -> tuple[tuple[Finding, ...], str]:
        began = time.monotonic()
        findings = validate_adapter(made.config, made, self.base, self.max_rank).findings
        return findings, _fault(findings, time.monotonic() - began)


def read_trained(styles: Path, base: BaseShape) -> list[Parts]:
    """Return the shipped styles, to be mutated."""
    return [read_adapter(file.parent, base) for file in sorted(styles.glob(f"*/{WEIGHTS}"))]


def _fault(findings: Sequence[Finding], seconds: float) -> str:
    if seconds > SLOW_S:
        return f"validation took {seconds:.1f} s"
    dumb = [finding.code for finding in findings if not (finding.sentence.strip() and finding.fix.strip())]
    return f"no sentence or no fix for {', '.join(dumb)}" if dumb else ""
