"""What `make bench NAME=gateway` found, as a table and as goals."""

from collections.abc import Mapping
from dataclasses import dataclass

from labs.report import NOTHING, aligned, between_marks, shown, verdict, write_results

TITLES = {
    "direct": "direct",
    "nginx": "nginx",
    "litellm": "LiteLLM",
    "tensorzero": "TensorZero",
    "polyscribe": "Polyscribe",
}
ROWS = {
    "requests/s, 32 in parallel": "rps_c32",
    "requests for each processor second of the gateway": "rps_per_cpu_s_c32",
    "streams/s of 64 tokens, 32 in parallel": "streams_per_s_c32",
    "streams for each processor second of the gateway": "streams_per_cpu_s_c32",
    "streams/s when the stub sends all tokens at once": "burst_streams_per_s_c32",
    "added, 1 client, p50 (ms)": "added_p50_ms_c1",
    "added, 1 client, p99 (ms)": "added_p99_ms_c1",
    "added to the first chunk, 64 paced streams, p50 (ms)": "ttfc_added_p50_ms_c64",
    "added to the first chunk, 64 paced streams, p99 (ms)": "ttfc_added_p99_ms_c64",
    "two workers on two cores, times one by processor time": "scaling_cpu",
    "memory, 1,000 held streams (MiB)": "rss_held_mib",
    "memory at most (MiB)": "rss_mib",
    "streams held open at once": "held_streams",
    "answers that failed": "failed",
}

type Figures = Mapping[str, float]


@dataclass(frozen=True)
class Goal:
    """A figure and its bound."""

    title: str
    figure: str
    bound: float
    at_least: bool

    def line(self, figures: Figures) -> list[str]:
        """Return the goal as a row: title, bound, what was found, reached or missed."""
        sign = "≥" if self.at_least else "≤"
        if self.figure not in figures:
            return [self.title, f"{sign} {shown(self.bound)}", NOTHING, "not measured"]
        found = figures[self.figure]
        is_reached = found >= self.bound if self.at_least else found <= self.bound
        return [self.title, f"{sign} {shown(self.bound)}", shown(found), verdict(is_reached)]


def goals(figures: Figures) -> list[Goal]:
    """Return the goals. Two workers are judged by rate only where load and services have other cores."""
    scaling = "rps" if figures.get("cores", 0) >= 4 else "cpu"
    return [
        Goal("requests/s, 32 in parallel, one core", "polyscribe_rps_c32", 5000, True),
        Goal("times LiteLLM", "polyscribe_times_litellm", 60, True),
        Goal("added p50, 1 client (ms)", "polyscribe_added_p50_ms_c1", 0.6, False),
        Goal("added to the first chunk, p50 (ms)", "polyscribe_ttfc_added_p50_ms_c64", 1.0, False),
        Goal("added to the first chunk, p99 (ms)", "polyscribe_ttfc_added_p99_ms_c64", 6.0, False),
        Goal("streams/s of 64 tokens, 32 in parallel", "polyscribe_streams_per_s_c32", 1500, True),
        Goal("memory at most (MiB)", "polyscribe_rss_mib", 100, False),
        Goal("memory's growth over all requests (MiB)", "polyscribe_rss_growth_mib", 5, False),
        Goal(f"two workers on two cores, by {scaling}", f"polyscribe_scaling_{scaling}", 1.8, True),
        Goal("usage events lost or doubled", "polyscribe_lost_or_doubled_events", 0, False),
        Goal("answers that failed", "polyscribe_failed", 0, False),
        Goal("tokens still held at the end", "polyscribe_held_tokens_left", 0, False),
    ]


def text(figures: Figures) -> str:
    """Return the figures and the goals as Markdown."""
    there = [name for name in TITLES if any(figure.startswith(f"{name}_") for figure in figures)]
    rows = []
    for title, figure in ROWS.items():
        found = [figures.get(f"{name}_{figure}") for name in there]
        if any(value is not None for value in found):
            rows.append([title, *map(shown, found)])
    table = aligned([["", *(TITLES[name] for name in there)], *rows])
    judged = [goal.line(figures) for goal in goals(figures)]
    return table + "\n\n" + aligned([["goal", "bound", "found", ""], *judged])


def write(figures: Figures, *, cpu: str, versions: Mapping[str, str]) -> None:
    """Write the JSON and the table."""
    facts = {**figures, "cpu": cpu, **{f"version_{name}": version for name, version in versions.items()}}
    write_results("gateway", dict(sorted(facts.items())))
    machine = f"{shown(figures['cores'])} cores of {cpu}; {', '.join(' '.join(v) for v in versions.items())}"
    span = f"medians of {shown(figures['rounds'])} rounds of {shown(figures['seconds'])} s"
    between_marks("bench-gateway", f"{machine}; {span}.\n\n{text(figures)}")
