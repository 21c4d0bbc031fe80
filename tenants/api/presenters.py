"""Objects of a workspace as the API shows them, and as its events carry them."""

from typing import Any

from rest_framework import serializers

from foundation.money import dollars
from tenants.billing.credit_notes import due_nanousd
from tenants.models import (
    ApiKey,
    AuditEntry,
    CreditGrant,
    CreditNote,
    Invoice,
    InvoiceLine,
    Payment,
    Scope,
    Tenant,
    WebhookDelivery,
    WebhookEndpoint,
)


class KeyLimits(serializers.Serializer[ApiKey]):
    """A key's own limits. Null: only the workspace's limits apply."""

    monthly_tokens = serializers.IntegerField(allow_null=True)
    monthly_nanousd = serializers.IntegerField(allow_null=True, help_text="Budget a month in 10⁻⁹ dollars.")
    monthly_usd = serializers.SerializerMethodField()
    requests_per_minute = serializers.IntegerField(allow_null=True)
    tokens_per_minute = serializers.IntegerField(allow_null=True)
    parallel_requests = serializers.IntegerField(allow_null=True)
    styles = serializers.SerializerMethodField()

    def get_monthly_usd(self, key: ApiKey) -> str | None:
        """Return the budget in dollars."""
        return dollars(key.monthly_nanousd)

    def get_styles(self, key: ApiKey) -> list[str]:
        """Return the ids of the only styles that it may use; empty: all."""
        return [str(style_id) for style_id in key.styles or []]


class KeyObject(serializers.Serializer[ApiKey]):
    """An API key. Its secret is shown once, by the request that made it."""

    id = serializers.UUIDField()
    object = serializers.CharField(default="api_key", read_only=True)
    name = serializers.CharField()
    hint = serializers.SerializerMethodField()
    scopes = serializers.ListField(child=serializers.ChoiceField(Scope.choices))
    limits = serializers.SerializerMethodField()
    is_live = serializers.SerializerMethodField()
    created_by = serializers.SerializerMethodField()
    replaced_by = serializers.UUIDField(source="replaced_by_id", allow_null=True)
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)

    def get_hint(self, key: ApiKey) -> str:
        """Return the secret's first and last characters."""
        return f"{key.prefix}…{key.last4}"

    def get_limits(self, key: ApiKey) -> KeyLimits:
        """Return its own limits."""
        return KeyLimits(key).data  # type: ignore[return-value]

    def get_is_live(self, key: ApiKey) -> bool:
        """Return whether it opens anything."""
        return key.revoked_at is None and not key.is_expired

    def get_created_by(self, key: ApiKey) -> str | None:
        """Return the address of the person who made it; null: a program did."""
        return key.created_by.email if key.created_by else None


class WorkspaceObject(serializers.Serializer[Tenant]):
    """A workspace."""

    id = serializers.UUIDField()
    object = serializers.CharField(default="workspace", read_only=True)
    slug = serializers.CharField(help_text="It names the styles: `slug/style`.")
    name = serializers.CharField()
    monthly_nanousd = serializers.IntegerField(allow_null=True, help_text="Its own budget a month.")
    monthly_usd = serializers.SerializerMethodField()
    default_style = serializers.UUIDField(allow_null=True, help_text="What the playground begins with.")
    key_limits = serializers.DictField(
        child=serializers.IntegerField(), allow_null=True, help_text="What new API keys start with."
    )
    key_lifetime_days = serializers.IntegerField(
        allow_null=True, help_text="After how many days a new API key ends by itself."
    )
    is_suspended = serializers.SerializerMethodField()
    deletion_at = serializers.DateTimeField(
        allow_null=True, help_text="When it will be deleted, as an owner asked; null: it will not."
    )
    created_at = serializers.DateTimeField()

    def get_monthly_usd(self, tenant: Tenant) -> str | None:
        """Return the budget in dollars."""
        return dollars(tenant.monthly_nanousd)

    def get_is_suspended(self, tenant: Tenant) -> bool:
        """Return whether operators suspended it."""
        return tenant.suspended_at is not None


class AuditObject(serializers.Serializer[AuditEntry]):
    """One entry of a workspace's audit log."""

    id = serializers.IntegerField()
    object = serializers.CharField(default="audit_entry", read_only=True)
    at = serializers.DateTimeField()
    action = serializers.CharField(help_text="As `api_key.created`.")
    actor = serializers.SerializerMethodField()
    api_key = serializers.UUIDField(source="api_key_id", allow_null=True, help_text="The program's key.")
    object_type = serializers.CharField()
    object_id = serializers.CharField()
    object_name = serializers.CharField()
    before = serializers.DictField()
    after = serializers.DictField()
    address = serializers.CharField(allow_null=True)

    def get_actor(self, entry: AuditEntry) -> str | None:
        """Return the person's address; null: a program."""
        return entry.actor.email if entry.actor else None


