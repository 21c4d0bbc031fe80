"""A finding: whether something is well, what was measured, and how to mend it where it is not."""

from collections.abc import Iterable
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
    value: float = 0.0  # what was measured, in the unit of its bound
    rows: str = ""  # the console's list of what is meant, such as `tenants_tenant?state=stale`
    is_away: bool = False  # it does not answer, so nothing is known about it

    @property
    def is_ok(self) -> bool:
        return self.level is Level.OK


def ok(subject: str, seen: str) -> Finding:
    """Return that something is well."""
    return Finding(subject, Level.OK, seen)


def note(subject: str, seen: str, fix: str) -> Finding:
    """Return what works and could be better."""
    return Finding(subject, Level.NOTE, seen, fix)


def fault(subject: str, seen: str, fix: str) -> Finding:
    """Return what does not work."""
    return Finding(subject, Level.FAULT, seen, fix)


def judge(
    subject: str,
    seen: str,
    fix: str,
    *,
    is_bad: bool,
    level: Level = Level.FAULT,
    value: float = 0.0,
    rows: str = "",
) -> Finding:
    """Return what was measured: that it is well, or, where it is bad, its level and how to mend it."""
    if not is_bad:
        return Finding(subject, Level.OK, seen, value=value, rows=rows)
    return Finding(subject, level, seen, fix, value, rows)


def worst(findings: Iterable[Finding]) -> Level:
    """Return the level of the worst finding; OK where there is none."""
    return max((finding.level for finding in findings), key=list(Level).index, default=Level.OK)


UNITS: tuple[tuple[float, float, str], ...] = (
    (1, 0.001, "ms"),
    (120, 1, "s"),
    (7200, 60, "min"),
    (172_800, 3600, "h"),
)


def words_of_seconds(seconds: float) -> str:
    """Return a length of time in the unit that suits it, as `40 ms`, `1.5 s`, `90 s` or `3 h`."""
    for below, unit_s, unit in UNITS:
        if seconds < below:
            digits = 1 if unit == "s" and seconds < 10 else 0
            return f"{seconds / unit_s:,.{digits}f} {unit}"
    return f"{seconds / 86_400:,.0f} d"
