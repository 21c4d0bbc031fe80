"""Invoices and credit notes.

`invoices` has the actions, `closing` takes a month in batches, `invoice_lines` is arithmetic.
"""
