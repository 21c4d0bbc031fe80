"""Engines: whether they answer, and are as their rows say."""

from collections.abc import Iterator

from adapters.public import diagnose_engines, summarize_engines
from operations.doctor.findings import Finding, fault, note, ok

FIX = "Start it with the flags of its row, or correct the row by `manage.py registerengine`."


def check_engines() -> Iterator[Finding]:
    """Ask every engine, and look at the worker beside it."""
    summaries = summarize_engines()
    if not summaries:
        yield fault(
            "engines", "there is none", "Run `manage.py registerengine` with the engine's ENGINE_ variables."
        )
    for name, differences in diagnose_engines().items():
        yield from [fault(f"engine {name}", difference, FIX) for difference in differences]
        if not differences:
            yield ok(f"engine {name}", "it answers, with the limits of its row")
    for engine in summaries:
        if engine.is_silent:
            yield fault(
                f"engine {engine.name}",
                "the worker beside it does not report",
                f"Start it: `celery -A config worker -Q {engine.queue}`.",
            )
        if engine.missing:
            yield note(
                f"engine {engine.name}",
                f"{engine.missing} of {engine.wanted} wanted styles are not loaded",
                "The console's list of placements says what each waits for.",
            )
