"""Charts as templates draw them: bars over time by unfold's component, and lines over steps."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Protocol

WIDTH = 600
HEIGHT = 120
BARS = {"backgroundColor": "var(--color-primary-600)", "displayXAxis": False, "displayYAxis": False}


@dataclass(frozen=True)
class Span:
    """How long a chart reaches back, and how much time each of its points is."""

    code: str
    name: str
    length: timedelta
    step: timedelta


SPANS = (
    Span("1h", "Last hour", timedelta(hours=1), timedelta(minutes=1)),
    Span("24h", "Last 24 hours", timedelta(hours=24), timedelta(minutes=15)),
    Span("30d", "Last 30 days", timedelta(days=30), timedelta(hours=6)),
)


@dataclass(frozen=True)
class Chart:
    """What a chart shows: `data` for unfold's component, and the same in words."""

    title: str
    most: str
    sentence: str
    data: str  # "" where there is nothing to show
    begins: str
    ends: str


def find_span(code: str | None) -> Span:
    """Return the span of a code, else the shortest."""
    return next((span for span in SPANS if span.code == code), SPANS[0])


def draw_bars(
    title: str, points: Sequence[tuple[datetime, float]], *, span: Span, form: str, ends: datetime
) -> Chart:
    """Return a chart with a bar for each step of a span, as high as the point whose time ends in it."""
    begins = ends - span.length
    pattern = "%d %b %H:%M" if span.length > timedelta(hours=1) else "%H:%M"
    count = span.length // span.step
    bars: list[float | None] = [None] * count
    for ends_at, value in points:
        step = ceil((ends_at - begins) / span.step) - 1
        bars[min(max(step, 0), count - 1)] = round(value, 3)
    values = [value for _, value in points]
    most = form.format(max(values, default=0.0))
    newest = form.format(values[-1]) if values else "nothing"
    data = {
        "labels": [f"{begins + (step + 1) * span.step:{pattern}}" for step in range(count)],
        "datasets": [{"label": title, "data": bars, **BARS}],
    }
    return Chart(
        title=title,
        most=most,
        sentence=f"{title}, {span.name.lower()}: maximum {most}, latest {newest}.",
        data=json.dumps(data) if values else "",
        begins=f"{begins:{pattern}}",
        ends=f"{ends:{pattern} UTC}",
    )


type Measure[Interval] = tuple[str, Callable[[Interval], float], str]  # title, value, how it is written


class Ended(Protocol):
    """Some time that has ended."""

    @property
    def ends_at(self) -> datetime: ...


def draw_measures[Interval: Ended](
    measures: Iterable[Measure[Interval]], intervals: Sequence[Interval], *, span: Span, ends: datetime
) -> Iterator[Chart]:
    """Yield a chart of each measure over the intervals of a span."""
    for title, measure, form in measures:
        points = [(interval.ends_at, measure(interval)) for interval in intervals]
        yield draw_bars(title, points, span=span, form=form, ends=ends)


@dataclass(frozen=True)
class LineChart:
    """Lines in one frame: name → points, as `<polyline>` has them; the bounds are in the lines' own units."""

    lines: Mapping[str, str]
    top: float
    bottom: float
    last_x: float


def draw_lines(series: Mapping[str, Sequence[tuple[float, float]]]) -> LineChart | None:
    """Return lines through points (x, y), with x from 0 on; None while no line has two points."""
    drawn = {name: points for name, points in series.items() if len(points) > 1}
    if not drawn:
        return None
    values = [y for points in drawn.values() for _, y in points]
    last_x = max(x for points in drawn.values() for x, _ in points)
    top = max(values)
    bottom = min(values)
    height = (top - bottom) or 1.0
    lines = {}
    for name, points in drawn.items():
        places = []
        for x, y in points:
            places.append(f"{WIDTH * x / (last_x or 1):.1f},{HEIGHT * (top - y) / height:.1f}")
        lines[name] = " ".join(places)
    return LineChart(lines, top, bottom, last_x)
