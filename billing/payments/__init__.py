"""Payments: top-ups, automatic ones too, and invoices, through a provider.

`providers` says what a provider does, `stripe_provider` and `ManualProvider` are the two; `payments` has the
actions, `auto_top_up` what happens without a person. docs/decisions/0029-payments-are-read-not-believed.md.
"""
