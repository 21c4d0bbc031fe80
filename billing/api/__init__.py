"""The management API of plans, invoices, credits and payments."""
