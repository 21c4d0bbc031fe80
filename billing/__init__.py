"""Invoices, credits, payments, authors' shares and plan changes. It lies above styles, so it may ask them."""
