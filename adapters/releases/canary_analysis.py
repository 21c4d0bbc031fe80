"""The canary beside the live version: both versions' figures, what they say, and when a canary has to end."""

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone

from adapters.models import AdapterVersion, Style
from tenants.public import VersionFigures, version_figures

# With fewer, a single failure would be more than MARGIN_PERCENT.
MIN_REQUESTS = 20
# Clearly worse: more than twice as often as the live version, and five percentage points on top.
MAX_RATIO = 2
MARGIN_PERCENT = 5
WINDOW = timedelta(days=1)  # what is older says little about now, and costs time to count


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
        canary = self.canary_figures
        live = self.live_figures
        if canary.requests < MIN_REQUESTS:
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
        if finished < MIN_REQUESTS:
            return f"{opening}; {finished} of the {MIN_REQUESTS} that a judgement needs are finished."
        return f"{opening}; {self._verdict}."

    @property
    def _verdict(self) -> str:
        canary = self.canary_figures
        live = self.live_figures
        verdict = f"neither it nor version {self.live.number} has failed"
        if canary.errors or live.errors:
            how_often = _compare(canary.error_percent, live.error_percent)
            verdict = f"it fails {how_often} version {self.live.number}"
        if canary.empty_percent == live.empty_percent:
            return verdict
        more = "more" if canary.empty_percent > live.empty_percent else "less"
        return f"{verdict}, and its answers are empty {more} often"

    def _worse(self, verb: str, canary_times: int, live_times: int) -> str:
        return (
            f"Version {self.canary.number} {verb} {canary_times} of {self.canary_figures.requests} times, "
            f"version {self.live.number} {live_times} of {self.live_figures.requests}."
        )


def compare_canary(style: Style) -> CanaryComparison | None:
    """Return how a style's canary does beside its live version, or None where none runs."""
    canary = style.canary_version
    live = style.live_version
    since = style.canary_since
    if canary is None or live is None or since is None:
        return None
    # Both over the canary's time: an outage of the engine hits both and ends neither.
    figures = version_figures(style.pk, max(since, timezone.now() - WINDOW))
    return CanaryComparison(
        canary=canary,
        live=live,
        percent=style.canary_percent,
        canary_figures=figures.get(canary.number, VersionFigures()),
        live_figures=figures.get(live.number, VersionFigures()),
    )


def _is_clearly_worse(canary: float, live: float) -> bool:
    return canary > MAX_RATIO * live + MARGIN_PERCENT


def _compare(canary: float, live: float) -> str:
    if canary == live:
        return "as often as"
    return "less often than" if canary < live else "more often than"
