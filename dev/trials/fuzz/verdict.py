"""What `make trial NAME=fuzz` found."""

from collections import Counter
from dataclasses import asdict, dataclass, field

from trials.fuzz.cases import Case
from trials.verdict import Verdict


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
