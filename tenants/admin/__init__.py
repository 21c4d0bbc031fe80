"""Operators' view of tenants in the console, one module a capability."""

from tenants.admin import (
    accounts,
    api_keys,
    archives,
    audit,
    billing,
    credits,
    hosting,
    invoices,
    payments,
    prices,
    support,
    webhooks,
)

__all__ = [
    "accounts",
    "api_keys",
    "archives",
    "audit",
    "billing",
    "credits",
    "hosting",
    "invoices",
    "payments",
    "prices",
    "support",
    "webhooks",
]
