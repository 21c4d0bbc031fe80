from tenants.models.audit import AuditEntry
from tenants.models.keys import ApiKey
from tenants.models.ledger import LedgerEntry, UsageDaily, UsageEvent, UsageMinute
from tenants.models.people import Membership, Tenant, User
from tenants.models.plans import Plan, PlanVersion, Price, PriceBook, Subscription

__all__ = [
    "ApiKey",
    "AuditEntry",
    "LedgerEntry",
    "Membership",
    "Plan",
    "PlanVersion",
    "Price",
    "PriceBook",
    "Subscription",
    "Tenant",
    "UsageDaily",
    "UsageEvent",
    "UsageMinute",
    "User",
]
