"""Engines: whether they answer, and are as their rows say."""

from collections.abc import Iterator

from adapters.public import diagnose_engines, summarize_engines
from operations.doctor.findings import Finding, fault, note, ok

FIX = "Start it with its registered flags, or update the registration with `manage.py registerengine`."


def check_engines() -> Iterator[Finding]:
    """Ask every engine, and look at the worker beside it."""
    summaries = summarize_engines()
    if not summaries:
        yield fault(
            "engines",
            "none registered",
            "Run `manage.py registerengine` with the engine's ENGINE_ variables.",
        )
    for name, differences in diagnose_engines().items():
        yield from [fault(f"engine {name}", difference, FIX) for difference in differences]
        if not differences:
            yield ok(f"engine {name}", "running with its registered limits")
    for engine in summaries:
        if engine.is_silent:
            yield fault(
                f"engine {engine.name}",
                "its worker isn't responding",
                f"Start it: `celery -A config worker -Q {engine.queue}`.",
            )
        if engine.missing:
            yield note(
                f"engine {engine.name}",
                f"{engine.missing} of {engine.wanted} requested styles are not loaded",
                "See the list of placements in the console for the reason.",
            )