class EndpointObject(serializers.Serializer[WebhookEndpoint]):
    """An address of the workspace's own that gets its events."""

    id = serializers.UUIDField()
    object = serializers.CharField(default="webhook_endpoint", read_only=True)
    url = serializers.CharField()
    description = serializers.CharField(allow_blank=True)
    event_types = serializers.ListField(child=serializers.CharField(), help_text="Empty: every type.")
    is_enabled = serializers.BooleanField()
    disabled_at = serializers.DateTimeField(allow_null=True)
    disabled_reason = serializers.CharField(allow_blank=True)
    failing_since = serializers.DateTimeField(allow_null=True)
    previous_secret_until = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class DeliveryObject(serializers.Serializer[WebhookDelivery]):
    """One event on its way to one endpoint."""

    id = serializers.UUIDField(source="public_id")
    object = serializers.CharField(default="webhook_delivery", read_only=True)
    event = serializers.UUIDField(source="event_id")
    type = serializers.CharField(source="event.type")
    status = serializers.ChoiceField(WebhookDelivery.Status.choices)
    attempts = serializers.IntegerField()
    status_code = serializers.IntegerField(allow_null=True)
    latency_ms = serializers.IntegerField(allow_null=True)
    answer = serializers.CharField(allow_blank=True, help_text="The first 2 KB of the last answer.")
    failure = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    attempted_at = serializers.DateTimeField(allow_null=True)
    next_attempt_at = serializers.SerializerMethodField()

    def get_next_attempt_at(self, delivery: WebhookDelivery) -> str | None:
        """Return when it is tried next; null: it is over."""
        if delivery.status != WebhookDelivery.Status.PENDING:
            return None
        return str(serializers.DateTimeField().to_representation(delivery.next_attempt_at))


class CreditGrantObject(serializers.Serializer[CreditGrant]):
    """An amount that pays usage beyond the plan's included tokens."""

    id = serializers.IntegerField()
    object = serializers.CharField(default="credit_grant", read_only=True)
    source = serializers.ChoiceField(CreditGrant.Source.choices)  # type: ignore[assignment]  # a field named so
    amount_nanousd = serializers.IntegerField()
    amount_usd = serializers.SerializerMethodField()
    first_period = serializers.CharField(help_text="The month in which it was granted.")
    last_period = serializers.SerializerMethodField()
    reason = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()

    def get_amount_usd(self, grant: CreditGrant) -> str | None:
        """Return the amount in dollars."""
        return dollars(grant.amount_nanousd)

    def get_last_period(self, grant: CreditGrant) -> str | None:
        """Return the month at whose end (UTC) it expires; null: it never does."""
        return grant.last_period or None


class InvoiceLineObject(serializers.Serializer[Any]):
    """One line of an invoice. A usage line names the first and last ledger entry that it sums."""

    kind = serializers.ChoiceField(InvoiceLine.Kind.choices)
    period = serializers.CharField(help_text="An earlier month than the invoice's: it was recorded late.")
    text = serializers.CharField()
    style_name = serializers.CharField(allow_blank=True)
    meter = serializers.CharField(allow_blank=True, help_text="`input`, `cached input` or `output`.")
    quantity = serializers.IntegerField()
    unit_nanousd = serializers.IntegerField(allow_null=True)
    amount_nanousd = serializers.IntegerField()
    amount_usd = serializers.SerializerMethodField()
    first_entry = serializers.IntegerField(allow_null=True)
    last_entry = serializers.IntegerField(allow_null=True)

    def get_amount_usd(self, line: Any) -> str | None:
        """Return the amount in dollars."""
        return dollars(line.amount_nanousd)


class InvoiceObject(serializers.Serializer[Invoice]):
    """What the workspace owes for a month. It never changes but for its state."""

    id = serializers.UUIDField()
    object = serializers.CharField(default="invoice", read_only=True)
    number = serializers.CharField(source="__str__")
    period = serializers.CharField()
    state = serializers.ChoiceField(["finalized", "paid", "void"])
    plan = serializers.CharField(help_text="The plan version at the month's end.")
    total_nanousd = serializers.IntegerField()
    total_usd = serializers.SerializerMethodField()
    due_nanousd = serializers.SerializerMethodField(help_text="To be paid: the total less credit notes.")
    due_usd = serializers.SerializerMethodField()
    finalized_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True, help_text="When it was paid or made void.")
    lines = InvoiceLineObject(many=True)

    def get_total_usd(self, invoice: Invoice) -> str | None:
        """Return the total in dollars."""
        return dollars(invoice.total_nanousd)

    def get_due_nanousd(self, invoice: Invoice) -> int:
        """Return what is to be paid, nothing once it is paid or void."""
        return due_nanousd(invoice)

    def get_due_usd(self, invoice: Invoice) -> str | None:
        """Return what is to be paid in dollars."""
        return dollars(due_nanousd(invoice))


