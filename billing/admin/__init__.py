"""Operators' view of prices, invoices, credits and payments in the console, one module a capability."""

from billing.admin import billing, invoices, prices

__all__ = ["billing", "credits", "hosting", "invoices", "payments", "prices", "trainings"]
