from metering.models.credits import CreditBurn, CreditGrant
from metering.models.earnings import AuthorEarning
from metering.models.hosting import HostedStyle
from metering.models.invoices import Invoice, InvoiceLine, InvoiceNumber
from metering.models.ledger import LedgerEntry, UsageDaily, UsageEvent, UsageMinute
from metering.models.plans import Plan, PlanVersion, Price, PriceBook, StylePrice, Subscription
from metering.models.refusals import RefusedRequest
from metering.models.trainings import TrainingHold

__all__ = [
    "AuthorEarning",
    "CreditBurn",
    "CreditGrant",
    "HostedStyle",
    "Invoice",
    "InvoiceLine",
    "InvoiceNumber",
    "LedgerEntry",
    "Plan",
    "PlanVersion",
    "Price",
    "PriceBook",
    "RefusedRequest",
    "StylePrice",
    "Subscription",
    "TrainingHold",
    "UsageDaily",
    "UsageEvent",
    "UsageMinute",
]
