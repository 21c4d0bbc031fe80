"""The demo's mailbox: a page that shows the mail of EMAIL_URL=file:///….

Only with MAILBOX=1, only to this machine, and without the operators' mail: a person who reads a mail with a
link can take over its account.

The page shows each mail's text. Its HTML has a page of its own: a frame would be bound by this site's policy,
which allows no styles inside a document.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from ipaddress import ip_address
from itertools import islice
from pathlib import Path
from typing import Literal

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.csp import CSP
from django.views.decorators.csp import csp_override
from django.views.decorators.http import require_GET

from tenants.models import User

MAX_SHOWN = 50
HTML_POLICY = {
    "default-src": [CSP.NONE],
    "style-src": [CSP.UNSAFE_INLINE],
    "base-uri": [CSP.NONE],
    "form-action": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
}
SEPARATOR = b"-" * 79  # Django's file backend writes it after each mail


@dataclass(frozen=True)
class Mail:
    """One mail, as the page shows it."""

    id: str
    to: str
    subject: str
    sent: str
    text: str
    html: str


@require_GET
def mailbox(request: HttpRequest) -> HttpResponse:
    """Show the newest mails first. A client that isn't on this machine gets 404."""
    return render(request, "mailbox.html", {"mails": list(islice(_shown_mails(request), MAX_SHOWN))})


@require_GET
@csp_override(HTML_POLICY)
def mail_html(request: HttpRequest, mail_id: str) -> HttpResponse:
    """Show the HTML of one mail, as a mail program would: without scripts, and nothing is loaded."""
    for mail in _shown_mails(request):
        if mail.id == mail_id and mail.html:
            return HttpResponse(mail.html)
    raise Http404


def _shown_mails(request: HttpRequest) -> Iterator[Mail]:
    """Return the mails that a client may see, newest first. Raises Http404 for one on another machine."""
    if not _is_local(request):
        raise Http404
    operators = set(User.objects.filter(is_staff=True).values_list("email", flat=True))
    return (mail for mail in _read_mails(settings.MAIL_FOLDER) if mail.to not in operators)


def _is_local(request: HttpRequest) -> bool:
    if "X-Forwarded-For" in request.headers or "Forwarded" in request.headers:
        return False  # a proxy on this machine serves other machines, too
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def _read_mails(folder: Path) -> Iterator[Mail]:
    """Yield the folder's mails, newest first."""
    for file in sorted(folder.glob("*.log"), reverse=True):
        for raw in reversed(file.read_bytes().split(SEPARATOR)):
            if raw.strip():
                yield _parse_mail(raw.strip() + b"\n")


def _parse_mail(raw: bytes) -> Mail:
    message = message_from_bytes(raw, policy=policy.default)
    return Mail(
        id=hashlib.sha256(raw).hexdigest()[:32],
        to=str(message["To"]),
        subject=str(message["Subject"]),
        sent=str(message["Date"]),
        text=_read_part(message, "plain"),
        html=_read_part(message, "html"),
    )


def _read_part(message: EmailMessage, kind: Literal["plain", "html"]) -> str:
    body = message.get_body(preferencelist=(kind,))
    return str(body.get_content()).strip() if body else ""
