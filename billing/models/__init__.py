from billing.models.billing_details import BillingDetails
from billing.models.credit_notes import CreditNote, CreditNoteNumber
from billing.models.payments import Payment, PaymentAccount, PaymentEvent

__all__ = ["BillingDetails", "CreditNote", "CreditNoteNumber", "Payment", "PaymentAccount", "PaymentEvent"]
