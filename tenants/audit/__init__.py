"""The audit log: writing it, chaining its entries by their hashes, verifying it and pruning it."""

from tenants.audit.log import record_audit

__all__ = ["record_audit"]
