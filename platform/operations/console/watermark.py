"""The console's page of the watermark: the policy, its keys, and what the newest answers say."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.conf import settings

from core.console import Figure, Level, list_address
from inference.public import is_marked, lacks_key
from metering.models import UsageEvent
from operations.console.jobs import LEVELS
from operations.monitoring.findings import worst
from operations.monitoring.health import CHECKS
from tenants.models import ApiKey, Tenant

# By the index of the newest: the page takes as long with a million answers a day.
NEWEST_ANSWERS = 10_000
POLICIES = {
    "on": "Text is marked unless a workspace, a key or a request turns it off.",
    "required": "All text is marked unless that is impossible.",
    "off": "No text is marked.",
}


@dataclass(frozen=True)
class AnswerCount:
    """How many answers of one engine say the same about their watermark."""

    engine: str
    watermark: str
    answers: int
    address: str
    is_fault: bool


def watermark_context() -> dict[str, object]:
    """Return what the page shows."""
    newest = UsageEvent.objects.order_by("-admitted_at", "-id").values_list("engine", "watermark")
    counts = Counter(newest[:NEWEST_ANSWERS])
    rows = [_describe_count(engine, word, answers) for (engine, word), answers in counts.most_common()]
    return {"figures": list(_describe_policy(rows)), "rows": rows}


def _describe_count(engine: str, word: str, answers: int) -> AnswerCount:
    address = list_address("metering_usageevent", engine=engine)
    is_fault = lacks_key(word) and settings.WATERMARK != "off"
    return AnswerCount(engine, word, answers, address, is_fault)


def _describe_policy(rows: Sequence[AnswerCount]) -> Iterator[Figure]:
    yield Figure("Policy", settings.WATERMARK, POLICIES[settings.WATERMARK])
    epochs = ", ".join(map(str, sorted(settings.WATERMARK_KEYS)))
    is_off = settings.WATERMARK == "off"
    level = Level.NORMAL if is_off else LEVELS[worst(CHECKS["watermark"].run())]
    yield Figure("Watermark keys", epochs or "none", "epochs that the detector knows", level=level)
    numbers = ", ".join(map(str, sorted(settings.RECEIPT_KEYS)))
    yield Figure("Receipt keys", numbers or "none", "numbers; the highest one signs")
    total = sum(row.answers for row in rows if row.watermark)
    marked = sum(row.answers for row in rows if is_marked(row.watermark))
    share = f"{100 * marked / total:.1f}%" if total else "none"
    yield Figure("Marked answers", share, f"of the newest {total:,}", list_address("metering_usageevent"))
    unmarked = {"is_watermarked__exact": 0}
    workspaces = Tenant.objects.filter(is_watermarked=False, deleted_at=None).count()
    yield Figure("Workspaces", f"{workspaces:,}", "turned it off", list_address("tenants_tenant", **unmarked))
    keys = ApiKey.objects.filter(is_watermarked=False, revoked_at=None).count()
    yield Figure("API keys", f"{keys:,}", "turned it off", list_address("tenants_apikey", **unmarked))
