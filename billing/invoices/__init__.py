"""Invoices and credit notes.

`invoices` has the actions, `invoice_lines` is arithmetic. `billing.tasks` takes a month in batches.
"""
