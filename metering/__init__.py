"""Plans, prices, the ledger of usage, and every number that is derived from it.

`ledger.record_events` is the only way in; `plans.limits_of` returns what a workspace may use.
"""
