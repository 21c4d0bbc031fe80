"""Home: what a member's workspace does today, what needs a hand, and what comes next."""

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET

from accounts.onboarding import Onboarding, hide_steps, onboarding_of
from adapters.public import engine_readiness, newest_uploads, styles_in_use
from billing.public import latest_requests, monthly_report
from drafts.models import Draft
from keys import snippets
from keys.snippets import FIRST_PROMPT
from metering.request_log import RefusedLately
from operations.sample_data.removal import has_sample_data
from tenants.access import MemberRequest, member_required
from tenants.action_view import action_view
from tenants.models import Membership
from tenants.roles import Permission

# What to do about a refused request: one link for each error code that has a page to go to.


@dataclass(frozen=True)
class Remedy:
    """Where a person mends the cause of a refusal."""

    label: str | Promise
    address_name: str
    arguments: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """The page's address."""
        return reverse(self.address_name, args=self.arguments)


_API_GUIDE = Remedy(_("Read the API reference"), "guide", ("api",))
_STATUS = Remedy(_("Check the service status"), "status")
_KEYS = Remedy(_("Open API keys"), "keys:keys")

REMEDIES = {
    "insufficient_quota": Remedy(_("See your remaining limits"), "billing:usage"),
    "rate_limit_exceeded": Remedy(_("See the limits of your plan"), "billing:plan"),
    "too_many_sequences": Remedy(_("See the limits of your plan"), "billing:plan"),
    "model_not_found": Remedy(_("View your styles"), "adapters:catalogue"),
    "insufficient_scope": _KEYS,
    "invalid_api_key": _KEYS,
    "server_is_overloaded": _STATUS,
    "engine_stopped": _STATUS,
    "request_failed": _STATUS,
}


def find_remedy(code: str) -> Remedy:
    """Return what to do about an error code; of a code without a page of its own, the API's guide."""
    return REMEDIES.get(code, _API_GUIDE)


SHOWN_REQUESTS = 5


@dataclass(frozen=True)
class Step:
    """Something to do first, and whether it is done."""

    label: str
    note: str
    address: str
    is_done: bool


@dataclass(frozen=True)
class RefusalAdvice:
    """Why requests were refused, and what to do about it."""

    refused: RefusedLately
    remedy: Remedy


@require_GET
@member_required
def show_home(request: MemberRequest) -> HttpResponse:
    """Show today, the month, the styles in use, what failed and what a writer does next."""
    now = timezone.now()
    report = monthly_report(request.tenant, now)
    styles = styles_in_use(request.tenant, report["most_used"])
    uploads = newest_uploads(request.tenant)
    beginnings = onboarding_of(request.user, request.tenant)
    has_draft = Draft.objects.filter(tenant=request.tenant, words__gt=0).exists()
    steps = _next_steps(beginnings, has_upload=bool(uploads), has_draft=has_draft)
    quick = styles[0] if styles else None
    context = {
        **report,
        "latest": latest_requests(request.tenant, now, SHOWN_REQUESTS),
        "refusals": [RefusalAdvice(one, find_remedy(one.code)) for one in beginnings.refusals],
        "styles": styles,
        "quick_style": quick,
        "failed_uploads": [upload for upload in uploads if upload.has_failed_lately],
        "waiting_uploads": [upload for upload in uploads if upload.waits_to_go_live],
        "beginnings": beginnings,
        "steps": [] if beginnings.is_hidden or all(step.is_done for step in steps) else steps,
        "engine": engine_readiness(),
        "is_sample": request.role == Membership.Role.OWNER and has_sample_data(request.tenant),
    }
    return render(request, "member_home.html", context)


@require_GET
@member_required
def show_developers(request: MemberRequest) -> HttpResponse:
    """Show how a program calls the style that the workspace uses most."""
    styles = styles_in_use(request.tenant, monthly_report(request.tenant, timezone.now())["most_used"])
    quick = styles[0] if styles else None
    context = {
        "quick_style": quick,
        "snippets": _snippets(quick.model_name if quick else "base", quick.sample_prompt if quick else ""),
        "steps": _developer_steps(onboarding_of(request.user, request.tenant)),
    }
    return render(request, "home_developers.html", context)


@require_GET
@never_cache
@member_required
def show_engine(request: MemberRequest) -> HttpResponse:
    """Show whether the model answers; the page asks again until it does."""
    return render(request, "_engine.html", {"engine": engine_readiness()})


@action_view(Permission.READ)
def hide_next_steps(request: MemberRequest) -> HttpResponse:
    """Take the list of next steps off this member's Home."""
    hide_steps(request.user, request.tenant)
    return redirect("member_home")


def _next_steps(done: Onboarding, *, has_upload: bool, has_draft: bool) -> list[Step]:
    """Return what a writer does first: her own style, the others, then a text of hers."""
    listening = Step(
        gettext("Try the styles"),
        gettext("See one prompt in several styles and pick one."),
        reverse("welcome"),
        done.has_written,
    )
    writing = Step(
        gettext("Write a draft"),
        gettext("Paste a text and select a passage. Your style rewrites it beside your words."),
        reverse("drafts:drafts"),
        has_draft,
    )
    return [_own_style_step(has_upload=has_upload), listening, writing]


def _own_style_step(*, has_upload: bool) -> Step:
    if settings.TRAINING:
        label = gettext("Make a style from your writing")
        return Step(label, gettext("Thirty pages are enough."), reverse("training:new"), has_upload)
    label = gettext("Add your own style")
    return Step(label, gettext("Once you've trained one."), reverse("adapters:upload"), has_upload)


def _developer_steps(done: Onboarding) -> list[Step]:
    return [
        Step(
            gettext("Create an API key"),
            gettext("Connect your own program."),
            reverse("keys:keys"),
            done.has_key,
        ),
        Step(
            gettext("Call it from your code"),
            gettext("Copy the code below. It works as is."),
            "#quick-start",
            done.has_called,
        ),
    ]


def _snippets(model: str, prompt: str) -> list[dict[str, str]]:
    base = f"{settings.SITE_URL}/v1"
    asked = prompt or FIRST_PROMPT
    return [
        {"id": "python", "name": "Python", "text": snippets.python_call(base, model, asked)},
        {"id": "curl", "name": "curl", "text": snippets.curl_call(base, model, asked)},
    ]
