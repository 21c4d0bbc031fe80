"""The few pages that belong to no app: home, status, terms and privacy, health, errors, security.txt."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.conf import settings
from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy
from django.views.decorators.http import require_GET
from psycopg_pool import PoolTimeout
from redis import RedisError

from adapters.public import list_answers, public_styles
from core.draining import STATUS, is_draining
from core.rest.problems import CONTENT_TYPE, answer_failure
from operations import retention
from operations.monitoring import health
from operations.monitoring.findings import Finding
from website.middleware import PROGRAMS

# The public page about the service's state, in customers' words. It names no workspace.
#
# What is asked, and from when on it is bad, the table of health checks says; it asks each at most every 2 s.

MAX_AGE_S = 5

type State = Literal["up", "slow", "down"]

STATES: tuple[State, ...] = ("up", "slow", "down")  # from the best to the worst


@dataclass(frozen=True)
class Part:
    """One part of the service, and how it does, in words."""

    name: str | Promise
    state: State
    sentence: str | Promise


@dataclass(frozen=True)
class Status:
    """How all parts do at a moment."""

    parts: list[Part]
    at: datetime

    @property
    def state(self) -> State:
        """The worst of the parts' states."""
        return max((part.state for part in self.parts), key=STATES.index)


@dataclass(frozen=True)
class PublicCheck:
    """A health check in public: a part of the service as customers know it, and a sentence for each state."""

    part: str | Promise
    check: str
    up: str | Promise
    away: str | Promise  # what it asks doesn't answer
    away_state: State = "down"
    slow: str | Promise = ""  # "": whatever is bad is as bad as if it were away
    none: str | Promise = ""  # nothing that it asks is well; "": the same as if some were

    def show(self, found: Sequence[Finding]) -> Part:
        """Return the part as the check found it."""
        bad = [finding for finding in found if not finding.is_ok]
        if not bad:
            return Part(self.part, "up", self.up)
        if not self.slow or any(finding.is_away for finding in bad):
            return Part(self.part, self.away_state, self.away)
        if self.none and len(bad) == len(found):
            return Part(self.part, "down", self.none)
        minutes = int(max(finding.value for finding in bad)) // 60 + 1
        answering = len(found) - len(bad)
        facts = {"count": minutes, "answering": answering, "known": len(found)}
        sentence = format_lazy(self.slow, **facts)  # type: ignore[arg-type]  # the stubs want a private class
        return Part(self.part, "slow", sentence)


BACKGROUND_WORK = _("Background work")
WORK_DONE = _("Usage, upload checks, webhooks and emails are up to date.")
WORK_PAUSED = _("Background work is paused. Nothing is lost; we resume it automatically.")
PUBLIC_CHECKS = (
    PublicCheck(
        "API",
        "Valkey",
        up=_("Requests are accepted and limits are checked."),
        away=_("Limits can't be checked, so every request fails with 503."),
    ),
    PublicCheck(
        _("Model servers"),
        "engines",
        up=_("All model servers are responding."),
        slow=ngettext_lazy(
            "{answering} of {known} model servers is responding. Requests may take longer.",
            "{answering} of {known} model servers are responding. Requests may take longer.",
            "answering",
        ),
        none=_("No model server is responding, so no text can be generated at the moment."),
        away=_("Unknown: the database isn't responding."),
        away_state="slow",
    ),
    PublicCheck(
        _("Pages and accounts"),
        "PostgreSQL",
        up=_("Pages load and changes are saved."),
        away=_("The database isn't responding. Pages fail; answers in progress continue."),
    ),
    PublicCheck(
        _("Uploads"),
        "storage",
        up=_("Uploads are accepted and checked."),
        away=_("The storage isn't responding, so uploads fail. Loaded styles keep working."),
    ),
    PublicCheck(
        BACKGROUND_WORK,
        "ledger",
        up=WORK_DONE,
        slow=_("Usage is delayed by about {count} minutes. Nothing is lost."),
        away=WORK_PAUSED,
    ),
    PublicCheck(
        BACKGROUND_WORK,
        "queues",
        up=WORK_DONE,
        slow=_("Upload checks, webhooks and emails are slower than usual."),
        away=WORK_PAUSED,
    ),
)


def read_status() -> Status:
    """Return how all parts do. A part that several checks look at is as the worst of them says."""
    parts: dict[str, Part] = {}
    for row in PUBLIC_CHECKS:
        part = row.show(health.read(row.check))
        known = parts.setdefault(str(row.part), part)
        if STATES.index(part.state) > STATES.index(known.state):
            parts[str(row.part)] = part
    return Status(list(parts.values()), timezone.now())


@require_GET
def show_status(request: HttpRequest) -> HttpResponse:
    """Show how the service does. It needs no session, so it also answers while the database is away."""
    answer = render(request, "status.html", {"status": read_status()})
    answer.headers.setdefault("Cache-Control", f"public, max-age={MAX_AGE_S}")
    return answer


# Terms and privacy: texts that hold for this software, with the names of who runs this site.

NEEDED = ("OPERATOR_NAME", "OPERATOR_ADDRESS", "OPERATOR_EMAIL")


def missing_settings() -> list[str]:
    """Return the settings that an operator has not filled in yet."""
    return [name for name in NEEDED if not getattr(settings, name)]


