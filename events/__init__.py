"""The outbox: what happened in a workspace, recorded in the transaction of what it tells.

Webhooks and mail carry it on. Public face: `outbox.record_event`.
"""
