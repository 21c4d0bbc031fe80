"""What happened in a workspace, for programs and people: the outbox, webhooks, and what was sent to them."""

from datetime import datetime
from urllib.parse import urlsplit
from uuid import uuid4

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Least
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from core.lifecycle import Leased, LeasedQuerySet
from core.message_fields import MessageField
from core.messages import MessageDecoder, MessageEncoder
from tenants.models.people import Invitation, Membership, Tenant, User

MAX_URL_LENGTH = 500


class EventType(models.TextChoices):
    """What can happen, as docs/api.md lists it. A type stands here once something records it."""

    VERSION_SERVING = "version.serving", _("A version started serving.")
    VERSION_REJECTED = "version.rejected", _("An upload failed validation.")
    VERSION_FAILED = "version.failed", _("No engine could load a version.")
    VERSION_RETIRED = "version.retired", _("A version was retired.")
    TRAINING_SUCCEEDED = "training.succeeded", _("A training finished; its version is ready to go live.")
    TRAINING_FAILED = "training.failed", _("A training failed.")
    EVALUATION_SUCCEEDED = "evaluation.succeeded", _("A version was checked against texts by its author.")
    EVALUATION_FAILED = "evaluation.failed", _("The check of a version failed.")
    RELEASE_PROMOTED = "release.promoted", _("A style's live version changed.")
    RELEASE_ROLLED_BACK = "release.rolled_back", _("A style was rolled back to its previous version.")
    CANARY_ENDED = "canary.ended", _("A canary ended, manually or because of its metrics.")
    STYLE_SHARED = "style.shared", _("Another workspace shared a style with this one.")
    STYLE_OFFER_DECIDED = "style.offer_decided", _("An offer was approved or declined.")
    STYLE_PRICE_ANNOUNCED = "style.price_announced", _("The price of a selected style will change.")
    KEY_CREATED = "key.created", _("An API key was created.")
    KEY_ROTATED = "key.rotated", _("An API key's secret was rotated.")
    KEY_REVOKED = "key.revoked", _("An API key was revoked.")
    USAGE_THRESHOLD_REACHED = "usage.threshold_reached", _("Usage reached 50, 80 or 100% of a monthly limit.")
    CREDIT_GRANTED = "credit.granted", _("Credits were added to the workspace.")
    CREDIT_EXPIRED = "credit.expired", _("Unused credits expired.")
    INVOICE_FINALIZED = "invoice.finalized", _("A monthly invoice was finalized.")
    INVOICE_PAID = "invoice.paid", _("An invoice was paid.")
    INVOICE_VOIDED = "invoice.voided", _("An invoice was voided.")
    CREDIT_NOTE_ISSUED = "credit_note.issued", _("An invoice was corrected by a credit note.")
    PLAN_CHANGED = "plan.changed", _("The plan was changed, now or from next month on.")
    PAYMENT_SUCCEEDED = "payment.succeeded", _("A payment succeeded, for a top-up or an invoice.")
    PAYMENT_FAILED = "payment.failed", _("A payment failed, such as an automatic top-up.")
    WORKSPACE_SUSPENDED = "workspace.suspended", _("The workspace was suspended.")
    WORKSPACE_RESUMED = "workspace.resumed", _("The workspace's suspension was lifted.")
    WORKSPACE_DELETION_REQUESTED = (
        "workspace.deletion_requested",
        _("An owner requested deletion of the workspace. Any owner can still cancel it."),
    )
    WORKSPACE_DELETION_STOPPED = (
        "workspace.deletion_stopped",
        _("The deletion of the workspace was cancelled."),
    )
    ERASURE_COMPLETED = "erasure.completed", _("A version's files were completely erased.")
    WEBHOOK_DISABLED = (
        "webhook.disabled",
        _("An endpoint returned 410, failed for three days, or was disabled by operators."),
    )
    WEBHOOK_TEST = "webhook.test", _("A test event, sent only to the endpoint under test.")

    @property
    def heading(self) -> str:
        """What happened, as it stands in a list: its label without the full stop."""
        return str(self.label).removesuffix(".")


class OutboxEvent(models.Model):
    """One thing that happened, with its object as the API showed it at that moment. Kept for 30 days.

    It is saved in the transaction of what it tells, so there is never one without the other.
    """

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="events")
    type = models.CharField(max_length=40, choices=EventType)
    object = models.JSONField(
        encoder=MessageEncoder, decoder=MessageDecoder, help_text="As the API presents it, with messages."
    )
    facts = models.JSONField(
        default=dict, encoder=MessageEncoder, decoder=MessageDecoder, help_text="Additional data."
    )
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        indexes = [models.Index(fields=["tenant", "-created_at"], name="events_of_a_tenant")]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"

    @property
    def heading(self) -> str:
        """What happened, for people; the code of a type that no longer exists."""
        return EventType(self.type).heading if self.type in EventType else self.type