class CreditNoteObject(serializers.Serializer[CreditNote]):
    """What corrects an invoice. It never changes."""

    id = serializers.UUIDField()
    object = serializers.CharField(default="credit_note", read_only=True)
    number = serializers.CharField(source="__str__")
    invoice = serializers.UUIDField(source="invoice_id")
    invoice_number = serializers.CharField(source="invoice.__str__")
    amount_nanousd = serializers.IntegerField()
    amount_usd = serializers.SerializerMethodField()
    settlement = serializers.ChoiceField(
        CreditNote.Settlement.choices,
        help_text="`owed`: less is to be paid; `credits` and `refund`: a paid invoice's amount came back.",
    )
    reason = serializers.CharField()
    created_at = serializers.DateTimeField()

    def get_amount_usd(self, note: CreditNote) -> str | None:
        """Return the amount in dollars."""
        return dollars(note.amount_nanousd)


CREDIT_NOTE_EXAMPLE = {
    "id": "5f3d0a52-7c1e-4f0c-9d2b-0b8a1c6e7f21",
    "object": "credit_note",
    "number": "CN-000007",
    "invoice": "0b9e6c1e-6f0e-4a34-8a41-6a3d7c1f2b55",
    "invoice_number": "PS-000042",
    "amount_nanousd": 2_000_000_000,
    "amount_usd": "2.00",
    "settlement": "owed",
    "reason": "Half a day without an engine.",
    "created_at": "2026-11-05T09:00:00Z",
}


class PaymentObject(serializers.Serializer[Payment]):
    """An amount that is to be paid, or was."""

    id = serializers.UUIDField()
    object = serializers.CharField(default="payment", read_only=True)
    number = serializers.CharField(source="__str__", help_text="Name it when you pay by transfer.")
    purpose = serializers.ChoiceField(Payment.Purpose.choices)
    invoice = serializers.UUIDField(source="invoice_id", allow_null=True)
    amount_nanousd = serializers.IntegerField()
    amount_usd = serializers.SerializerMethodField()
    state = serializers.ChoiceField(Payment.State.choices)
    provider = serializers.ChoiceField(Payment.Provider.choices)
    url = serializers.SerializerMethodField(help_text="Where a person pays, while it is open.")
    failure = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)

    def get_amount_usd(self, payment: Payment) -> str | None:
        """Return the amount in dollars."""
        return dollars(payment.amount_nanousd)

    def get_url(self, payment: Payment) -> str | None:
        """Return where to pay; null once there is nothing to pay."""
        return payment.url if payment.url and payment.state == Payment.State.OPEN else None


PAYMENT_EXAMPLE = {
    "id": "9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d",
    "object": "payment",
    "number": "PAY-9B1DEB4D",
    "purpose": "top_up",
    "invoice": None,
    "amount_nanousd": 25_000_000_000,
    "amount_usd": "25.00",
    "state": "open",
    "provider": "stripe",
    "url": "https://checkout.stripe.com/c/pay/cs_live_a1",
    "failure": "",
    "created_at": "2026-11-05T09:00:00Z",
    "closed_at": None,
}
INVOICE_EXAMPLE = {
    "id": "0b9e6c1e-6f0e-4a34-8a41-6a3d7c1f2b55",
    "object": "invoice",
    "number": "PS-000042",
    "period": "2026-10",
    "state": "finalized",
    "plan": "Writer v1",
    "total_nanousd": 12_000_000_000,
    "total_usd": "12.00",
    "due_nanousd": 12_000_000_000,
    "due_usd": "12.00",
    "finalized_at": "2026-11-02T01:00:00Z",
    "closed_at": None,
    "lines": [
        {
            "kind": "fee",
            "period": "2026-10",
            "text": "Writer, monthly fee",
            "style_name": "",
            "meter": "",
            "quantity": 1,
            "unit_nanousd": 12_000_000_000,
            "amount_nanousd": 12_000_000_000,
            "amount_usd": "12.00",
            "first_entry": None,
            "last_entry": None,
        }
    ],
}


def present_key(key: ApiKey) -> dict[str, Any]:
    """Return a key as the API shows it."""
    return dict(KeyObject(key).data)


def present_credit_grant(grant: CreditGrant) -> dict[str, Any]:
    """Return a grant of credits as the API shows it."""
    return dict(CreditGrantObject(grant).data)


def present_invoice(invoice: Invoice) -> dict[str, Any]:
    """Return a finalized invoice with its lines as the API shows it."""
    return dict(InvoiceObject(invoice).data)


def present_credit_note(note: CreditNote) -> dict[str, Any]:
    """Return a credit note as the API shows it."""
    return dict(CreditNoteObject(note).data)


def present_payment(payment: Payment) -> dict[str, Any]:
    """Return a payment as the API shows it."""
    return dict(PaymentObject(payment).data)


def present_workspace(tenant: Tenant) -> dict[str, Any]:
    """Return a workspace as the API shows it."""
    return dict(WorkspaceObject(tenant).data)


def present_endpoint(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """Return a webhook endpoint as the API shows it."""
    return dict(EndpointObject(endpoint).data)


def present_delivery(delivery: WebhookDelivery) -> dict[str, Any]:
    """Return a delivery as the API shows it."""
    return dict(DeliveryObject(delivery).data)
