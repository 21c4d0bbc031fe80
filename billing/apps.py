from functools import partial

from django.apps import AppConfig


class BillingConfig(AppConfig):
    """Invoices, credits, payments and authors' shares: above styles, so that it may ask about them."""

    name = "billing"
    verbose_name = "Billing"

    def ready(self) -> None:
        """Tell the outbox how the API shows this app's objects."""
        from billing.api import presenters  # noqa: PLC0415 (models are not loaded before)
        from billing.models import CreditNote, Payment  # noqa: PLC0415
        from core.rest.objects import present  # noqa: PLC0415
        from events.outbox import register_presenter  # noqa: PLC0415
        from metering.models import CreditGrant, Invoice  # noqa: PLC0415

        register_presenter(CreditGrant, partial(present, presenters.CreditGrantObject))
        register_presenter(CreditNote, partial(present, presenters.CreditNoteObject))
        register_presenter(Invoice, partial(present, presenters.InvoiceObject))
        register_presenter(Payment, partial(present, presenters.PaymentObject))
