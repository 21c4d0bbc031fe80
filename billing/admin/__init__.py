"""Operators' view of prices, invoices, credits and payments in the console."""

from billing.admin import billing, invoices, prices

__all__ = ["billing", "invoices", "prices"]
