from tenants.models.audit import AuditCheckpoint, AuditEntry
from tenants.models.idempotency import CachedAnswer
from tenants.models.keys import ApiKey, Scope, default_scopes
from tenants.models.people import (
    GONE_DOMAIN,
    RESPONSE_DAYS,
    FormerMember,
    Invitation,
    Membership,
    Tenant,
    User,
)

__all__ = [
    "GONE_DOMAIN",
    "RESPONSE_DAYS",
    "ApiKey",
    "AuditCheckpoint",
    "AuditEntry",
    "CachedAnswer",
    "FormerMember",
    "Invitation",
    "Membership",
    "Scope",
    "Tenant",
    "User",
    "default_scopes",
]
