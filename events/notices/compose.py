"""Write a notice: its subject, its text and its HTML from one template, and the headers that go with it.

A template in templates/events/mail/ says each thing once, in blocks. It extends the layout that it is given:
the subject's, the text's or the HTML's. Only the last one escapes, as only there names could be markup.
Strangers' words never come in: of a workspace that shares a style with this one, only slugs are shown.
"""

import re
from email.headerregistry import BaseHeader, HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import default
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.mail import EmailMultiAlternatives
from django.template.loader import get_template
from django.urls import reverse
from django.utils.dateparse import parse_datetime
from django.utils.formats import date_format
from django.utils.translation import gettext, override

from core import months
from core.grammar import within_sentence
from core.money import usd_about
from events.models import NoticeKind, NoticeMail, OutboxEvent, ReachedThreshold
from events.notices.catalog import ALWAYS_SENT
from events.notices.choices import unsubscribe_url
from tenants.invitation_links import describe_for_mail
from tenants.models import Scope

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
