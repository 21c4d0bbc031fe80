"""Write and send what waits: one worker at a time, one connection, and again for a day without a server.

A mail is leased before it is sent (core/outgoing.py). If the worker is killed, the mail is sent again:
perhaps twice, then, but under one Message-ID, as mail servers do it among themselves. Nothing is sent without
a row, and nothing is lost while there is no mail server.

A template in templates/events/mail/ says each thing once, in blocks. It extends the layout that it is given:
the subject's, the text's or the HTML's. Only the last one escapes, as only there names could be markup.
Strangers' words never come in: of a workspace that shares a style with this one, only slugs are shown.
"""

import logging
import re
import smtplib
from datetime import timedelta
from email.headerregistry import BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import default
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.mail import EmailMultiAlternatives, mailers
from django.db import transaction
from django.template.loader import get_template
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.translation import gettext, override

from core import locks, months
from core.grammar import within_sentence
from core.money import usd_about
from core.outgoing import RetrySchedule, work_off
from events.models import NoticeKind, NoticeMail, OutboxEvent, ReachedThreshold
from events.notices.catalog import ALWAYS_SENT, unsubscribe_url
from tenants.invitation_links import describe_for_mail
from tenants.models import Invitation, Membership, Scope

RETRIES = RetrySchedule((60, 300, 900, 1_800, 3_600), give_up_after=timedelta(days=1))
SERVER_RETRIED_AFTER = timedelta(seconds=60)  # nothing else is tried before

LEASE_LASTS = timedelta(minutes=3)  # longer than an SMTP dialogue of which each step may take 15 s
RUN_LASTS = timedelta(seconds=30)  # of one task; the next sweep sends another one

# A person gets so many of one kind an hour: a program that makes keys without end must not bury them.
MAX_AN_HOUR = 20
HOUR = timedelta(hours=1)

logger = logging.getLogger(__name__)

Status = NoticeMail.Status


def has_due() -> bool:
    """Return whether there is something to send, and nobody sending."""
    now = timezone.now()
    return NoticeMail.objects.due(now).exists() and not NoticeMail.objects.leased(now).exists()


def send_due() -> int:
    """Send what is due, for half a minute at most; return how many mails were sent.

    Safe to repeat, and safe from several workers at once: the second one finds nothing to send.
    """
    connection = mailers.default
    try:
        return work_off(_lease_next, partial(_send, connection=connection), RUN_LASTS)
    finally:
        try:
            connection.close()
        except (smtplib.SMTPException, OSError):
            logger.info("the mail server closed the connection early")


def _lease_next() -> NoticeMail | None:
    """Take the mail that has been due for longest; None when there is none, or another worker sends."""
    with transaction.atomic():
        locks.one_at_a_time("lease a notice")
        now = timezone.now()
        if NoticeMail.objects.leased(now).exists():
            return None
        due = NoticeMail.objects.due(now).select_related(
            *(
                "event",
                "membership__user",
                "membership__tenant",
                "invitation__tenant",
                "invitation__invited_by",
            )
        )
        mail = due.lease_first(now, LEASE_LASTS)
        if mail:
            # Before it is sent: what kills its worker is not tried at once for ever.
            mail.attempts += 1
            mail.save(update_fields=["attempts"])
    return mail


def _send(mail: NoticeMail, connection: Any) -> bool:
    """Send a leased mail and note the outcome; return whether it was sent."""
    if not _is_wanted(mail):
        return _end(mail, Status.UNWANTED)
    recent = _count_recent(mail)
    if recent >= MAX_AN_HOUR:
        return _end(mail, Status.SKIPPED)
    try:
        message = compose_mail(mail, skipped_before=_count_skipped(mail), is_last=recent + 1 == MAX_AN_HOUR)
    except Exception as error:  # a fault of ours: it is seen, waits, and holds up no other
        _record_failure(mail, error)
        raise
    try:
        connection.open()
        connection.send_messages([message])
    except (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError, ValueError) as error:
        # About this one mail: the others go on.
        return _record_failure(mail, error, is_final=_is_refused_for_good(error))
    except (smtplib.SMTPException, OSError) as error:
        _record_failure(mail, error)
        # The server is away. Each attempt could hold a worker for seconds: everything else waits, too.
        until = timezone.now() + SERVER_RETRIED_AFTER
        NoticeMail.objects.due(until).update(next_attempt_at=until)
        return False
    if mail.invitation:
        Invitation.objects.filter(pk=mail.invitation.pk).update(mailed_at=timezone.now())
    return _end(mail, Status.SENT)


def _is_wanted(mail: NoticeMail) -> bool:
    """Return whether its member still gets this kind, or its invitation is open: it may have waited a day."""
    if mail.membership_id is None:
        return Invitation.objects.open(timezone.now()).filter(mails=mail).exists()
    return Membership.objects.getting(mail.kind).filter(pk=mail.membership_id).exists()


