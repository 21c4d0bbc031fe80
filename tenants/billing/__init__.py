"""Plans, prices and the ledger of usage, and every number that is derived from it.

`ledger.record` is the only way in; `plans.limits_of` says what a workspace may use.
"""
