"""The canary beside the live version: both versions' figures, what they say, and when a canary has to end."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from adapters.models import AdapterVersion, Style
from core.messages import Message, MessageCode
from metering.style_usage import VersionFigures, version_figures

# With fewer, a single failure would be more than MARGIN_PERCENT.
MIN_REQUESTS = 20
# Clearly worse: more than twice as often as the live version, and five percentage points on top.
MAX_RATIO = 2
MARGIN_PERCENT = 5
WINDOW = timedelta(days=1)  # what is older says little about now, and costs time to count


class CanaryFault(MessageCode):
    """Why a canary has to end, with its figures."""

    FAILED_MORE = _(
        "Version {canary} failed in {canary_times} of {canary_requests} requests, version {live} in "
        "{live_times} of {live_requests}."
    )
    WROTE_NOTHING_MORE = _(
        "Version {canary} returned an empty answer in {canary_times} of {canary_requests} requests, "
        "version {live} in {live_times} of {live_requests}."
    )


@dataclass(frozen=True)
class CanaryComparison:
    """How a canary and the live version did over the same time."""

    canary: AdapterVersion
    live: AdapterVersion
    percent: int
    since: datetime
    canary_figures: VersionFigures
    live_figures: VersionFigures

    @property
    def fault(self) -> Message:
        """Why the canary has to end, with its figures; nothing while nothing speaks against it."""
        canary = self.canary_figures
        live = self.live_figures
        if canary.requests < MIN_REQUESTS:
            return Message()
        if _is_clearly_worse(canary.error_percent, live.error_percent):
            return self._worse(CanaryFault.FAILED_MORE, canary.errors, live.errors)
        if _is_clearly_worse(canary.empty_percent, live.empty_percent):
            return self._worse(CanaryFault.WROTE_NOTHING_MORE, canary.empty, live.empty)
        return Message()

    @property
    def sentence(self) -> str:
        """What the figures say, for people."""
        finished = self.canary_figures.requests
        words = {"version": self.canary.number, "percent": self.percent, "live": self.live.number}
        if finished < MIN_REQUESTS:
            return gettext(
                "Version {version} gets {percent}% of requests. {finished} of {needed} requests needed "
                "for a verdict have completed."
            ).format(finished=finished, needed=MIN_REQUESTS, **words)
        sentence = gettext("Version {version} gets {percent}% of requests; {verdict}.")
        return sentence.format(verdict=self._verdict.format(**words), **words)

    @property
    def _verdict(self) -> str:
        canary = self.canary_figures
        live = self.live_figures
        if not canary.errors and not live.errors:
            verdict = gettext("neither it nor version {live} has failed")
        elif canary.error_percent == live.error_percent:
            verdict = gettext("it fails as often as version {live}")
        elif canary.error_percent < live.error_percent:
            verdict = gettext("it fails less often than version {live}")
        else:
            verdict = gettext("it fails more often than version {live}")
        if canary.empty_percent > live.empty_percent:
            verdict += gettext(", and returns empty answers more often")
        elif canary.empty_percent < live.empty_percent:
            verdict += gettext(", and returns empty answers less often")
        return verdict

    def _worse(self, fault: CanaryFault, canary_times: int, live_times: int) -> Message:
        return fault(
            canary=self.canary.number,
            canary_times=canary_times,
            canary_requests=self.canary_figures.requests,
            live=self.live.number,
            live_times=live_times,
            live_requests=self.live_figures.requests,
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
        since=since,
        canary_figures=figures.get(canary.number, VersionFigures()),
        live_figures=figures.get(live.number, VersionFigures()),
    )


def _is_clearly_worse(canary: float, live: float) -> bool:
    return canary > MAX_RATIO * live + MARGIN_PERCENT
