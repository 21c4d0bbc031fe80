"""Exact limits and metering in Valkey, and the drain that moves usage into the ledger.

`admission` takes a hold, `settlement` releases it and appends the usage event, `ledger_drain` records that.
The scripts in `lua/` are the atomic steps.
"""
