from metering.models.invoices import CreditBurn, CreditGrant, Invoice, InvoiceLine, InvoiceNumber
from metering.models.ledger import (
    AuthorEarning,
    HostedStyle,
    LedgerEntry,
    RefusedRequest,
    TrainingHold,
    UsageDaily,
    UsageEvent,
    UsageMinute,
)
from metering.models.plans import Plan, PlanVersion, Price, PriceBook, StylePrice, Subscription, TokenPrices

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
    "TokenPrices",
    "TrainingHold",
    "UsageDaily",
    "UsageEvent",
    "UsageMinute",
]
