"""Send what waits: one worker at a time, one connection, and again for a day where the mail server is away.

A mail is leased before it is sent (core/outgoing.py). If the worker is killed, the mail is sent again:
perhaps twice, then, but under one Message-ID, as mail servers do it among themselves. Nothing is sent without
a row, and nothing is lost while there is no mail server.
"""

import logging
import smtplib
from datetime import timedelta
from functools import partial
from typing import Any

from django.core.mail import mailers
from django.db import transaction
from django.utils import timezone

from core import locks
from core.outgoing import RetrySchedule, work_off
from events.models import NoticeMail
from events.notices.compose import compose_mail
from tenants.models import Invitation, Membership

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
