"""The console's own pages, and its menu: what operators look for, by what it is about."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial

import redis
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.db.models import Count, F, Model, Sum
from django.db.models.functions import TruncHour
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst

from adapters.models import EngineSample
from billing.public import invoiced_nanousd, used_nanousd
from core import months
from core.console import Figure, Level, list_address
from core.money import NANO, usd, usd_at_a_glance
from inference.public import is_marked, lacks_key
from metering.models import UsageDaily, UsageEvent
from operations.models import FailedTask
from operations.monitoring import findings, health
from operations.monitoring.findings import Finding, worst
from operations.monitoring.health import CHECKS
from operations.monitoring.running_checks import read_all_queues, read_schedule
from tenants.models import ApiKey, Tenant

# The console's page of margins: what usage brings in, beside what engines cost at the operator's rate.

DAYS = 30  # engine samples are kept for 31
TOP = 20  # workspaces


@dataclass(frozen=True)
class Margin:
    """One workspace's usage at list prices, and its part of what the engines cost, by its tokens."""

    name: str
    address: str
    tokens: int
    usage: str
    cost: str
    margin: str
    is_loss: bool


def margins_context() -> dict[str, object]:
    """Return what the page shows of the last 30 days, today included."""
    now = timezone.now()
    first, last = now.date() - timedelta(days=DAYS - 1), now.date()
    hours = count_engine_hours(now - timedelta(days=DAYS))
    rate = settings.ENGINE_CENTS_PER_HOUR * NANO // 100
    cost = hours * rate
    used = used_nanousd(first, last)
    previous = months.before(months.current())
    figures = [
        Figure(
            "Usage at list prices",
            usd_at_a_glance(used),
            f"last {DAYS} days, with trainings and included tokens",
        ),
        Figure(
            "Engine cost", usd_at_a_glance(cost), f"{hours:,} hour{'' if hours == 1 else 's'} at {usd(rate)}"
        ),
        Figure("Margin", usd_at_a_glance(used - cost), level=Level.FAULT if used < cost else Level.NORMAL),
        Figure("Invoiced", usd(invoiced_nanousd(previous)), f"for {previous}, less credit notes"),
    ]
    return {"figures": figures, "rows": list_top(first, last, cost), "rate": rate}


def count_engine_hours(since: datetime) -> int:
    """Return the hours in which engines answered, each replica for itself."""
    answering = EngineSample.objects.filter(at__gte=since, is_answering=True)
    by_engine = answering.annotate(hour=TruncHour("at")).values("engine", replicas=F("engine__replicas"))
    return sum(
        row["hours"] * row["replicas"] for row in by_engine.annotate(hours=Count("hour", distinct=True))
    )


def list_top(first: date, last: date, cost_nanousd: int) -> list[Margin]:
    """Return the workspaces that used most, each with its part of the engines' cost."""
    usage = UsageDaily.objects.filter(day__range=(first, last)).order_by().values("tenant")
    tokens = Sum(F("prompt_tokens") + F("completion_tokens"))
    usage = usage.annotate(tokens=tokens, nanousd=Sum("cost_nanousd"))
    all_tokens = sum(row["tokens"] for row in usage)
    top = list(usage.order_by("-nanousd", "tenant")[:TOP])
    tenants = Tenant.objects.in_bulk([row["tenant"] for row in top])
    rows = []
    for row in top:
        cost = cost_nanousd * row["tokens"] // all_tokens if all_tokens else 0
        rows.append(
            Margin(
                name=tenants[row["tenant"]].name,
                address=reverse("admin:tenants_tenant_change", args=[row["tenant"]]),
                tokens=row["tokens"],
                usage=usd_at_a_glance(row["nanousd"]),
                cost=usd_at_a_glance(cost),
                margin=usd_at_a_glance(row["nanousd"] - cost),
                is_loss=row["nanousd"] < cost,
            )
        )
    return rows


# The console's page of what workers do: queues, failures, what is stuck, and beat's schedule.

FAILURES_SHOWN = 10
LEVELS = {
    findings.Level.OK: Level.NORMAL,
    findings.Level.NOTE: Level.SOON,
    findings.Level.FAULT: Level.FAULT,
}


def jobs_context() -> dict[str, object]:
    """Return what the page shows. A broker or Valkey that is away is said, and the rest is shown."""
    context: dict[str, object] = {
        "stuck": [_show(finding) for finding in health.CHECKS["stuck"].ask() if not finding.is_ok],
        "failures": FailedTask.objects.order_by("-last_at")[:FAILURES_SHOWN],
        "failures_total": FailedTask.objects.count(),
    }
    try:
        return {**context, "queues": read_all_queues(), "schedule": read_schedule()}
    except redis.RedisError:
        return {**context, "is_away": True}


