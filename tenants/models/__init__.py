from tenants.models.audit import AuditEntry
from tenants.models.idempotency import KeptAnswer
from tenants.models.keys import ApiKey, Scope
from tenants.models.ledger import LedgerEntry, UsageDaily, UsageEvent, UsageMinute
from tenants.models.people import Membership, Tenant, User
from tenants.models.plans import Plan, PlanVersion, Price, PriceBook, Subscription

__all__ = [
    "ApiKey",
    "AuditEntry",
    "KeptAnswer",
    "LedgerEntry",
    "Membership",
    "Plan",
    "PlanVersion",
    "Price",
    "PriceBook",
    "Scope",
    "Subscription",
    "Tenant",
    "UsageDaily",
    "UsageEvent",
    "UsageMinute",
    "User",
]
