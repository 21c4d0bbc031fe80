"""The public page about the service's state, in customers' words. It names no workspace.

What is asked, and from when on it is bad, the table of health checks says; it asks each at most every 2 s.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from operations.monitoring import health
from operations.monitoring.findings import Finding

MAX_AGE_S = 5

type State = Literal["up", "slow", "down"]

STATES: tuple[State, ...] = ("up", "slow", "down")  # from the best to the worst


@dataclass(frozen=True)
class Part:
    """One part of the service, and how it does, in words."""

    name: str | Promise
    state: State
    sentence: str | Promise


@dataclass(frozen=True)
class Status:
    """How all parts do at a moment."""

    parts: list[Part]
    at: datetime

    @property
    def state(self) -> State:
        """The worst of the parts' states."""
        return max((part.state for part in self.parts), key=STATES.index)


@dataclass(frozen=True)
class PublicCheck:
    """A health check in public: a part of the service as customers know it, and a sentence for each state."""

    part: str | Promise
    check: str
    up: str | Promise
    away: str | Promise  # what it asks doesn't answer
    away_state: State = "down"
    slow: str | Promise = ""  # "": whatever is bad is as bad as if it were away
    none: str | Promise = ""  # nothing that it asks is well; "": the same as if some were

    def show(self, found: Sequence[Finding]) -> Part:
        """Return the part as the check found it."""
        bad = [finding for finding in found if not finding.is_ok]
        if not bad:
            return Part(self.part, "up", self.up)
        if not self.slow or any(finding.is_away for finding in bad):
            return Part(self.part, self.away_state, self.away)
        if self.none and len(bad) == len(found):
            return Part(self.part, "down", self.none)
        minutes = int(max(finding.value for finding in bad)) // 60 + 1
        answering = len(found) - len(bad)
        facts = {"count": minutes, "answering": answering, "known": len(found)}
        sentence = format_lazy(self.slow, **facts)  # type: ignore[arg-type]  # the stubs want a private class
        return Part(self.part, "slow", sentence)


BACKGROUND_WORK = _("Background work")
WORK_DONE = _("Usage, upload checks, webhooks and emails are up to date.")
WORK_PAUSED = _("Background work is paused. Nothing is lost; we resume it automatically.")
PUBLIC_CHECKS = (
    PublicCheck(
        "API",
        "Valkey",
        up=_("Requests are accepted and limits are checked."),
        away=_("Limits can't be checked, so every request fails with 503."),
    ),
    PublicCheck(
        _("Model servers"),
        "engines",
        up=_("All model servers are responding."),
        slow=_("{answering} of {known} model servers are responding. Requests may take longer."),
        none=_("No model server is responding, so no text can be generated at the moment."),
        away=_("Unknown: the database isn't responding."),
        away_state="slow",
    ),
    PublicCheck(
        _("Pages and accounts"),
        "PostgreSQL",
        up=_("Pages load and changes are saved."),
        away=_("The database isn't responding. Pages fail; answers in progress continue."),
    ),
    PublicCheck(
        _("Uploads"),
        "storage",
        up=_("Uploads are accepted and checked."),
        away=_("The storage isn't responding, so uploads fail. Loaded styles keep working."),
    ),
    PublicCheck(
        BACKGROUND_WORK,
        "ledger",
        up=WORK_DONE,
        slow=_("Usage is delayed by about {count} minutes. Nothing is lost."),
        away=WORK_PAUSED,
    ),
    PublicCheck(
        BACKGROUND_WORK,
        "queues",
        up=WORK_DONE,
        slow=_("Upload checks, webhooks and emails are slower than usual."),
        away=WORK_PAUSED,
    ),
)


def read_status() -> Status:
    """Return how all parts do. A part that several checks look at is as the worst of them says."""
    parts: dict[str, Part] = {}
    for row in PUBLIC_CHECKS:
        part = row.show(health.read(row.check))
        known = parts.setdefault(str(row.part), part)
        if STATES.index(part.state) > STATES.index(known.state):
            parts[str(row.part)] = part
    return Status(list(parts.values()), timezone.now())


@require_GET
def show_status(request: HttpRequest) -> HttpResponse:
    """Show how the service does. It needs no session, so it also answers while the database is away."""
    answer = render(request, "status.html", {"status": read_status()})
    answer.headers.setdefault("Cache-Control", f"public, max-age={MAX_AGE_S}")
    return answer