def _count_recent(mail: NoticeMail) -> int:
    """Return how many mails of a kind a person got within an hour, of all their workspaces."""
    if mail.membership is None:  # invitations have a limit of their own
        return 0
    sent = NoticeMail.objects.filter(status=Status.SENT, kind=mail.kind, ended_at__gt=timezone.now() - HOUR)
    return sent.filter(membership__user=mail.membership.user_id).count()


def _count_skipped(mail: NoticeMail) -> int:
    """Return how many mails of a kind were left out since the last one that a member got."""
    of_kind = NoticeMail.objects.filter(membership=mail.membership_id, kind=mail.kind)
    last_sent = of_kind.filter(status=Status.SENT).order_by("-ended_at").first()
    skipped = of_kind.filter(status=Status.SKIPPED)
    return skipped.filter(ended_at__gt=last_sent.ended_at).count() if last_sent else 0


def _end(mail: NoticeMail, status: Status, failure: str = "") -> bool:
    """Note that nothing more is to be done about a mail; return whether it was sent."""
    NoticeMail.objects.release(mail, status=status, ended_at=timezone.now(), failure=failure)
    return status is Status.SENT


def _record_failure(mail: NoticeMail, error: Exception, *, is_final: bool = False) -> bool:
    """Note a failed attempt: try again later, or give up. It was not sent."""
    failure = f"{type(error).__name__}: {error}"[:300]
    now = timezone.now()
    # Without the address: logs are kept longer than accounts.
    logger.warning(
        "notice %s was not sent, attempt %s: %s", mail.public_id, mail.attempts, type(error).__name__
    )
    if is_final or RETRIES.is_over(now, mail.created_at):
        return _end(mail, Status.FAILED, failure)
    next_attempt_at = RETRIES.next_attempt_at(now, mail.attempts)
    NoticeMail.objects.release(mail, next_attempt_at=next_attempt_at, failure=failure)
    return False


def _is_refused_for_good(error: Exception) -> bool:
    """Return whether an address can't get mail at all: asking again would make us look like spammers."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return min(code for code, _ in error.recipients.values()) >= 500
    return isinstance(error, ValueError)  # Django raises it for an address that it can't write


Measure = ReachedThreshold.Measure
FOLDER = "events/mail"
LAYOUTS = ("subject.txt", "letter.txt", "letter.html")
TIMES = ("_at", "_until", "_from")  # how the names of times end; in JSON they are texts
FINDINGS_SHOWN = 3
# Mails whose readers may have a question that only support can answer.
ABOUT_MONEY = frozenset({NoticeKind.USAGE, NoticeKind.INVOICES, NoticeKind.PAYMENTS, NoticeKind.WORKSPACE})


class UnfoldedHeader(UnstructuredHeader, BaseHeader):
    """A header whose value is an address: on one line, as it is.

    Python's e-mail library would write an address of more than 70 characters as an encoded word, which
    programs do not decode in List-Unsubscribe: RFC 8058 wants the address itself.
    """

    def fold(self, *, policy: Any) -> str:
        """Return the header's line."""
        return f"{self.name}: {self}{policy.linesep}"


class Mail(EmailMultiAlternatives):
    """A mail with text and HTML, whose List-Unsubscribe is readable."""

    def message(self, *, policy: Any = default) -> EmailMessage:
        """Return the message as it is sent."""
        registry = HeaderRegistry()
        registry.map_to_type("List-Unsubscribe", UnfoldedHeader)
        message: EmailMessage = super().message(policy=policy.clone(header_factory=registry))
        return message


def compose_mail(mail: NoticeMail, *, skipped_before: int = 0, is_last: bool = False) -> Mail:
    """Return a mail to be sent, addressed to where its member is reached now, in that person's language.

    `skipped_before` mails of its kind were left out since the last one; `is_last` says that the next ones
    will be. An invitation is in the language of who invites.
    """
    inviter = mail.invitation.invited_by if mail.invitation else None
    person = mail.membership.user if mail.membership else inviter
    with override(person.mail_language if person else settings.LANGUAGE_CODE):
        described = describe_for_mail(mail.invitation) if mail.invitation else _describe_notice(mail)
        context = {"site_url": settings.SITE_URL, "skipped_before": skipped_before, "is_last": is_last}
        return _write(mail, context | described)


def _describe_notice(mail: NoticeMail) -> dict[str, object]:
    """Return what a mail to a member about an event says."""
    member, kind = mail.membership, NoticeKind(mail.kind)
    assert member
    assert mail.event
    return {
        **_facts_of(mail.event),
        "event": mail.event,
        "member": member,
        "workspace": member.tenant,
        "in_workspace": f"?workspace={member.tenant.slug}",
        "role": member.role,
        "kind": kind,
        "stop_url": None if kind in ALWAYS_SENT else unsubscribe_url(member, kind),
        "support": settings.SUPPORT_EMAIL if kind in ABOUT_MONEY else "",
    }


