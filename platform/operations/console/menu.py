"""The console's own pages, and its menu: what operators look for, by what it is about."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from django.apps import apps
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import capfirst

from operations.console.jobs import jobs_context
from operations.console.margins import margins_context
from operations.console.watermark import watermark_context

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
