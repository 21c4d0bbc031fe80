"""API keys: create, limit, rotate, revoke; on pages, over the API, by command line, in the console.

Their rows and secrets are in tenants (`ApiKey`, `key_secrets`), because access, the audit log and usage
name keys.
"""
