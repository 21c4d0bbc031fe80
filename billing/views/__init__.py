"""Pages about usage, plans, prices, invoices and payments."""
