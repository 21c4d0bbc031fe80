"""Mail that a worker sends: notices, of which a member can choose among the kinds, and invitations."""

from datetime import datetime
from uuid import uuid4

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.outgoing import Leased, LeasedQuerySet
from events.models.events import OutboxEvent
from tenants.models.people import Invitation, Membership, Tenant

INVITATION = "invitation"  # the kind of a mail to somebody who is no member yet


class NoticeKind(models.TextChoices):
    """What a member gets, or switches off, together."""

    USAGE = "usage", _("Usage reaches 50, 80 or 100% of a month's tokens, budget or credits")
    UPLOADS = "uploads", _("An uploaded version is rejected or can't be loaded")
    TRAININGS = "trainings", _("A training of a style finishes or fails")
    CANARIES = "canaries", _("A canary ends automatically")
    SHARES = "shares", _("Another workspace shares a style with this one")
    OFFERS = "offers", _("An offer to the public catalogue is approved or declined")
    WEBHOOKS = (
        "webhooks",
        _("A webhook endpoint is disabled, by operators or after failing for three days"),
    )
    INVOICES = "invoices", _("A month's invoice is ready")
    PAYMENTS = (
        "payments",
        _("The plan or a selected style's price changes, or an automatic top-up is declined"),
    )
    KEYS = "keys", _("An API key is created, rotated or revoked")
    WORKSPACE = "workspace", _("The workspace is suspended, reinstated or scheduled for deletion")


class NoticeMailQuerySet(LeasedQuerySet["NoticeMail"]):
    def due(self, now: datetime) -> "NoticeMailQuerySet":
        """Return mails to send now, those that wait longest first."""
        unsent = self.free(now).filter(status=NoticeMail.Status.PENDING, next_attempt_at__lte=now)
        return unsent.order_by("next_attempt_at", "pk")


class NoticeMail(Leased):
    """One mail to a member about an event, with which it goes after 30 days; or one with an invitation."""

    class Status(models.TextChoices):
        PENDING = "pending"
        SENT = "sent"
        SKIPPED = "skipped", "Skipped: too many of its kind within an hour"
        UNWANTED = "unwanted", "Switched off before it was sent"
        FAILED = "failed"

    # Names the mail itself (Message-ID): a mail that is sent twice is known by it.
    public_id = models.UUIDField(default=uuid4, unique=True, editable=False)
    # Empty in rows from before. An invitation's mail stays in its workspace's limit when the invitation ends.
    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="mails", null=True, verbose_name="workspace"
    )
    event = models.ForeignKey(OutboxEvent, on_delete=models.CASCADE, related_name="mails", null=True)
    membership = models.ForeignKey(
        Membership, on_delete=models.CASCADE, related_name="mails", null=True, db_index=False
    )
    invitation = models.ForeignKey(Invitation, on_delete=models.SET_NULL, related_name="mails", null=True)
    kind = models.CharField(max_length=20, choices=[*NoticeKind.choices, (INVITATION, _("Invitation"))])
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, help_text="When it was sent, skipped or abandoned.")
    failure = models.CharField(max_length=300, blank=True, help_text="Why the last attempt failed.")
    created_at = models.DateTimeField(default=timezone.now)

    objects = NoticeMailQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["event", "membership"], name="one_mail_a_member")]
        indexes = [
            models.Index(fields=["membership", "kind", "ended_at"], name="mails_of_a_member"),
            models.Index(
                fields=["next_attempt_at"],
                condition=Q(status="pending"),
                name="mails_to_send",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} to {self.recipient}: {self.status}"

    @property
    def recipient(self) -> str:
        """The address that it goes to: where its member is reached now. Empty once an invitation is gone."""
        if self.membership:
            return self.membership.user.email
        return self.invitation.email if self.invitation else ""