def legal_links(request: HttpRequest) -> dict[str, bool]:
    """Tell every template whether there are terms and a privacy notice to link to."""
    return {"has_legal_pages": not missing_settings()}


@require_GET
def show_terms(request: HttpRequest) -> HttpResponse:
    """Show the terms of use."""
    return _legal_page(request, "terms.html")


@require_GET
def show_privacy(request: HttpRequest) -> HttpResponse:
    """Show the privacy notice."""
    return _legal_page(request, "privacy.html")


def _legal_page(request: HttpRequest, template: str) -> HttpResponse:
    """Show a page, or what is missing: to operators. For others there is no page while it is unfinished."""
    missing = missing_settings()
    if missing and not request.user.is_staff:
        raise Http404
    context = {
        "missing": missing,
        "operator_name": settings.OPERATOR_NAME,
        "operator_address": settings.OPERATOR_ADDRESS,
        "operator_email": settings.OPERATOR_EMAIL,
        "operator_law": settings.OPERATOR_LAW,
        "is_watermarked": settings.WATERMARK != "off" and bool(settings.WATERMARK_KEYS),
        "is_demo": settings.MAILBOX,  # only a demo shows its mail
        "refused_kept_days": retention.days_kept("RefusedRequest"),
        "audit_kept_days": settings.AUDIT_KEPT_DAYS,
        "usage_kept_months": settings.USAGE_EVENTS_KEPT_MONTHS,
    }
    return render(request, template, context)


PUBLIC_PAGES = ("guides", "billing:prices", "status", "terms", "privacy")  # and what lies below them
ROOT_ICONS = {"favicon.ico": "img/favicon.ico", "apple-touch-icon.png": "img/apple-touch-icon.png"}
SECURITY_TXT_VALID = timedelta(days=180)  # RFC 9116 advises less than a year


def home(request: HttpRequest) -> HttpResponse:
    """Send members to their home; show strangers what Polyscribe is."""
    if request.user.is_authenticated:
        return redirect("member_home")
    styles = public_styles()
    context = {
        "styles": styles,
        "prompts": list_answers(styles) if styles else [],
        "api_base": f"{settings.SITE_URL}/v1",
    }
    return render(request, "home.html", context)


def security_txt(request: HttpRequest) -> HttpResponse:
    """Tell where to report a vulnerability (RFC 9116); 404 where no contact is set."""
    if not settings.SECURITY_CONTACT:
        raise Http404
    lines = []
    for contact in settings.SECURITY_CONTACT:
        uri = contact if ":" in contact else f"mailto:{contact}"
        lines.append(f"Contact: {uri}")
    lines.append(f"Expires: {timezone.now() + SECURITY_TXT_VALID:%Y-%m-%dT00:00:00Z}")
    lines.append("Preferred-Languages: en")
    lines.append(f"Canonical: {settings.SITE_URL}{request.path}")
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")


def robots_txt(request: HttpRequest) -> HttpResponse:
    """Tell crawlers to read public pages only (RFC 9309: the longest match decides).

    Private pages are not listed: everything is refused but what is public.
    """
    lines = ["User-agent: *", "Allow: /$", f"Allow: /{settings.STATIC_URL.strip('/')}/"]
    lines += [f"Allow: {reverse(name)}" for name in PUBLIC_PAGES]
    lines += [f"Disallow: {reverse('guide', args=['search'])}", "Disallow: /"]
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")


def root_icon(request: HttpRequest) -> HttpResponse:
    """Lead browsers and phones that ask for an icon without reading a page to the file."""
    return redirect(static(ROOT_ICONS[request.path.removeprefix("/")]))


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 503 while PostgreSQL or Valkey is not reachable (nothing is lost, try again), else 500."""
    is_unavailable = isinstance(sys.exception(), OperationalError | InterfaceError | RedisError | PoolTimeout)
    if is_unavailable:
        return HttpResponse(render_to_string("503.html"), status=503, headers={"Retry-After": "5"})
    return HttpResponse(render_to_string("500.html"), status=500)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Answer 413 where more was sent than a page takes, else 400."""
    if isinstance(exception, RequestDataTooBig | TooManyFieldsSent | TooManyFilesSent):
        return answer_large_body(request)
    return HttpResponse(render_to_string("400.html"), status=400)


def answer_large_body(request: HttpRequest) -> HttpResponse:
    """Say that a body is too large: with a page to people, with a problem document to programs."""
    if not request.path.startswith(PROGRAMS):
        return HttpResponse(render_to_string("413.html"), status=413)
    answer = answer_failure(RequestDataTooBig(), {})
    assert answer is not None
    return JsonResponse(answer.data, status=413, content_type=CONTENT_TYPE)


def healthz(request: HttpRequest) -> JsonResponse:
    """Say that this process lives, whatever is with the parts around it; 503 while it is being replaced."""
    if is_draining():
        return JsonResponse({"status": STATUS}, status=503)
    return JsonResponse({"status": "ok", "version": settings.VERSION})


def readyz(request: HttpRequest) -> JsonResponse:
    """Say of each part whether it answers; 503 where requests can't be answered without it."""
    if is_draining():
        return JsonResponse({"status": STATUS}, status=503)
    parts = health.read_parts()
    is_ready = health.is_ready(parts)
    status = "ok" if is_ready else "unavailable"
    return JsonResponse({"status": status, "parts": parts}, status=200 if is_ready else 503)
