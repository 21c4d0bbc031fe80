"""The audit log: writing it, chaining its entries by their hashes, verifying it and pruning it."""

from tenants.audit.log import BY_COMMAND, record_audit, record_command

__all__ = ["BY_COMMAND", "record_audit", "record_command"]
