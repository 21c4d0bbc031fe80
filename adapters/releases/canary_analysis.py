"""A canary beside the live version: both versions' figures, what they say, and when a canary has to end."""

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from adapters.models import AdapterVersion, Style
from tenants.public import VersionFigures, version_figures

LEAST_REQUESTS = 20
# Clearly worse: more than twice as often as the live version, and five percentage points on top.
TIMES, MARGIN_PERCENT = 2, 5
LOOKS_BACK = timedelta(days=1)  # what is older says little about now, and costs time to count


@dataclass(frozen=True)
class CanaryComparison:
    """How a canary and the live version did over the same time."""

    canary: AdapterVersion
    live: AdapterVersion
    percent: int
    canary_figures: VersionFigures
    live_figures: VersionFigures

    @property
    def fault(self) -> str:
        """Why the canary has to end, with its figures, or "" while nothing speaks against it."""
        canary, live = self.canary_figures, self.live_figures
        if canary.requests < LEAST_REQUESTS:
            return ""
        if _is_clearly_worse(canary.error_percent, live.error_percent):
            return self._worse("failed", canary.errors, live.errors)
        if _is_clearly_worse(canary.empty_percent, live.empty_percent):
            return self._worse("wrote nothing", canary.empty, live.empty)
        return ""

    @property
    def sentence(self) -> str:
        """What the figures say, for people."""
        finished = self.canary_figures.requests
        opening = f"Version {self.canary.number} answers {self.percent} % of requests"
        if finished < LEAST_REQUESTS:
            return f"{opening}; {finished} of the {LEAST_REQUESTS} that a judgement needs are finished."
        return f"{opening}; {self._verdict}."

    @property
    def _verdict(self) -> str:
        canary, live = self.canary_figures, self.live_figures
        if canary.errors or live.errors:
            verdict = (
                f"it fails {_compared(canary.error_percent, live.error_percent)} version {self.live.number}"
            )
        else:
            verdict = f"neither it nor version {self.live.number} has failed"
        if canary.empty_percent == live.empty_percent:
            return verdict
        more = "more" if canary.empty_percent > live.empty_percent else "less"
        return f"{verdict}, and its answers are empty {more} often"

    def _worse(self, action: str, canary_times: int, live_times: int) -> str:
        return (
            f"Version {self.canary.number} {action} {canary_times} of {self.canary_figures.requests} times, "
            f"version {self.live.number} {live_times} of {self.live_figures.requests}."
        )


def compare_canary(style: Style) -> CanaryComparison | None:
    """Return how a style's canary does beside its live version, or None where none runs."""
    canary, live, since = style.canary_version, style.live_version, style.canary_since
    if canary is None or live is None or since is None:
        return None
    found = version_figures(style.pk, max(since, timezone.now() - LOOKS_BACK))
    return CanaryComparison(
        canary=canary,
        live=live,
        percent=style.canary_percent,
        canary_figures=found.get(canary.number, VersionFigures()),
        live_figures=found.get(live.number, VersionFigures()),
    )


def _is_clearly_worse(canary: float, live: float) -> bool:
    return canary > TIMES * live + MARGIN_PERCENT


def _compared(canary: float, live: float) -> str:
    if canary == live:
        return "as often as"
    return f"{'less' if canary < live else 'more'} often than"
