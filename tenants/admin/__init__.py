"""Operators' view of tenants in the console, one module a capability."""

from tenants.admin import accounts, api_keys, audit, webhooks

__all__ = [
    "accounts",
    "api_keys",
    "audit",
    "webhooks",
]
