"""The watermark: whether the engines mark what they write, with keys by which it can be found again."""

from collections.abc import Iterator

from django.conf import settings

from inference.public import epoch_of, lacks_key
from metering.models import UsageEvent
from operations.doctor.findings import Finding, fault, note, ok

SUBJECT = "watermark"
NEWEST_ANSWERS = 1_000
ENGINE_FIX = "Start it with the site's WATERMARK_KEYS, by engine/serve.py."


def check_watermark() -> Iterator[Finding]:
    """Look at what the newest answers say."""
    if settings.WATERMARK == "off":
        yield note(SUBJECT, "off: text is not marked", "Set WATERMARK=on to mark it.")
        return
    if not settings.WATERMARK_KEYS:
        yield note(
            SUBJECT,
            "WATERMARK_KEYS is empty: text is not marked",
            "Run `make secrets`, or set WATERMARK=off.",
        )
        return
    newest = UsageEvent.objects.order_by("-admitted_at", "-id").values_list("engine", "watermark")
    said = set(newest[:NEWEST_ANSWERS])
    without_key = sorted({engine for engine, word in said if lacks_key(word)})
    epochs = {epoch_of(word) or 0 for _, word in said}
    unknown = sorted(epochs - settings.WATERMARK_KEYS.keys() - {0})
    for engine in without_key:
        yield fault(SUBJECT, f"engine {engine} has no key, so it answered without the mark", ENGINE_FIX)
    for epoch in unknown:
        yield fault(
            SUBJECT,
            f"text is marked with the key of epoch {epoch}, which WATERMARK_KEYS lacks: it can't be found",
            "Add that key to WATERMARK_KEYS and restart `web`.",
        )
    if not without_key and not unknown:
        known = ", ".join(map(str, sorted(settings.WATERMARK_KEYS)))
        yield ok(SUBJECT, f"keys of epochs {known}; the newest answers have none but these")
