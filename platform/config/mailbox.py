"""The demo's mailbox: a page that shows the mail of EMAIL_URL=file:///….

Only with MAILBOX=1, only to this machine, and without the operators' mail: a person who reads a mail with a
link can take over its account.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from ipaddress import ip_address
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from tenants.public import User

MAX_SHOWN = 50
SEPARATOR = b"-" * 79  # Django's file backend writes it after each mail


@dataclass(frozen=True)
class Mail:
    """One mail, as the page shows it."""

    to: str
    subject: str
    sent: str
    text: str


@require_GET
def mailbox(request: HttpRequest) -> HttpResponse:
    """Show the newest mails first. A client that isn't on this machine gets 404."""
    if not _is_local(request):
        raise Http404
    operators = set(User.objects.filter(is_staff=True).values_list("email", flat=True))
    mails = [mail for mail in _read_mails(settings.MAIL_FOLDER) if mail.to not in operators]
    return render(request, "mailbox.html", {"mails": mails[:MAX_SHOWN]})


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
    body = message.get_body(preferencelist=("plain",))
    return Mail(
        to=str(message["To"]),
        subject=str(message["Subject"]),
        sent=str(message["Date"]),
        text=body.get_content().strip() if body else "",
    )
