"""Plans, prices, the ledger of usage, credits, and every number that is derived from them.

`ledger.record_events` is the only way in; `plans.limits_of` returns what a workspace may use, and
`quota_sync` publishes it to the data plane.
"""
