"""Invoices, credits and payments as the API shows them, and as their events carry them."""

from typing import Any, ClassVar

from rest_framework import serializers

from billing.invoices.credit_notes import due_nanousd
from billing.models import CreditNote, Payment
from core.money import dollars
from core.rest.messages import MessageText
from core.rest.objects import AmountField
from metering.models import CreditGrant, Invoice, InvoiceLine


class CreditGrantObject(serializers.Serializer[CreditGrant]):
    """A credit grant, which pays for usage beyond the plan's included tokens."""

    id = serializers.IntegerField()
    object = serializers.CharField(default="credit_grant", read_only=True)
    source = serializers.ChoiceField(CreditGrant.Source.choices)  # type: ignore[assignment]  # a field named so
    amount_nanousd = serializers.IntegerField()
    amount_usd = AmountField("amount_nanousd")
    first_period = serializers.CharField(help_text="The month in which it was granted.")
    last_period = serializers.SerializerMethodField()
    reason = MessageText()
    created_at = serializers.DateTimeField()

    def get_last_period(self, grant: CreditGrant) -> str | None:
        """Return the month at whose end (UTC) it expires; null: it never does."""
        return grant.last_period or None


class InvoiceLineObject(serializers.Serializer[Any]):
    """An invoice line. A usage line refers to the first and last ledger entry it covers."""

    kind = serializers.ChoiceField(InvoiceLine.Kind.choices)
    text = serializers.CharField()
    style_name = serializers.CharField(allow_blank=True)
    meter = serializers.CharField(
        allow_blank=True, help_text="`input`, `cached input` or `output`; empty for trainings."
    )
    quantity = serializers.IntegerField()
    unit_nanousd = serializers.IntegerField(allow_null=True)
    amount_nanousd = serializers.IntegerField()
    amount_usd = AmountField("amount_nanousd")
    first_entry = serializers.IntegerField(allow_null=True)
    last_entry = serializers.IntegerField(allow_null=True)


class InvoiceObject(serializers.Serializer[Invoice]):
    """A monthly invoice. Only its state changes after it is finalized."""

    example: ClassVar = {
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

    id = serializers.UUIDField()
    object = serializers.CharField(default="invoice", read_only=True)
    number = serializers.CharField(source="__str__")
    period = serializers.CharField()
    state = serializers.ChoiceField(["finalized", "paid", "void"])
    plan = serializers.CharField(help_text="The plan version at the end of the month.")
    total_nanousd = serializers.IntegerField()
    total_usd = AmountField("total_nanousd", "total")
    due_nanousd = serializers.SerializerMethodField(help_text="Amount due: the total minus credit notes.")
    due_usd = serializers.SerializerMethodField()
    finalized_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True, help_text="When it was paid or voided.")
    lines = InvoiceLineObject(many=True)

    def get_due_nanousd(self, invoice: Invoice) -> int:
        """Return what is to be paid, nothing once it is paid or void."""
        return due_nanousd(invoice)

    def get_due_usd(self, invoice: Invoice) -> str | None:
        """Return what is to be paid in dollars."""
        return dollars(due_nanousd(invoice))


class CreditNoteObject(serializers.Serializer[CreditNote]):
    """A credit note, which corrects an invoice. It never changes."""

    example: ClassVar = {
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

    id = serializers.UUIDField()
    object = serializers.CharField(default="credit_note", read_only=True)
    number = serializers.CharField(source="__str__")
    invoice = serializers.UUIDField(source="invoice_id")
    invoice_number = serializers.CharField(source="invoice.__str__")
    amount_nanousd = serializers.IntegerField()
    amount_usd = AmountField("amount_nanousd")
    settlement = serializers.ChoiceField(
        CreditNote.Settlement.choices,
        help_text="`owed`: reduces the amount due. `credits` and `refund`: return the amount of a paid "
        "invoice.",
    )
    reason = serializers.CharField()
    created_at = serializers.DateTimeField()


class PaymentObject(serializers.Serializer[Payment]):
    """A payment."""

    example: ClassVar = {
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

    id = serializers.UUIDField()
    object = serializers.CharField(default="payment", read_only=True)
    number = serializers.CharField(source="__str__", help_text="Payment reference for a bank transfer.")
    purpose = serializers.ChoiceField(Payment.Purpose.choices)
    invoice = serializers.UUIDField(source="invoice_id", allow_null=True)
    amount_nanousd = serializers.IntegerField()
    amount_usd = AmountField("amount_nanousd")
    state = serializers.ChoiceField(Payment.State.choices)
    provider = serializers.ChoiceField(Payment.Provider.choices)
    url = serializers.SerializerMethodField(help_text="URL of the payment page, while the payment is open.")
    failure = MessageText()
    created_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)

    def get_url(self, payment: Payment) -> str | None:
        """Return where to pay; null once there is nothing to pay."""
        return payment.url if payment.url and payment.state == Payment.State.OPEN else None
