"""Findings: what is wrong with one adapter."""

from adapters.errors import Finding
from adapters.validation.problems import Reason
from core.messages import Fact, Message

LISTED = 50  # findings; a hostile header could cause thousands
SHOWN_CHARACTERS = 120  # of each fact
HUGE = 10**15


class Findings:
    """The findings of one validation: each once, however many tensors have it. Keeps the first LISTED.

    The rest is counted.
    """

    def __init__(self) -> None:
        self._listed: list[Finding] = []
        self._said: set[tuple[object, ...]] = set()
        self.count = 0

    def add(self, code: str, *, tensor: str = "", **facts: object) -> None:
        """Add one finding. Facts may be a stranger's text, so they are shortened and made printable."""
        self.count += 1
        shown = {name: plain_fact(fact) for name, fact in facts.items()}
        # One mistake of a training run is in hundreds of tensors: it has one cause and one fix.
        said = (code, *sorted(shown.items()))
        if len(self._listed) >= LISTED or said in self._said:
            return
        self._said.add(said)
        if tensor:
            shown["tensor"] = plain(tensor)
        self._listed.append(Finding(code, shown))

    def has(self, code: str) -> bool:
        """Return whether a finding with a code is listed."""
        return any(finding.code == code for finding in self._listed)

    def drop(self, code: str) -> None:
        """Forget findings that another one explains better."""
        kept = [finding for finding in self._listed if finding.code != code]
        self.count -= len(self._listed) - len(kept)
        self._listed = kept

    def as_tuple(self) -> tuple[Finding, ...]:
        """Return the findings, with a closing line when there are more than are listed."""
        if self.count <= len(self._listed):
            return tuple(self._listed)
        return (*self._listed, Finding("more", {"count": self.count - len(self._listed)}))


def plain_fact(fact: object) -> Fact:
    """Return a fact that may be a stranger's: numbers as they are, all else as short printable text."""
    if isinstance(fact, Message):
        return fact
    if isinstance(fact, int) and not isinstance(fact, bool):
        return fact if abs(fact) < HUGE else Reason.HUGE_NUMBER()
    return plain(fact)


def plain(fact: object) -> str:
    """Return a fact as short printable text, whatever a stranger wrote there."""
    text = fact[: SHOWN_CHARACTERS * 2] if isinstance(fact, str) else str(fact)
    shown = "".join(_escape_unprintable(character) for character in text)
    return shown if len(shown) <= SHOWN_CHARACTERS else f"{shown[: SHOWN_CHARACTERS - 1]}…"


def _escape_unprintable(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
