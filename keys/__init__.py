"""API keys: issue, limit, verify, revoke.

The secret is shown once; only its digest is stored.
"""