def _write(mail: NoticeMail, context: dict[str, object]) -> Mail:
    """Return a mail that its template says with these facts, once for each layout."""
    name = mail.event.type.replace(".", "_") if mail.event else mail.kind
    template = get_template(f"{FOLDER}/{name}.txt")
    subject, text, html = [template.render({**context, "layout": f"{FOLDER}/{layout}"}) for layout in LAYOUTS]
    message = Mail(
        subject=settings.ACCOUNT_EMAIL_SUBJECT_PREFIX + " ".join(subject.split()),
        body=_tidy(text),
        to=[mail.recipient],
        headers=_headers(mail, context.get("stop_url")),
        reply_to=[settings.SUPPORT_EMAIL] if context.get("support") else None,
    )
    message.attach_alternative(html.strip() + "\n", "text/html")
    return message


def _tidy(text: str) -> str:
    """Return a text without the blank lines that tags leave behind."""
    lines = "\n".join(line.strip() for line in text.strip().splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines) + "\n"


def _headers(mail: NoticeMail, stop_url: object) -> dict[str, str]:
    """Return the headers that tell programs what this is, and that switch its kind off by one click."""
    headers = {
        # The same in each attempt: where a mail comes twice, its reader's program can tell.
        "Message-ID": f"<{mail.public_id}@{urlsplit(settings.SITE_URL).hostname}>",
        "Auto-Submitted": "auto-generated",  # RFC 3834: nobody's absence note answers it
    }
    if stop_url:
        headers["List-Unsubscribe"] = f"<{stop_url}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    return headers


def _facts_of(event: OutboxEvent) -> dict[str, object]:
    """Return what an event tells, ready to be read: its object, and what stands beside it."""
    thing, facts = _with_times(event.object), _with_times(event.facts)
    return {
        "object": thing,
        "facts": facts,
        "findings": (thing.get("findings") or [])[:FINDINGS_SHOWN],
        "scopes": [_scope_label(scope) for scope in thing.get("scopes", [])],
        # Of an endpoint's address only the host: the path of many receivers is as good as a password.
        "host": urlsplit(str(thing.get("url", ""))).hostname,
        **_style_of(thing),
        **_usage_of(facts),
    }


def _with_times(facts: dict[str, Any]) -> dict[str, Any]:
    times = {name for name, value in facts.items() if name.endswith(TIMES) and isinstance(value, str)}
    return {**facts, **{name: parse_datetime(facts[name]) for name in times}}


def _scope_label(scope: str) -> str:
    """Return what a key with a scope may do, in words within a sentence; of an old scope, its name."""
    label = dict(Scope.choices).get(scope)
    return within_sentence(str(label)) if label else scope


def _style_of(thing: dict[str, object]) -> dict[str, str]:
    """Return a style's name as programs write it, and the path of its page. A version's ends in @number."""
    model = str(thing.get("model", "")).partition("@")[0]
    owner, slash, slug = model.partition("/")
    # The first party's styles are named without an owner.
    path = reverse("adapters:style", args=[owner, slug]) if slash else reverse("adapters:catalogue")
    return {"model": model, "style_path": path}


def _usage_of(facts: dict[str, Any]) -> dict[str, str]:
    """Return what is used of a month's limit, in words."""
    if "period" not in facts:
        return {}
    start, end = months.bounds(facts["period"])
    usage = {"month": date_format(start, "F"), "month_end": date_format(end, gettext("j F"))}
    if facts["measure"] in (Measure.TOKENS, Measure.CAP):
        usage["used"] = gettext("%(count)s tokens") % {"count": intcomma(facts["used_tokens"])}
        usage["limit"] = intcomma(facts["limit_tokens"])
        usage["most"] = intcomma(facts.get("max_tokens", facts["limit_tokens"]))
        has_further = (
            facts["measure"] == Measure.TOKENS and facts.get("overage") != "refused"
        )  # metering/allowance.py
        usage["further"] = facts.get("overage", "") if has_further else ""
    else:
        usage["used"] = usd_about(facts["used_nanousd"])
        usage["limit"] = usd_about(facts["limit_nanousd"])
    usage["allowance"] = _allowance(facts["measure"], usage)
    return usage


def _allowance(measure: str, usage: dict[str, str]) -> str:
    """Return what a month's usage is measured by, in words within a sentence."""
    if measure == Measure.CAP:
        words = gettext("the tokens that %(month)s allows")
    elif measure == Measure.CREDITS:
        words = gettext("%(month)s's credits")
    elif measure == Measure.BUDGET:
        words = gettext("%(month)s's budget")
    elif usage["further"]:
        words = gettext("%(month)s's included tokens")
    else:
        words = gettext("%(month)s's tokens")
    return words % usage