def _show(finding: Finding) -> Figure:
    """Return a finding as a figure that leads to the list of its rows."""
    name = str(capfirst(finding.subject))
    return Figure(name, finding.seen, address=rows_address(finding), level=LEVELS[finding.level])


def rows_address(finding: Finding) -> str:
    """Return the address of the console's list of what a finding means."""
    page, _, query = finding.rows.partition("?")
    address = reverse(f"admin:{page}_changelist")
    return f"{address}?{query}" if query else address


# The console's page of the watermark: the policy, its keys, and what the newest answers say.

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


ADVANCED = "Advanced"


@dataclass(frozen=True)
class PageOfOurs:
    """A page that is no list of rows. The console shows one that has a context; others have views."""

    title: str
    name: str  # of its address, below `admin`
    permission: str = ""  # "": every operator
    context: Callable[[], dict[str, object]] | None = None

    @property
    def address(self) -> str:
        return reverse(f"admin:{self.name}")


JOBS = PageOfOurs("Jobs", "jobs", "operations.view_failedtask", jobs_context)
WATERMARK = PageOfOurs("Watermark", "watermark", "metering.view_usageevent", watermark_context)
MARGINS = PageOfOurs("Margins", "margins", "metering.view_invoice", margins_context)

MENU: Mapping[str, list[str | PageOfOurs]] = {
    "": [PageOfOurs("Overview", "index"), JOBS, "tenants.AuditEntry"],
    "Workspaces": ["tenants.Tenant", "tenants.User", "tenants.ApiKey"],
    "Styles": [
        PageOfOurs("Pending approval", "adapters_style_queue", "adapters.view_style"),
        "adapters.Style",
        "adapters.AdapterVersion",
        "training.Training",
    ],
    "Engines": ["adapters.Engine", "adapters.Placement"],
    "Usage": ["metering.UsageEvent", WATERMARK],
    "Billing": [
        MARGINS,
        "metering.Invoice",
        "billing.CreditNote",
        "billing.Payment",
        "metering.CreditGrant",
        "metering.LedgerEntry",
        "metering.Subscription",
        "metering.PlanVersion",
        "metering.PriceBook",
        "metering.StylePrice",
    ],
    # What is seldom looked for, or better found from a row's own page. Folded.
    ADVANCED: [
        "operations.FailedTask",
        "events.WebhookEndpoint",
        "events.NoticeMail",
        "adapters.Release",
        "adapters.Share",
        "adapters.PriceChange",
        "adapters.Erasure",
        "adapters.BaseModel",
        "metering.UsageDaily",
        "metering.HostedStyle",
        "metering.TrainingHold",
        "metering.Plan",
        "account.EmailAddress",
        "mfa.Authenticator",
        "auth.Group",
    ],
}


def navigation(request: HttpRequest) -> list[dict[str, object]]:
    """Return the menu in the form that unfold takes; it leaves out what the operator may not see."""
    groups = []
    for title, pages in MENU.items():
        items = [_item(one) for one in pages]
        groups.append({"title": title, "items": items, "collapsible": title == ADVANCED})
    return groups


def _item(page: str | PageOfOurs) -> dict[str, object]:
    if isinstance(page, PageOfOurs):
        return {"title": page.title, "link": page.address, "permission": partial(_may_open, page)}
    model = apps.get_model(page)
    title = capfirst(str(model._meta.verbose_name_plural))
    link = reverse(f"admin:{model._meta.label_lower.replace('.', '_')}_changelist")
    is_open = partial(_is_open, link)
    return {"title": title, "link": link, "permission": _may_see(model), "active": is_open}


def _is_open(link: str, request: HttpRequest) -> bool:
    """Return whether the open page is a list or one of its rows. Our pages below it have their own items."""
    if not request.path.startswith(link):
        return False
    pages = [page for group in MENU.values() for page in group if isinstance(page, PageOfOurs)]
    return request.path not in {page.address for page in pages}


def _may_open(page: PageOfOurs, request: HttpRequest) -> bool:
    return not page.permission or request.user.has_perm(page.permission)


def _may_see(model: type[Model]) -> Callable[[HttpRequest], bool]:
    page = admin.site._registry[model]
    return lambda request: page.has_module_permission(request) and page.has_view_permission(request)
