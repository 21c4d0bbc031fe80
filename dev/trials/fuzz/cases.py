"""The cases of `trials fuzz`: mutants and what validation says of them, which must never be a crash."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

from adapters.validation import BaseShape, Finding, autofix, validate_adapter
from adapters.validation.problems import CLOSING
from adapters.validation.problems import WEIGHTS as OF_WEIGHTS
from labs.broken_adapters.mutants import Mutant, generate_mutants
from labs.broken_adapters.parts import WEIGHTS, Parts, read_adapter, write_files
from trials.harness import Verdict

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


# What `make trial NAME=fuzz` found.


@dataclass(frozen=True)
class Violation:
    """Something that never may happen: crash, refused, died or changed; and by which cases."""

    kind: str
    cases: tuple[int, ...]
    what: str

    def describe(self) -> str:
        """Return it in a line, with the options that repeat its cases."""
        return f"{self.kind}, {' or '.join(f'--case {number}' for number in self.cases)}: {self.what}"


@dataclass
class FuzzVerdict(Verdict):
    """What the trial found; `converted` counts conversions of refused mutants that were accepted."""

    title = "FUZZ"

    seed: int
    dtype: str
    cases: int = 0
    accepted: int = 0
    converted: int = 0
    seconds: float = 0.0
    codes: Counter[str] = field(default_factory=Counter)
    mutations: Counter[str] = field(default_factory=Counter)
    mutations_accepted: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """True if nothing was found, and enough was accepted to find something."""
        return not self.violations and self.accepted > 0

    def count(self, case: Case) -> None:
        """Add a mutant, or a conversion."""
        if case.fault:
            self.violations.append(Violation("crash", (case.number,), case.fault))
        if case.is_converted:
            self.converted += case.is_accepted
            return
        self.cases += 1
        self.accepted += case.is_accepted
        self.codes.update(case.codes)
        self.mutations.update(case.mutant.mutations)
        if case.is_accepted:
            self.mutations_accepted.update(case.mutant.mutations)

    def details(self) -> dict[str, object]:
        violations = [asdict(violation) for violation in self.violations]
        return super().details() | {"violations": violations}

    def figures(self) -> dict[str, object]:
        kinds = Counter(violation.kind for violation in self.violations)
        figures: dict[str, object] = {
            "cases": self.cases,
            "accepted": self.accepted,
            "refused_by_engine": kinds["refused"],
            "engine_deaths": kinds["died"],
            "witnesses_changed": kinds["changed"],
        }
        if kinds["crash"]:
            figures["crashes"] = kinds["crash"]
        return figures
