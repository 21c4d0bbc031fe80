"""What a check of `make check` says in the lines that it prints: a note, or that it could not look."""

from dataclasses import dataclass, field
from typing import Self

NOTE = "note: "  # what a check that passes has to say
NOT_CHECKED = "not checked: "  # a check could not look, and why
NOT_AUDITED = "not audited: "  # the same of the audit of dependencies


@dataclass(frozen=True)
class Outcome:
    """How a check ended: `skipped` says why it could not look, with what was not done before it."""

    title: str
    passed: bool
    notes: tuple[str, ...] = field(default=())
    skipped: str = ""

    @classmethod
    def read(cls, title: str, returncode: int, printed: str, *, may_be_skipped: bool = True) -> Self:
        """Return the outcome of a check that exited with a code and printed some lines.

        What could not look has failed unless it may be skipped.
        """
        lines = printed.splitlines()
        skipped = [line for line in lines if line.startswith((NOT_CHECKED, NOT_AUDITED))]
        notes = tuple(line for line in lines if line.startswith(NOTE))
        passed = returncode == 0 and (may_be_skipped or not skipped)
        return cls(title, passed=passed, notes=notes, skipped="; ".join(skipped))


def closing_line(outcomes: list[Outcome]) -> str:
    """Return the last line of `make check`: what was not looked at is never counted as passed."""
    failed = [outcome for outcome in outcomes if not outcome.passed]
    skipped = [outcome for outcome in outcomes if outcome.passed and outcome.skipped]
    passed = len(outcomes) - len(failed) - len(skipped)
    line = f"{passed} passed, {len(failed)} failed"
    if skipped:
        said = "; ".join(f"{outcome.title} {outcome.skipped}" for outcome in skipped)
        line += f", {len(skipped)} skipped: {said}"
    return line
