"""Charts as templates draw them: bars over time, and lines over steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

WIDTH = 600
HEIGHT = 120


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
class Bar:
    """One interval of a chart, in the chart's own units."""

    x: float
    y: float
    width: float
    height: float
    label: str


@dataclass(frozen=True)
class Chart:
    """What a chart shows: its bars, and the same in words."""

    title: str
    most: str
    sentence: str
    bars: list[Bar]
    begins: str
    ends: str


def find_span(code: str | None) -> Span:
    """Return the span of a code, else the shortest."""
    return next((span for span in SPANS if span.code == code), SPANS[0])


def draw_bars(
    title: str, points: Sequence[tuple[datetime, float]], *, span: Span, form: str, ends: datetime
) -> Chart:
    """Return bars of the points' height, from left to right by when each point's time ends."""
    begins = ends - span.length
    values = [value for _, value in points]
    most = max(values, default=0.0)
    width = WIDTH / (span.length / span.step)
    bars = []
    for ends_at, value in points:
        share = (ends_at - begins) / span.length
        height = HEIGHT * value / most if most else 0.0
        label = f"{ends_at:%d %b %H:%M}: {form.format(value)}"
        x = max(0.0, WIDTH * share - width)
        bars.append(Bar(x, HEIGHT - height, width * 0.8, height, label))
    newest = form.format(values[-1]) if values else "nothing"
    sentence = f"{title}, {span.name.lower()}: maximum {form.format(most)}, latest {newest}."
    pattern = "%d %b %H:%M" if span.length > timedelta(hours=1) else "%H:%M"
    return Chart(title, form.format(most), sentence, bars, f"{begins:{pattern}}", f"{ends:{pattern} UTC}")


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
