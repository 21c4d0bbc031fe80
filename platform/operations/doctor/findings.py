"""A finding: whether something is well, and what to do where it is not."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad a finding is. Only FAULT makes the doctor's exit code 1."""

    OK = "ok"
    NOTE = "note"
    FAULT = "fault"


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was seen, and how to mend it."""

    subject: str
    level: Level
    seen: str
    fix: str = ""


type Check = Callable[[], Iterable[Finding]]


def ok(subject: str, seen: str) -> Finding:
    """Return that something is well."""
    return Finding(subject, Level.OK, seen)


def note(subject: str, seen: str, fix: str) -> Finding:
    """Return what works and could be better."""
    return Finding(subject, Level.NOTE, seen, fix)


def fault(subject: str, seen: str, fix: str) -> Finding:
    """Return what does not work."""
    return Finding(subject, Level.FAULT, seen, fix)


def fault_or_ok(subject: str, wrong: str, fix: str, *, well: str) -> Finding:
    """Return what is wrong with something and its fix; where nothing is, that it is well."""
    return fault(subject, wrong, fix) if wrong else ok(subject, well)


def run(subject: str, check: Check, faults: tuple[type[Exception], ...], fix: str) -> Iterator[Finding]:
    """Yield a check's findings; what it raises because a part is away is a finding, too."""
    try:
        yield from check()
    except faults as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        yield fault(subject, f"not responding: {reason[:200]}", fix)