class WebhookEndpointQuerySet(LeasedQuerySet["WebhookEndpoint"]):
    def subscribed_to(self, event_type: str) -> "WebhookEndpointQuerySet":
        """Return the enabled endpoints that want events of a type."""
        return self.filter(Q(event_types=[]) | Q(event_types__contains=[event_type]), is_enabled=True)

    def due(self, now: datetime) -> "WebhookEndpointQuerySet":
        """Return enabled endpoints with a due test or oldest delivery, those that wait longest first.

        An endpoint that a worker has leased is left out.
        """
        pending = WebhookDelivery.objects.pending().filter(endpoint=OuterRef("pk"))
        times = pending.values("next_attempt_at")
        oldest = Subquery(times.filter(is_test=False).order_by("pk")[:1])
        test = Subquery(times.filter(is_test=True).order_by("next_attempt_at")[:1])
        next_attempt_at = Least(oldest, test)  # PostgreSQL's passes over NULL
        free = self.free(now).filter(is_enabled=True)
        due = free.annotate(next_attempt_at=next_attempt_at).filter(next_attempt_at__lte=now)
        return due.order_by("next_attempt_at")


class WebhookEndpoint(Leased):
    """An address of a workspace's own that gets its events."""

    id = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    tenant = models.ForeignKey(
        Tenant, on_delete=models.CASCADE, related_name="webhook_endpoints", verbose_name="workspace"
    )
    url = models.CharField(max_length=MAX_URL_LENGTH)
    description = models.CharField(max_length=200, blank=True)
    event_types = ArrayField(
        models.CharField(max_length=40), default=list, blank=True, help_text="Empty: all types."
    )
    # Encrypted, not digested: each delivery is signed with it. events/webhooks/delivery.py knows the key.
    sealed_secret = models.TextField(editable=False)
    sealed_previous_secret = models.TextField(blank=True, editable=False)
    previous_secret_until = models.DateTimeField(null=True, blank=True, editable=False)
    is_enabled = models.BooleanField(default=True)
    disabled_at = models.DateTimeField(null=True, blank=True, editable=False)
    disabled_reason = MessageField(editable=False)
    failing_since = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Time of the first failure since the last success."
    )
    created_by = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_at = models.DateTimeField(auto_now=True)

    objects = WebhookEndpointQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "url"], name="one_endpoint_a_url")]
        indexes = [models.Index(fields=["tenant", "-created_at"], name="endpoints_of_a_tenant")]

    def __str__(self) -> str:
        return self.shown_url

    @property
    def shown_url(self) -> str:
        """The address without its path, which is as good as a password with many receivers."""
        parts = urlsplit(self.url)
        path = "/…" if parts.path.strip("/") or parts.query else ""
        return f"{parts.scheme}://{parts.netloc}{path}"


class WebhookDeliveryQuerySet(models.QuerySet["WebhookDelivery"]):
    def pending(self) -> "WebhookDeliveryQuerySet":
        """Return deliveries that are still to be made."""
        return self.filter(status=WebhookDelivery.Status.PENDING)


class WebhookDelivery(models.Model):
    """One event on its way to one endpoint. The rows' numbers are their order; a redelivery is a new row."""

    class Status(models.TextChoices):
        PENDING = "pending", _("Pending")
        DELIVERED = "delivered", _("Delivered")
        FAILED = "failed", _("Failed")

    # What addresses and programs name: the row's number would tell how many deliveries all workspaces had.
    public_id = models.UUIDField(default=uuid4, unique=True, editable=False)
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries")
    event = models.ForeignKey(OutboxEvent, on_delete=models.CASCADE, related_name="deliveries")
    is_test = models.BooleanField(default=False, db_default=False, help_text="It passes what waits.")
    status = models.CharField(max_length=10, choices=Status, default=Status.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    attempted_at = models.DateTimeField(null=True, help_text="When the last attempt began.")
    status_code = models.PositiveSmallIntegerField(null=True, help_text="From the last response.")
    latency_ms = models.PositiveIntegerField(null=True, help_text="From the last attempt.")
    answer = models.TextField(blank=True, help_text="The first 2 KB of the last response.")
    failure = MessageField(help_text="Why the last attempt failed.")
    created_at = models.DateTimeField(default=timezone.now)

    objects = WebhookDeliveryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "webhook deliveries"
        indexes = [
            models.Index(fields=["endpoint", "-id"], name="deliveries_newest"),
            models.Index(fields=["endpoint", "id"], condition=Q(status="pending"), name="deliveries_pending"),
        ]

    def __str__(self) -> str:
        return f"{self.event_id} to {self.endpoint_id}: {self.status}"


class ReachedThreshold(models.Model):
    """A share of a month's limit that a workspace has reached; the event is recorded with it, so once."""

    class Measure(models.TextChoices):
        TOKENS = "tokens"  # that the plan includes
        CAP = "cap"  # all tokens, where the plan has further ones
        BUDGET = "budget"
        CREDITS = "credits"

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, related_name="reached_thresholds")
    period = models.CharField(max_length=7)
    measure = models.CharField(max_length=10, choices=Measure)
    percent = models.PositiveSmallIntegerField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "period", "measure", "percent"], name="reached_once"),
        ]

    def __str__(self) -> str:
        return f"{self.percent} % of {self.measure} in {self.period}"


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
